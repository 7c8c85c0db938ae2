//! Randomness of the machine: each thread has a generator that the kernel seeded.

use rand::{TryRng as _, rngs::ThreadRng};

use super::contract::{Call, Random, Reply};
use crate::contract::{Answer, Backend, Support};

/// Cryptographic randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl System {
    /// Everything.
    pub const SUPPORT: Support = Support::full("system");
}

impl Backend<Random> for System {
    fn call(&self, call: Call) -> Answer<'_, Random> {
        let Call::Draw { bytes } = call;
        // WASI bounds what a guest may ask for before it asks.
        let mut drawn = vec![0; usize::try_from(bytes).unwrap_or(0)];
        let mut source: ThreadRng = rand::rng();
        match source.try_fill_bytes(&mut drawn) {
            Ok(()) => {}
        }
        Box::pin(async move { Ok(Reply::Drawn(drawn)) })
    }
}
