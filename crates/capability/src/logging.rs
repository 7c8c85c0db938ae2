//! What a guest says: standard output, standard error and `wasi:logging`, always captured, never trusted.
//!
//! In: bytes and log calls. Out: lines, each with the component and request it came from. Escaping and rate limits across
//! requests belong to whoever prints them; here a line and the lines of one invocation are bounded.

pub mod capture;
pub mod conformance;
pub mod contract;
pub mod host;
pub mod line;
pub mod memory;
pub mod node;

pub use contract::{Error, Logging, Reply};
pub use line::{Level, Line, Lines, Source, Speaker};
pub use memory::Memory;
pub use node::Spoken;
