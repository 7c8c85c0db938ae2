//! What a recording holds: where an invocation ran, what it was asked, every call with its answer in order, what it answered.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{snapshot::Directory, value::Encoded};

/// One call of the guest and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The contract, as `keyvalue`.
    pub capability: String,
    /// The named resource, as the guest names it; empty where there is none.
    pub resource: String,
    /// What was asked.
    pub call: Encoded,
    /// What was answered; `None` when the guest ended or gave up before.
    pub answer: Option<Encoded>,
    /// What went and came beside call and answer.
    pub streams: Option<Streams>,
}

/// The bytes that belong to a call, in both directions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Streams {
    /// As far as it was taken.
    pub sent: Vec<u8>,
    /// Whether all of it was taken.
    pub sent_whole: bool,
    /// As far as it was read. [`Step::Piece`] tells in which pieces.
    pub received: Vec<u8>,
    /// What the contract says of its end, if that was read.
    pub end: Option<Encoded>,
}

/// What the guest was given of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Its answer.
    Answer,
    /// The next so many bytes of what was received.
    Piece(usize),
    /// The end of what was received.
    End,
}

/// A part of an invocation that outgrew the recorder. What came before is there, what came after is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cut {
    /// The body of the request.
    Request,
    /// The calls of the guest.
    Calls,
    /// A body that a call sent.
    Sent,
    /// A body that a call received.
    Received,
    /// The body of the response.
    Response,
}

impl Cut {
    /// Whether a replay needs it: what was only compared can be compared as far as it goes.
    pub fn prevents_replay(self) -> bool {
        matches!(self, Cut::Request | Cut::Calls | Cut::Received)
    }
}

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Cut::Request => "the body of the request",
            Cut::Calls => "the calls",
            Cut::Sent => "a body that was sent",
            Cut::Received => "a body that was received",
            Cut::Response => "the body of the response",
        })
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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
    /// In which order it was given what it waited for: each time the number of an event, from 0.
    pub order: Vec<(usize, Step)>,
    /// What it answered.
    pub answered: Answered,
    /// Tells the key of the digests in it from others, and nothing of it: see [`DigestKey::name`](crate::secrets::DigestKey::name).
    pub key: String,
    /// Header names whose values were replaced everywhere.
    pub redacted: Vec<String>,
    /// What is missing because a limit of the recorder was reached.
    pub cut: Vec<Cut>,
}
