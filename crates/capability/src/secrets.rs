//! Secrets: handles without values, and reading one as a right of its own. `coracle:secrets` and `wasmcloud:secrets` over one
//! contract.
//!
//! A place where secrets are kept is a [`Backend`](crate::contract::Backend) of [`Secrets`]. A value is a [`SecretValue`], which
//! cannot be printed or written down; what a recording holds in its place is a keyed digest ([`Fingerprint`]).

pub mod conformance;
pub mod contract;
pub mod grant;
pub mod header;
pub mod host;
pub mod memory;
pub mod value;

pub use contract::{Call, Error, Reply, Secrets};
pub use grant::{Granted, Keyring, Reveal};
pub use header::{Format, Freshness, Header, Headers, MalformedFormat};
pub use memory::Memory;
pub use value::{DigestKey, Fingerprint, MAX_SECRET_BYTES, Revealed, SecretValue};
