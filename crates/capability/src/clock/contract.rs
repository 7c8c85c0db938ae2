//! The call, reply and errors of a clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::contract::{CallError, Contract};

/// The contract of a clock. It answers at once.
pub struct Clock;

/// What is asked of a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Answered with the time.
    Now,
}

/// Nanoseconds: of a wall clock since 1970, of a monotonic one since it began. The latter never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reply(pub u64);

/// Why a clock does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum Error {
    /// It cannot be read now. Whoever reads it sees time stand still.
    #[error("the clock is unavailable: {0}")]
    Unavailable(String),
}

impl Contract for Clock {
    const NAME: &'static str = "clock";
    const AT_ONCE: bool = true;
    type Call = Call;
    type Reply = Reply;
    type Error = Error;

    fn operation(call: &Call) -> &'static str {
        match call {
            Call::Now => "now",
        }
    }

    fn call_bytes(_: &Call) -> u64 {
        0
    }

    fn reply_bytes(_: &Reply) -> u64 {
        0
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
