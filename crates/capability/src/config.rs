//! Configuration: texts by key that a component reads and never writes. `wasi:config` in both drafts, and the environment, over one
//! contract.
//!
//! A source of values is a [`Backend`](crate::contract::Backend) of [`Config`]. What one component reads are the operator's values
//! over its manifest's ([`Granted`]); what it finds in its environment is that list as it was when the invocation began
//! ([`Environment`]). Secrets are another capability: what is here may be recorded and shown.

pub mod conformance;
pub mod contract;
pub mod environment;
pub mod grant;
pub mod host;
pub mod memory;

pub use contract::{Call, Config, Error, MAX_KEYS, MAX_LIST_BYTES, MAX_VALUE_BYTES, Reply};
pub use environment::{Environment, Variables};
pub use grant::{Granted, Values};
pub use host::VERSIONS;
pub use memory::Memory;
