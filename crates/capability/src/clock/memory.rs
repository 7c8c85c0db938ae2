//! A clock that stands still: the reference reading of the contract, and the time of a profile.

use super::contract::{Call, Clock, Reply};
use crate::contract::{Answer, Backend, Support};

/// A clock at which it is always the same time.
#[derive(Debug, Clone, Copy)]
pub struct Memory(u64);

impl Memory {
    /// Time does not pass.
    pub const SUPPORT: Support = Support {
        backend: "memory",
        unsupported: &["time that passes"],
    };

    /// It is this many nanoseconds after the beginning.
    pub fn at(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }
}

impl Backend<Clock> for Memory {
    fn call(&self, _: Call) -> Answer<'_, Clock> {
        let now = Reply(self.0);
        Box::pin(async move { Ok(now) })
    }
}
