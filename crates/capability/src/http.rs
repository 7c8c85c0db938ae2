//! Outbound HTTP: what a component may send, where it may connect, and who sends it.

pub mod address;
mod body;
pub mod client;
mod connection;
pub mod contract;
pub mod dial;
pub mod grant;
mod head;
pub mod host;
mod observed;
mod pool;
mod target;
pub mod tls;

pub use target::{Host, MalformedHost, Target};
