//! The clocks of the machine.

use wasmtime_wasi::{
    HostMonotonicClock as _, HostWallClock as _,
    clocks::{MonotonicClock, WallClock},
};

use super::contract::{Call, Clock, Reply};
use crate::contract::{Answer, Backend, Support};

/// Time since 1970, which an operator may set back.
pub struct Wall(WallClock);

/// Time since this clock was made.
#[derive(Default)]
pub struct Monotonic(MonotonicClock);

/// Both can do everything.
pub const SUPPORT: Support = Support::full("system");

impl Default for Wall {
    fn default() -> Self {
        Self(WallClock)
    }
}

impl Backend<Clock> for Wall {
    fn call(&self, _: Call) -> Answer<'_, Clock> {
        let now = u64::try_from(self.0.now().as_nanos()).unwrap_or(u64::MAX);
        Box::pin(async move { Ok(Reply(now)) })
    }
}

impl Backend<Clock> for Monotonic {
    fn call(&self, _: Call) -> Answer<'_, Clock> {
        let now = self.0.now();
        Box::pin(async move { Ok(Reply(now)) })
    }
}
