//! The calls, replies and errors of a bucket.
//!
//! Keys are UTF-8 and ordered by their bytes. Values are bytes. A number is the decimal text of an `i64`, so that what one
//! backend counted another can read.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::contract::{CallError, Contract};

/// The contract of a bucket.
pub struct KeyValue;

/// What is asked of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Answered with [`Reply::Value`].
    Get {
        /// Which.
        key: String,
    },
    /// Answered with [`Reply::Done`] once the value is as durable as the backend makes it.
    Set {
        /// Which.
        key: String,
        /// What.
        value: Vec<u8>,
    },
    /// Answered with [`Reply::Done`], also when there was no such key.
    Delete {
        /// Which.
        key: String,
    },
    /// Answered with [`Reply::Exists`].
    Exists {
        /// Which.
        key: String,
    },
    /// Keys that begin with `prefix`, in byte order, beginning after `after`. Answered with [`Reply::Keys`].
    List {
        /// Empty for all.
        prefix: String,
        /// The last key of the page before.
        after: Option<String>,
        /// At most this many.
        limit: u32,
    },
    /// Answered with [`Reply::Values`] in the order of the keys.
    GetMany {
        /// Which.
        keys: Vec<String>,
    },
    /// All or nothing where the backend can. Answered with [`Reply::Done`].
    SetMany {
        /// Which and what.
        pairs: Vec<(String, Vec<u8>)>,
    },
    /// All or nothing where the backend can. Answered with [`Reply::Done`].
    DeleteMany {
        /// Which.
        keys: Vec<String>,
    },
    /// Adds to a number; a missing key counts from 0. Answered with [`Reply::Number`], the new value.
    Increment {
        /// Which.
        key: String,
        /// By how much.
        delta: i64,
    },
    /// Sets the value if it is still the expected one. Answered with [`Reply::Swapped`].
    CompareAndSwap {
        /// Which.
        key: String,
        /// What is there; `None` is nothing.
        expected: Option<Vec<u8>>,
        /// What shall be there.
        value: Vec<u8>,
    },
}

/// What a bucket answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// A value, or nothing.
    Value(Option<Vec<u8>>),
    /// It took effect.
    Done,
    /// Whether the key is there.
    Exists(bool),
    /// A page of keys; `more` when others follow.
    Keys {
        /// In byte order.
        keys: Vec<String>,
        /// Whether a further page exists.
        more: bool,
    },
    /// One entry per key asked for.
    Values(Vec<Option<Vec<u8>>>),
    /// A number.
    Number(i64),
    /// Whether the value was swapped.
    Swapped(bool),
}

/// Why a bucket does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum Error {
    /// The grant does not cover the call.
    #[error("access denied: {0}")]
    Denied(String),
    /// A key that is empty or too long, a value that is too large, a batch with too many entries.
    #[error("{0}")]
    TooLarge(String),
    /// An increment of something that is not a number, or beyond an `i64`.
    #[error("the value of {0:?} is not a number that can be incremented")]
    NotANumber(String),
    /// The backend is not there, or did not answer in time; the same call may succeed later.
    #[error("the bucket is unavailable: {0}")]
    Unavailable(String),
    /// The backend failed in a way that will not pass.
    #[error("the bucket failed: {0}")]
    Failed(String),
}

impl Contract for KeyValue {
    const NAME: &'static str = "keyvalue";
    type Call = Call;
    type Reply = Reply;
    type Error = Error;

    fn operation(call: &Call) -> &'static str {
        match call {
            Call::Get { .. } => "get",
            Call::Set { .. } => "set",
            Call::Delete { .. } => "delete",
            Call::Exists { .. } => "exists",
            Call::List { .. } => "list",
            Call::GetMany { .. } => "get-many",
            Call::SetMany { .. } => "set-many",
            Call::DeleteMany { .. } => "delete-many",
            Call::Increment { .. } => "increment",
            Call::CompareAndSwap { .. } => "compare-and-swap",
        }
    }

    fn call_bytes(call: &Call) -> u64 {
        let bytes = match call {
            Call::Get { key }
            | Call::Delete { key }
            | Call::Exists { key }
            | Call::Increment { key, .. } => key.len(),
            Call::Set { key, value } => key.len() + value.len(),
            Call::List { prefix, after, .. } => {
                prefix.len() + after.as_ref().map_or(0, String::len)
            }
            Call::GetMany { keys } | Call::DeleteMany { keys } => {
                keys.iter().map(String::len).sum()
            }
            Call::SetMany { pairs } => pairs
                .iter()
                .map(|(key, value)| key.len() + value.len())
                .sum(),
            Call::CompareAndSwap {
                key,
                expected,
                value,
            } => key.len() + expected.as_ref().map_or(0, Vec::len) + value.len(),
        };
        bytes as u64
    }

    fn reply_bytes(reply: &Reply) -> u64 {
        let bytes = match reply {
            Reply::Value(value) => value.as_ref().map_or(0, Vec::len),
            Reply::Keys { keys, .. } => keys.iter().map(String::len).sum(),
            Reply::Values(values) => values.iter().flatten().map(Vec::len).sum(),
            Reply::Done | Reply::Exists(_) | Reply::Number(_) | Reply::Swapped(_) => 0,
        };
        bytes as u64
    }
}

impl CallError for Error {
    fn is_temporary(&self) -> bool {
        matches!(self, Error::Unavailable(_))
    }

    fn deadline(after: Duration) -> Self {
        Error::Unavailable(format!("no answer within {} ms", after.as_millis()))
    }
}
