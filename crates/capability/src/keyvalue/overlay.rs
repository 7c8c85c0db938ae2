//! A bucket whose writes stay in memory.
//!
//! In: any call. Out: reads that see the writes made here over what the backend holds, and the writes in order. The backend sees reads only.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::{
    contract::{Call, Error, KeyValue, Reply},
    memory::incremented,
};
use crate::contract::{Answer, Backend, Shared};

/// A bucket over a bucket.
pub struct Overlay {
    below: Shared<KeyValue>,
    state: Mutex<State>,
    /// Calls are applied one after another: an increment reads and writes.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// What was written here: a value, or that there is none.
    over: BTreeMap<String, Option<Vec<u8>>>,
    writes: Vec<Call>,
}

impl Overlay {
    /// Nothing written yet.
    pub fn new(below: Shared<KeyValue>) -> Self {
        Self {
            below,
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// The writes that took effect here, in order.
    pub fn writes(&self) -> Vec<Call> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .writes
            .clone()
    }

    fn over(&self, key: &str) -> Option<Option<Vec<u8>>> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .over
            .get(key)
            .cloned()
    }

    /// One write: what it leaves behind, and how it looks in the list.
    fn write(&self, values: impl IntoIterator<Item = (String, Option<Vec<u8>>)>, call: Call) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.over.extend(values);
        state.writes.push(call);
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        match self.over(key) {
            Some(value) => Ok(value),
            None => match self
                .below
                .call(Call::Get {
                    key: key.to_string(),
                })
                .await?
            {
                Reply::Value(value) => Ok(value),
                _ => Err(Error::Failed(
                    "the backend answered something else than it was asked".into(),
                )),
            },
        }
    }

    async fn apply(&self, call: Call) -> Result<Reply, Error> {
        let _turn = self.turn.lock().await;
        let written = call.clone();
        Ok(match call {
            Call::Get { key } => Reply::Value(self.get(&key).await?),
            Call::Exists { key } => Reply::Exists(self.get(&key).await?.is_some()),
            Call::GetMany { keys } => {
                let mut values = Vec::with_capacity(keys.len());
                for key in &keys {
                    values.push(self.get(key).await?);
                }
                Reply::Values(values)
            }
            Call::List {
                prefix,
                after,
                limit,
            } => self.list(&prefix, after, limit).await?,
            Call::Set { key, value } => {
                self.write([(key, Some(value))], written);
                Reply::Done
            }
            Call::Delete { key } => {
                self.write([(key, None)], written);
                Reply::Done
            }
            Call::SetMany { pairs } => {
                self.write(
                    pairs.into_iter().map(|(key, value)| (key, Some(value))),
                    written,
                );
                Reply::Done
            }
            Call::DeleteMany { keys } => {
                self.write(keys.into_iter().map(|key| (key, None)), written);
                Reply::Done
            }
            Call::Increment { key, delta } => {
                let number = incremented(&key, self.get(&key).await?.as_deref(), delta)?;
                self.write([(key, Some(number.to_string().into_bytes()))], written);
                Reply::Number(number)
            }
            Call::CompareAndSwap {
                key,
                expected,
                value,
            } => {
                let swaps = self.get(&key).await? == expected;
                if swaps {
                    self.write([(key, Some(value))], written);
                }
                Reply::Swapped(swaps)
            }
        })
    }

    /// Merges pages of the backend with what was written here until the page is full.
    async fn list(
        &self,
        prefix: &str,
        mut after: Option<String>,
        limit: u32,
    ) -> Result<Reply, Error> {
        let limit = limit as usize;
        let mut keys: Vec<String> = Vec::new();
        loop {
            let page = Call::List {
                prefix: prefix.to_string(),
                after: after.clone(),
                limit: limit.max(1) as u32,
            };
            let Reply::Keys { keys: below, more } = self.below.call(page).await? else {
                return Err(Error::Failed(
                    "the backend answered something else than it was asked".into(),
                ));
            };
            // Beyond the last key of a page that is not the last one, the backend may hold keys not seen yet.
            let until = if more { below.last().cloned() } else { None };
            let mut merged: BTreeMap<String, bool> =
                below.into_iter().map(|key| (key, true)).collect();
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, value) in &state.over {
                let follows = after.as_ref().is_none_or(|after| key > after)
                    && until.as_ref().is_none_or(|until| key <= until);
                if key.starts_with(prefix) && follows {
                    merged.insert(key.clone(), value.is_some());
                }
            }
            drop(state);
            keys.extend(
                merged
                    .into_iter()
                    .filter(|(_, exists)| *exists)
                    .map(|(key, _)| key),
            );
            if keys.len() > limit {
                keys.truncate(limit);
                return Ok(Reply::Keys { keys, more: true });
            }
            match until {
                Some(_) => after = until,
                None => return Ok(Reply::Keys { keys, more: false }),
            }
        }
    }
}

