//! The embedded store as the node uses it: what it answers, what it survives and what it refuses.
//!
//! Tests named `slow_…` repeat their short namesakes for longer. Those that need root, to mount, say so when they are skipped.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends at the first surprise"
)]

mod bucket;
mod disk_full;
mod kill;
mod mount;
mod opening;
mod power_cut;
mod service;
