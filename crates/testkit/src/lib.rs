//! What the tests of the whole product stand on: the real command and real servers on port 0, clients that notice a truncated
//! answer, folders with apps of hostile guests, goldens. Development only, and it knows none of our other crates: it sees what a
//! user sees.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is how a test fails, and this is all tests"
)]

mod app;
mod artifacts;
mod cases;
mod coracle;
mod golden;
pub mod http;
mod output;
mod redis;
mod scripted;
mod service;
mod skip;
mod state;
mod tls;
mod upstream;
mod vault;
mod wait;

pub use app::{TempApp, app, one};
pub use artifacts::{coracle, example, example_component, guest, repository};
pub use cases::{Case, Generation, Protocol};
pub use coracle::{Coracle, Finished};
pub use golden::assert_golden;
pub use redis::Redis;
pub use scripted::{Does, Scripted};
pub use service::{Exit, Service};
pub use skip::{skipped, without_root};
pub use state::StateDir;
pub use tls::Certified;
pub use upstream::Upstream;
pub use vault::Vault;
pub use wait::{PATIENCE, soon};
