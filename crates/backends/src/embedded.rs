//! The embedded store: buckets in one redb file of the node, with no server to run.
//!
//! In: a state directory. Out: one bucket per app and name, where acknowledged means on disk. One thread writes, and puts all
//! writes that wait into one transaction; reads happen on the caller. Expiry is absent: this backend cannot expire keys.

mod batch;
mod client;
mod config;
mod database;
mod disk;
mod keyvalue;
mod view;
mod writer;

pub use client::Store;
pub use config::Config;
pub use database::OpenError;
