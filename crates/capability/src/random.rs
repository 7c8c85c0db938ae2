//! Randomness: what a guest draws, as a contract.
//!
//! Secure and insecure draws and the seed of hash maps are resources of one contract, [`Random`]; which one a component may have is the grant's.

pub mod conformance;
pub mod contract;
pub mod host;
pub mod memory;
pub mod system;

pub use contract::{Call, Error, Random, Reply};
pub use memory::Memory;
pub use system::System;
