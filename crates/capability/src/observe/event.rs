//! What a recording holds: where an invocation ran, what it was asked, every call with its answer in order, what it answered.

use std::{collections::BTreeMap, path::PathBuf};

use ciborium::Value;
use serde::{Deserialize, Serialize};

use super::snapshot::Directory;

/// One call of the guest and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The contract, as `keyvalue`.
    pub capability: String,
    /// The named resource, as the guest names it; empty where there is none.
    pub resource: String,
    /// What was asked.
    pub call: Value,
    /// What was answered; `Null` until it is, and for what is only told.
    pub answer: Value,
}

impl Event {
    /// Puts byte strings back where a file holds sequences of numbers.
    pub(super) fn shorten(&mut self) {
        for value in [&mut self.call, &mut self.answer] {
            *value = super::value::shorten(std::mem::replace(value, Value::Null));
        }
    }
}

/// A message as it crossed the edge: one side of an exchange.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Fields in order, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// What was read of the body (a request) or sent of it (a response).
    pub body: Vec<u8>,
    /// Trailers.
    pub trailers: Vec<(String, Vec<u8>)>,
}

/// What the invocation was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Fields, body and trailers.
    pub message: Message,
}

/// What the invocation answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Status.
    pub status: u16,
    /// Fields, body and trailers.
    pub message: Message,
    /// Why the answer is not the component's own, if it is not.
    pub reason: Option<String>,
    /// Whether the last byte left.
    pub complete: bool,
}

/// One invocation, replayable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// The app.
    pub app: String,
    /// The component.
    pub component: String,
    /// Where the component was read.
    pub source: PathBuf,
    /// BLAKE3 of the component.
    pub digest: String,
    /// The request id.
    pub request_id: String,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// The bucket names the component may open.
    pub buckets: Vec<String>,
    /// The secrets it may hold, and whether it may reveal them.
    pub secrets: Vec<(String, bool)>,
    /// What an invocation may use: bytes of memory, milliseconds on a core, milliseconds in all.
    pub limits: [u64; 3],
    /// Whether it may read clocks.
    pub clock: bool,
    /// Whether it may draw secure randomness.
    pub randomness: bool,
    /// Environment variables, as they were when it began.
    pub environment: BTreeMap<String, String>,
    /// Granted directories with what was in them.
    pub directories: Vec<Directory>,
    /// What it was asked.
    pub request: Request,
    /// What it called.
    pub events: Vec<Event>,
    /// What it answered.
    pub answered: Answered,
    /// Header names whose values were replaced everywhere.
    pub redacted: Vec<String>,
    /// Set when a limit of the recorder was reached: such a recording shows, but does not replay.
    pub truncated: bool,
}
