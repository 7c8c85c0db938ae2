//! Buckets on a real Redis: what they answer, what the server and the network may do to them, and what apps cannot do to each
//! other.
//!
//! Tests named `slow_…` repeat their short namesakes for longer. Without `redis-server` (`apt install redis-server`) they say by
//! name that they were skipped.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends at the first surprise"
)]

mod bucket;
mod expiry;
mod faults;
mod numbers;
mod proxy;
mod refusals;
mod server;
mod tenants;
mod tls;
mod unbounded;
