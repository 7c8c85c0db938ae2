//! Secrets as environment variables of the host's own process, below a prefix: `stripe-key` is `PREFIX_STRIPE_KEY`.
//!
//! In: a prefix. Out: secrets, as the variables were when the process began with them. No guest sees the variables themselves.

mod config;
mod secrets;

pub use config::Config;
pub use secrets::Environment;
