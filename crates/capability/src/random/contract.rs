//! The call, reply and errors of a source of randomness.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::contract::{CallError, Contract};

/// The contract of a source of randomness. It answers at once.
pub struct Random;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Answered with [`Reply::Drawn`].
    Draw {
        /// How many.
        bytes: u64,
    },
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// As many bytes as were asked for.
    Drawn(Vec<u8>),
}

/// Why nothing is drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum Error {
    /// Nothing can be drawn now.
    #[error("randomness is unavailable: {0}")]
    Unavailable(String),
}

impl Contract for Random {
    const NAME: &'static str = "randomness";
    const AT_ONCE: bool = true;
    type Call = Call;
    type Reply = Reply;
    type Error = Error;

    fn operation(call: &Call) -> &'static str {
        match call {
            Call::Draw { .. } => "draw",
        }
    }

    fn call_bytes(_: &Call) -> u64 {
        0
    }

    fn reply_bytes(reply: &Reply) -> u64 {
        match reply {
            Reply::Drawn(drawn) => drawn.len() as u64,
        }
    }
}

impl CallError for Error {
    fn is_temporary(&self) -> bool {
        true
    }

    fn deadline(after: Duration) -> Self {
        Error::Unavailable(format!("no answer within {} ms", after.as_millis()))
    }
}
