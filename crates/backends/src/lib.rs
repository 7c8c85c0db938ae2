//! What stands behind a named resource: one folder and one Cargo feature per vendor.
//!
//! In: settings of the operator. Out: backends of the contracts in `coracle_capability`, each translating one vendor's client
//! and its errors. Deliberately absent: retries, metrics, grants and WIT; they are layers over every backend.

#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(feature = "environment")]
pub mod environment;
#[cfg(feature = "files")]
pub mod files;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "vault")]
pub mod vault;
