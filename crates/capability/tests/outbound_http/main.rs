//! Outbound HTTP against real servers on port 0: what is refused, what is dialled, what is kept, and what a hostile
//! upstream costs. No guest and no WIT. Addresses under 127/8 stand for networks: some allowed by the operator, some
//! not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "helpers of tests are not inside a #[test]"
)]

mod dialling;
mod fields;
mod grants;
mod hostile;
mod pooling;
mod spellings;
mod streaming;
mod tls;
mod upstream;
