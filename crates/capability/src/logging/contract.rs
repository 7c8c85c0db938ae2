//! The call, reply and errors of a log.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::line::{Line, Source};
use crate::contract::{CallError, Contract};

/// The contract of a log: a call is a line. It is taken at once, and a guest is never told what became of it.
pub struct Logging;

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// It was taken.
    Taken,
}

/// Why a line was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum Error {
    /// There is no room for it.
    #[error("the log is full")]
    Full,
    /// The log does not answer.
    #[error("the log is unavailable: {0}")]
    Unavailable(String),
}

impl Contract for Logging {
    const NAME: &'static str = "log";
    const AT_ONCE: bool = true;
    type Call = Line;
    type Reply = Reply;
    type Error = Error;

    fn operation(line: &Line) -> &'static str {
        match line.source {
            Source::Stdout => "stdout",
            Source::Stderr => "stderr",
            Source::Log { .. } => "log",
        }
    }

    fn call_bytes(line: &Line) -> u64 {
        line.message.len() as u64
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
