//! Answers an invocation from a recording.
//!
//! In: calls. Out: the recorded answers, per capability and resource in their recorded order, and the first call that differs. No
//! backend is reached. After the first difference every call fails: what follows is a consequence.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    event::Event,
    value::{pack, show, unpack},
};
use crate::contract::{Answer, Backend, CallError, Contract};

/// The first thing a replayed invocation did otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where: `call 3, keyvalue bucket "default"`, `response body, byte 17`.
    pub place: String,
    /// What the recording holds there.
    pub recorded: String,
    /// What was done now.
    pub now: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\n  recorded: {}\n  now:      {}",
            self.place, self.recorded, self.now
        )
    }
}

/// The recording of one invocation, being consumed.
#[derive(Debug)]
pub struct Player {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    expected: HashMap<(String, String), VecDeque<(usize, Event)>>,
    difference: Option<Difference>,
}

impl Player {
    /// Answers from these events.
    pub fn new(events: Vec<Event>) -> Self {
        let mut expected: HashMap<_, VecDeque<_>> = HashMap::new();
        for (index, event) in events.into_iter().enumerate() {
            let place = (event.capability.clone(), event.resource.clone());
            expected.entry(place).or_default().push_back((index, event));
        }
        Self {
            state: Mutex::new(State {
                expected,
                difference: None,
            }),
        }
    }

    /// The recorded answer to a call, if this call is the next one recorded.
    pub fn play<A: DeserializeOwned>(
        &self,
        capability: &str,
        resource: &str,
        call: &impl Serialize,
    ) -> Option<A> {
        let call = pack(call).ok()?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.difference.is_some() {
            return None;
        }
        let next = state
            .expected
            .get_mut(&(capability.to_string(), resource.to_string()))
            .and_then(VecDeque::pop_front);
        let named = if resource.is_empty() {
            capability.to_string()
        } else {
            format!("{capability} {resource:?}")
        };
        match next {
            // An answer that cannot be read was still to come when the recorded guest ended.
            Some((_, event)) if event.call == call => unpack(event.answer).ok(),
            Some((index, event)) => {
                let place = format!("call {} ({named})", index + 1);
                state.difference = Some(Difference {
                    place,
                    recorded: show(&event.call),
                    now: show(&call),
                });
                None
            }
            None => {
                let place = format!("a call after the last recorded one of {named}");
                state.difference = Some(Difference {
                    place,
                    recorded: "nothing".into(),
                    now: show(&call),
                });
                None
            }
        }
    }

    /// Notes a difference found elsewhere, unless there was one before.
    pub fn differs(&self, difference: Difference) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .difference
            .get_or_insert(difference);
    }

    /// The first difference; at the end of an invocation also calls that were recorded and not made.
    pub fn difference(&self, ended: bool) -> Option<Difference> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.difference.is_some() || !ended {
            return state.difference.clone();
        }
        let left = state
            .expected
            .values()
            .filter_map(VecDeque::front)
            .min_by_key(|(index, _)| *index);
        left.map(|(index, event)| Difference {
            place: format!(
                "call {} ({} {:?})",
                index + 1,
                event.capability,
                event.resource
            ),
            recorded: show(&event.call),
            now: "not made".into(),
        })
    }
}

/// A backend that answers from a recording.
pub struct Replay<C: Contract> {
    player: Arc<Player>,
    resource: String,
    contract: std::marker::PhantomData<fn() -> C>,
}

impl<C: Contract> Replay<C> {
    /// Answers the calls recorded under this name.
    pub fn new(player: Arc<Player>, resource: &str) -> Self {
        Self {
            player,
            resource: resource.into(),
            contract: std::marker::PhantomData,
        }
    }
}

impl<C: Contract> Backend<C> for Replay<C> {
    fn call(&self, call: C::Call) -> Answer<'_, C> {
        let answer = self
            .player
            .play::<Result<C::Reply, C::Error>>(C::NAME, &self.resource, &call);
        // The guest sees a failing backend; whoever replays sees the difference.
        Box::pin(async move {
            answer.unwrap_or_else(|| Err(C::Error::deadline(std::time::Duration::ZERO)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::Shared,
        keyvalue::{Call, KeyValue, Memory, Reply},
        observe::{Recorder, recorder::Record},
        secrets::DigestKey,
    };

    async fn recorded(calls: &[Call]) -> Player {
        let recorder = Arc::new(Recorder::new(DigestKey::new([7; 32])));
        let bucket = Record::<KeyValue>::new(
            Arc::new(Memory::default()),
            Arc::clone(&recorder),
            "default",
        );
        for call in calls {
            let _ = bucket.call(call.clone()).await;
        }
        Player::new(recorder.take().0)
    }

    fn replay(player: Player) -> (Arc<Player>, Shared<KeyValue>) {
        let player = Arc::new(player);
        (
            Arc::clone(&player),
            Arc::new(Replay::new(player, "default")),
        )
    }

    #[tokio::test]
    async fn answers_as_recorded_without_a_backend() {
        let set = Call::Set {
            key: "k".into(),
            value: b"v".to_vec(),
        };
        let get = Call::Get { key: "k".into() };
        let (player, bucket) = replay(recorded(&[set.clone(), get.clone()]).await);
        assert_eq!(bucket.call(set).await, Ok(Reply::Done));
        assert_eq!(
            bucket.call(get).await,
            Ok(Reply::Value(Some(b"v".to_vec())))
        );
        assert_eq!(player.difference(true), None);
    }

    #[tokio::test]
    async fn reports_the_first_call_that_differs() {
        let get = |key: &str| Call::Get { key: key.into() };
        let (player, bucket) = replay(recorded(&[get("a"), get("b")]).await);
        bucket.call(get("a")).await.unwrap();
        bucket.call(get("x")).await.unwrap_err();
        bucket.call(get("y")).await.unwrap_err();
        let difference = player.difference(true).unwrap();
        assert_eq!(difference.place, "call 2 (keyvalue \"default\")");
        assert!(difference.now.contains("\"x\""), "{difference}");
    }

    #[tokio::test]
    async fn reports_calls_that_were_not_made_and_calls_too_many() {
        let get = |key: &str| Call::Get { key: key.into() };
        let (player, _) = replay(recorded(&[get("a")]).await);
        assert_eq!(player.difference(true).unwrap().now, "not made");
        let (player, bucket) = replay(recorded(&[]).await);
        bucket.call(get("a")).await.unwrap_err();
        assert_eq!(player.difference(true).unwrap().recorded, "nothing");
    }
}
