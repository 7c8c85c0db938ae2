//! Clocks: what a guest reads of the time, as a contract.
//!
//! A wall clock and a monotonic clock are two backends of [`Clock`]. Timers are WASI's own and wait for the machine's time.

pub mod conformance;
pub mod contract;
pub mod host;
pub mod memory;
pub mod system;

pub use contract::{Call, Clock, Error, Reply};
pub use memory::Memory;
