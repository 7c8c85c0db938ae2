//! Capabilities: what a component may ask of its host, as contracts over values, and the linking that gives it no more than
//! its grants say.
//!
//! In: a component and its authority. Out: something that can be instantiated per request. Backends are elsewhere: here are the
//! contracts, their WIT translation, their grants, and the memory backends that are their reference reading.

pub mod clock;
pub mod config;
pub mod contract;
pub mod guest;
pub mod http;
pub mod keyvalue;
pub mod layer;
pub mod link;
pub mod logging;
pub mod observe;
pub mod random;
pub mod secrets;

pub use guest::{Guest, Invocation, Template};
pub use link::{Authority, LinkError, NotGranted, link};
