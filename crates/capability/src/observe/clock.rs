//! Clocks whose readings are calls like any other.

use std::time::Duration;

use wasmtime_wasi::{
    HostMonotonicClock, HostWallClock,
    clocks::{MonotonicClock, WallClock},
};

use super::Observation;

/// Reads a clock through an observation. In a replay without a further reading, time stands still.
pub struct Observed {
    observation: Observation,
    wall: WallClock,
    monotonic: MonotonicClock,
}

const NAME: &str = "clock";

impl Observed {
    /// A clock for this observation.
    pub fn new(observation: Observation) -> Self {
        Self {
            observation,
            wall: WallClock,
            monotonic: MonotonicClock::default(),
        }
    }

    fn read(&self, which: &str, read: impl FnOnce() -> u64) -> u64 {
        match &self.observation {
            Observation::Record(recorder) => {
                let now = read();
                recorder.note(NAME, &which.into(), &"now", &now);
                now
            }
            Observation::Replay(player) => player.play(NAME, which, &"now").unwrap_or(0),
            Observation::None | Observation::Hold(_) => read(),
        }
    }
}

impl HostWallClock for Observed {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.read("wall", || {
            u64::try_from(self.wall.now().as_nanos()).unwrap_or(u64::MAX)
        }))
    }
}

impl HostMonotonicClock for Observed {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        self.read("monotonic", || self.monotonic.now())
    }
}
