//! A bucket in memory: the reference reading of the contract, and the mock of tests. Gone with the process.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Mutex, PoisonError},
};

use super::contract::{Call, Error, KeyValue, Reply};
use crate::contract::{Answer, Backend, Support};

/// A bucket in memory.
#[derive(Debug, Default)]
pub struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

impl Memory {
    /// Everything: the reference can do what the contract can say.
    pub const SUPPORT: Support = Support::full("memory");
}

impl Backend<KeyValue> for Memory {
    fn call(&self, call: Call) -> Answer<'_, KeyValue> {
        let answer = apply(
            &mut self.0.lock().unwrap_or_else(PoisonError::into_inner),
            call,
        );
        Box::pin(async { answer })
    }
}

fn apply(map: &mut BTreeMap<String, Vec<u8>>, call: Call) -> Result<Reply, Error> {
    Ok(match call {
        Call::Get { key } => Reply::Value(map.get(&key).cloned()),
        Call::Set { key, value } => {
            map.insert(key, value);
            Reply::Done
        }
        Call::Delete { key } => {
            map.remove(&key);
            Reply::Done
        }
        Call::Exists { key } => Reply::Exists(map.contains_key(&key)),
        Call::List {
            prefix,
            after,
            limit,
        } => list(map, &prefix, after.as_deref(), limit as usize),
        Call::GetMany { keys } => {
            Reply::Values(keys.iter().map(|key| map.get(key).cloned()).collect())
        }
        Call::SetMany { pairs } => {
            map.extend(pairs);
            Reply::Done
        }
        Call::DeleteMany { keys } => {
            keys.iter().for_each(|key| _ = map.remove(key));
            Reply::Done
        }
        Call::Increment { key, delta } => {
            let number = incremented(&key, map.get(&key).map(Vec::as_slice), delta)?;
            map.insert(key, number.to_string().into_bytes());
            Reply::Number(number)
        }
        Call::CompareAndSwap {
            key,
            expected,
            value,
        } => {
            let swaps = map.get(&key) == expected.as_ref();
            if swaps {
                map.insert(key, value);
            }
            Reply::Swapped(swaps)
        }
    })
}

fn list(map: &BTreeMap<String, Vec<u8>>, prefix: &str, after: Option<&str>, limit: usize) -> Reply {
    let from = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    };
    let below = map
        .range::<str, _>((from, Bound::Unbounded))
        .map(|(key, _)| key);
    let mut keys: Vec<String> = below
        .take_while(|key| key.starts_with(prefix))
        .take(limit + 1)
        .cloned()
        .collect();
    let more = keys.len() > limit;
    keys.truncate(limit);
    Reply::Keys { keys, more }
}

/// The number that an increment leaves, in every backend.
///
/// # Errors
/// [`Error::NotANumber`] when the value is not the decimal text of an `i64` or the sum is not one.
pub fn incremented(key: &str, value: Option<&[u8]>, delta: i64) -> Result<i64, Error> {
    let number = match value {
        None => Some(0),
        Some(text) => std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse::<i64>().ok()),
    };
    number
        .and_then(|number| number.checked_add(delta))
        .ok_or_else(|| Error::NotANumber(key.to_string()))
}
