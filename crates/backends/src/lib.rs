//! What stands behind a named resource: one folder and one Cargo feature per vendor.
//!
//! In: settings of the operator. Out: backends of the contracts in `coracle_capability`, each translating one vendor's client
//! and its errors. Deliberately absent: retries, metrics, grants and WIT; they are layers over every backend.

#[cfg(feature = "embedded")]
pub mod embedded;
