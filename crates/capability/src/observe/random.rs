//! Randomness whose draws are calls like any other.

use std::convert::Infallible;

use rand::{TryRng, rngs::ThreadRng};

use super::Observation;

/// Draws through an observation. In a replay without a further draw, zeros.
pub struct Observed {
    observation: Observation,
    kind: &'static str,
    source: ThreadRngHandle,
}

/// A thread's generator is not `Send`; each draw takes the one of its thread.
struct ThreadRngHandle;

impl ThreadRngHandle {
    fn fill(&self, bytes: &mut [u8]) {
        let mut source: ThreadRng = rand::rng();
        match source.try_fill_bytes(bytes) {
            Ok(()) => {}
        }
    }
}

const NAME: &str = "randomness";

impl Observed {
    /// A generator for this observation; `kind` tells secure and insecure draws apart.
    pub fn new(observation: Observation, kind: &'static str) -> Self {
        Self {
            observation,
            kind,
            source: ThreadRngHandle,
        }
    }

    fn draw(&self, bytes: &mut [u8]) {
        match &self.observation {
            Observation::Record(recorder) => {
                self.source.fill(bytes);
                recorder.note(NAME, &self.kind.into(), &bytes.len(), &bytes);
            }
            Observation::Replay(player) => {
                let drawn: Vec<u8> = player
                    .play(NAME, self.kind, &bytes.len())
                    .unwrap_or_default();
                for (byte, drawn) in bytes.iter_mut().zip(drawn) {
                    *byte = drawn;
                }
            }
            Observation::None | Observation::Hold(_) => self.source.fill(bytes),
        }
    }
}

impl TryRng for Observed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.draw(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.draw(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.draw(bytes);
        Ok(())
    }
}

/// The seed a guest's hash maps start from: 16 bytes of an insecure draw.
pub fn seed(observation: &Observation) -> u128 {
    let mut bytes = [0; 16];
    Observed::new(observation.clone(), "insecure-seed").draw(&mut bytes);
    u128::from_le_bytes(bytes)
}