impl Backend<KeyValue> for Overlay {
    fn call(&self, call: Call) -> Answer<'_, KeyValue> {
        Box::pin(self.apply(call))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        contract::Support,
        keyvalue::{Memory, conformance},
    };

    #[tokio::test]
    async fn behaves_like_a_bucket_and_leaves_the_one_below_alone() {
        let below: Shared<KeyValue> = Arc::new(Memory::default());
        below
            .call(Call::Set {
                key: "suite/zz".into(),
                value: b"1".to_vec(),
            })
            .await
            .unwrap();
        let all = Call::List {
            prefix: String::new(),
            after: None,
            limit: 1_000,
        };
        let before = below.call(all.clone()).await;
        let overlay: Shared<KeyValue> = Arc::new(Overlay::new(Arc::clone(&below)));
        conformance::run(&overlay, &Support::full("overlay")).await;
        assert_eq!(below.call(all).await, before);
    }

    #[tokio::test]
    async fn lists_exactly_the_writes() {
        let below: Shared<KeyValue> = Arc::new(Memory::default());
        let overlay = Overlay::new(below);
        let set = Call::Set {
            key: "a".into(),
            value: b"1".to_vec(),
        };
        let fails = Call::CompareAndSwap {
            key: "a".into(),
            expected: None,
            value: vec![],
        };
        let counts = Call::Increment {
            key: "a".into(),
            delta: 1,
        };
        overlay.call(set.clone()).await.unwrap();
        overlay.call(Call::Get { key: "a".into() }).await.unwrap();
        assert_eq!(overlay.call(fails).await, Ok(Reply::Swapped(false)));
        assert_eq!(overlay.call(counts.clone()).await, Ok(Reply::Number(2)));
        assert_eq!(overlay.writes(), [set, counts]);
    }

    #[tokio::test]
    async fn merges_pages_with_what_was_written_and_deleted() {
        let below: Shared<KeyValue> = Arc::new(Memory::default());
        for key in ["a", "c", "e", "g"] {
            below
                .call(Call::Set {
                    key: key.into(),
                    value: vec![],
                })
                .await
                .unwrap();
        }
        let overlay = Overlay::new(below);
        overlay
            .call(Call::Set {
                key: "d".into(),
                value: vec![],
            })
            .await
            .unwrap();
        overlay
            .call(Call::Delete { key: "e".into() })
            .await
            .unwrap();
        overlay
            .call(Call::Set {
                key: "z".into(),
                value: vec![],
            })
            .await
            .unwrap();
        let mut after = None;
        let mut seen = Vec::new();
        loop {
            let page = Call::List {
                prefix: String::new(),
                after: after.clone(),
                limit: 2,
            };
            let Ok(Reply::Keys { keys, more }) = overlay.call(page).await else {
                panic!("no page")
            };
            seen.extend(keys.clone());
            after = keys.last().cloned();
            if !more {
                break;
            }
        }
        assert_eq!(seen, ["a", "c", "d", "g", "z"]);
    }
}
