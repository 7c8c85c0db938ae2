//! Wasmtime's room: compile, cache, pool, instantiate, limit, account.
//!
//! In: the bytes of a component and the limits of one invocation. Out: a mapped component and a store that cannot exceed them.
//! Knows nothing of interfaces, HTTP, manifests or backends.

pub mod account;
pub mod anatomy;
pub mod cache;
pub mod compile;
pub mod limits;
pub mod profile;
pub mod read;
mod shim;
pub mod store;

pub use account::{Account, Metered};
pub use anatomy::{Anatomy, anatomy};
pub use cache::{Cache, Component, Origin, digest};
pub use compile::Compiler;
pub use limits::{Budget, Limits};
pub use profile::{Engines, Kind, Pool};
pub use read::{Described, ReadError, describe};
pub use store::{Exceeded, Guest, new_store, renew};
