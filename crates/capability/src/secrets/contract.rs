//! The calls, replies and errors of a place where secrets are kept.
//!
//! A call to get a secret answers with the version that is the newest; only a call to reveal answers with a value, and names the
//! version it wants, so that a handle means the same value for as long as it lives. Errors hold names and reasons, never values.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::value::Revealed;
use crate::contract::{CallError, Contract};

/// The contract of a place where secrets are kept.
pub struct Secrets;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Answered with [`Reply::Found`].
    Get {
        /// Which.
        name: String,
    },
    /// Answered with [`Reply::Revealed`].
    Reveal {
        /// Which.
        name: String,
        /// As `Found` told it.
        version: String,
    },
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// There is such a secret.
    Found {
        /// Its newest version: opaque, and says nothing about the value.
        version: String,
    },
    /// The value.
    Revealed(Revealed),
}

/// Why there is no answer. Guests read these texts: they name nothing of where the secret is kept but its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum Error {
    /// No secret of this name.
    #[error("there is no such secret")]
    NotFound,
    /// The grant does not cover the call.
    #[error("access denied: {0}")]
    Denied(String),
    /// The version is gone; the secret may have a newer one.
    #[error("the secret has changed, and this version of it is gone")]
    Superseded,
    /// More than [`MAX_SECRET_BYTES`](super::MAX_SECRET_BYTES), or an answer beyond the backend's own limit.
    #[error("{0}")]
    TooLarge(String),
    /// The backend is not there, or did not answer in time; the same call may succeed later.
    #[error("the secret is unavailable: {0}")]
    Unavailable(String),
    /// The backend failed in a way that will not pass.
    #[error("the secret cannot be read: {0}")]
    Failed(String),
}

impl Contract for Secrets {
    const NAME: &'static str = "secrets";
    type Call = Call;
    type Reply = Reply;
    type Error = Error;

    fn operation(call: &Call) -> &'static str {
        match call {
            Call::Get { .. } => "get",
            Call::Reveal { .. } => "reveal",
        }
    }

    fn call_bytes(call: &Call) -> u64 {
        match call {
            Call::Get { name } => name.len() as u64,
            Call::Reveal { name, version } => (name.len() + version.len()) as u64,
        }
    }

    /// The length of a value is nothing for metrics.
    fn reply_bytes(reply: &Reply) -> u64 {
        match reply {
            Reply::Found { version } => version.len() as u64,
            Reply::Revealed(_) => 0,
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
