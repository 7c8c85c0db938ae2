//! Secrets, or values of components, as environment variables of the host's own process, below a prefix: `stripe-key` is
//! `PREFIX_STRIPE_KEY`.
//!
//! In: a prefix. Out: secrets and configuration, as the variables were when the process began with them. No guest sees other variables.

mod config;
mod secrets;
mod values;

pub use config::{Config, Spelling};
pub use secrets::Environment;
pub use values::Values;
