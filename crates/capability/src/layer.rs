//! What cuts across capabilities: layers that are backends around a backend, for any contract.

pub mod deadline;
pub mod meter;

pub use deadline::Deadline;
pub use meter::{Counters, Meter};
