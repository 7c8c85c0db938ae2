//! `wasi:random` of both generations, drawn through the contract: WASI's own translation asks here.

use std::convert::Infallible;

use futures_util::FutureExt as _;
use rand::TryRng;

use super::contract::{Call, Random, Reply};
use crate::contract::Shared;

/// What a guest draws from. Zeros, when nothing is drawn: a replay that has ended in a difference.
pub struct Drawing(Shared<Random>);

impl Drawing {
    /// Draws from here.
    pub fn new(source: Shared<Random>) -> Self {
        Self(source)
    }

    /// The seed that a guest's hash maps start from.
    pub fn seed(&self) -> u128 {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        u128::from_le_bytes(bytes)
    }

    fn fill(&self, bytes: &mut [u8]) {
        let call = Call::Draw {
            bytes: bytes.len() as u64,
        };
        if let Some(Ok(Reply::Drawn(drawn))) = self.0.call(call).now_or_never() {
            bytes
                .iter_mut()
                .zip(drawn)
                .for_each(|(byte, drawn)| *byte = drawn);
        }
    }
}

impl TryRng for Drawing {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.fill(bytes);
        Ok(())
    }
}
