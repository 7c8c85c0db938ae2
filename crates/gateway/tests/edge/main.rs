//! The edge as its clients see it: real sockets on port 0, raw bytes where framing matters.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is how a test fails, in its helpers too"
)]

mod aborts;
mod bodies;
mod drain;
mod fields;
mod framing;
mod http2;
mod leaving;
mod limits;
mod observing;
mod routing;
mod slowness;
mod support;
mod swapping;
