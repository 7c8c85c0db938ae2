//! Key-value buckets: `wasi:keyvalue` in both drafts over one contract.
//!
//! A bucket is a [`Backend`](crate::contract::Backend) of [`KeyValue`]; which one stands behind a name is the operator's choice.

pub mod conformance;
pub mod contract;
pub mod grant;
pub mod host;
pub mod memory;
pub mod overlay;

pub use contract::{Call, Error, KeyValue, Reply};
pub use grant::{Buckets, Door, Granted};
pub use memory::Memory;
