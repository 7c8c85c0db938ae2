//! The calls, replies and errors of a source of configuration.
//!
//! Keys and values are texts. There are two calls, because `wasi:config` has two: one key, or everything. Errors name keys and
//! reasons, never values.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::contract::{CallError, Contract};

/// The longest value that a component is given.
pub const MAX_VALUE_BYTES: usize = 64 << 10;
/// The most keys in one list.
pub const MAX_KEYS: usize = 1_024;
/// The most keys and values together in one list.
pub const MAX_LIST_BYTES: usize = 1 << 20;

/// The contract of a source of configuration.
pub struct Config;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Answered with [`Reply::Value`].
    Get {
        /// Which.
        key: String,
    },
    /// Answered with [`Reply::Values`].
    GetAll,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The value, if there is such a key. An empty one is one.
    Value(Option<String>),
    /// Every key with its value, ordered by the bytes of the keys.
    Values(Vec<(String, String)>),
}

/// Why there is no answer. Guests read these texts: they name nothing of where the values are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum Error {
    /// More than [`MAX_VALUE_BYTES`], [`MAX_KEYS`] or [`MAX_LIST_BYTES`].
    #[error("{0}")]
    TooLarge(String),
    /// The source is not there, or did not answer in time; the same call may succeed later.
    #[error("the configuration is unavailable: {0}")]
    Unavailable(String),
    /// The source failed in a way that will not pass by itself.
    #[error("the configuration cannot be read: {0}")]
    Failed(String),
}

impl Error {
    /// The error of a value beyond [`MAX_VALUE_BYTES`].
    pub fn value_too_large(key: &str) -> Self {
        Self::TooLarge(format!(
            "the value of {key:?} is larger than {} KiB",
            MAX_VALUE_BYTES >> 10
        ))
    }

    /// The error of a value that is not UTF-8.
    pub fn not_text(key: &str) -> Self {
        Self::Failed(format!("the value of {key:?} is not text"))
    }

    /// The error of a list beyond [`MAX_KEYS`] or [`MAX_LIST_BYTES`].
    pub fn list_too_large() -> Self {
        Self::TooLarge(format!(
            "there are more than {MAX_KEYS} values, or more than {} MiB of them",
            MAX_LIST_BYTES >> 20
        ))
    }
}

impl Contract for Config {
    const NAME: &'static str = "config";
    type Call = Call;
    type Reply = Reply;
    type Error = Error;

    fn operation(call: &Call) -> &'static str {
        match call {
            Call::Get { .. } => "get",
            Call::GetAll => "get-all",
        }
    }

    fn call_bytes(call: &Call) -> u64 {
        match call {
            Call::Get { key } => key.len() as u64,
            Call::GetAll => 0,
        }
    }

    fn reply_bytes(reply: &Reply) -> u64 {
        match reply {
            Reply::Value(value) => value.as_ref().map_or(0, String::len) as u64,
            Reply::Values(values) => bytes(values) as u64,
        }
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

/// Keys and values together.
pub(super) fn bytes(values: &[(String, String)]) -> usize {
    values
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum()
}
