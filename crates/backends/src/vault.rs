//! HashiCorp Vault and OpenBao, secrets engine KV version 2, over its HTTP API. Read only.
//!
//! In: an address, a mount, a token. Out: secrets below a path, and secrets whose fields are read as the keys of a bucket. Apps are
//! kept apart by path: a name cannot leave the path it is asked below. Renewing the token is the operator's.

mod client;
mod config;
mod keyvalue;
mod path;
mod secrets;

pub use client::Vault;
pub use config::{Config, ConfigError};
