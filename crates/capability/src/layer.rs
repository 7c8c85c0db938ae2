//! What cuts across capabilities: layers that are backends around a backend, for any contract.

pub mod breaker;
pub mod deadline;
pub mod fault;
pub mod meter;
pub mod notice;

pub use breaker::{Breaker, Tolerance};
pub use deadline::Deadline;
pub use fault::Fault;
pub use meter::{Counters, Meter};
pub use notice::Notice;
