//! Turns outside events into invocations: who may start, how long they may run, what their caller is told.
//!
//! In: an event (here: an HTTP request) and a component that was linked. Out: the component's answer, or a documented refusal.
//! Knows no backend and no manifest.

pub mod admission;
pub mod http;

pub use admission::{Admission, Turned};
pub use http::{
    Finished, Handler, Holdings, InstanceCounts, Recordings, ReplayError, Reuse, Revision, Room,
    UnservableError, Watching, replay,
};
