//! A generator from a seed: the reference reading of the contract, and the randomness of a profile. Whoever knows the seed knows every
//! draw.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::contract::{Call, Random, Reply};
use crate::contract::{Answer, Backend, Support};

/// A generator from a seed.
#[derive(Debug)]
pub struct Memory {
    seed: u64,
    drawn: AtomicU64,
}

impl Memory {
    /// Everybody can repeat what it draws.
    pub const SUPPORT: Support = Support {
        backend: "memory",
        unsupported: &["draws nobody can repeat"],
    };

    /// The same seed draws the same.
    pub fn seeded(seed: u64) -> Self {
        Self {
            seed,
            drawn: AtomicU64::new(0),
        }
    }

    fn draw(&self, bytes: u64) -> Vec<u8> {
        let numbers = bytes.div_ceil(8);
        let from = self.drawn.fetch_add(numbers, Relaxed);
        let mut drawn: Vec<u8> = (from..from + numbers)
            .flat_map(|number| number_of(self.seed, number).to_le_bytes())
            .collect();
        drawn.truncate(usize::try_from(bytes).unwrap_or(usize::MAX));
        drawn
    }
}

impl Backend<Random> for Memory {
    fn call(&self, call: Call) -> Answer<'_, Random> {
        let Call::Draw { bytes } = call;
        let drawn = Reply::Drawn(self.draw(bytes));
        Box::pin(async move { Ok(drawn) })
    }
}

/// The nth number of the sequence of `seed`: SplitMix64 (Steele, Lea, Flood, 2014), which can be asked anywhere.
pub(crate) fn number_of(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
