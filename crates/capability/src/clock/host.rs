//! `wasi:clocks` of both generations, read through the contract: WASI's own translation asks here.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use futures_util::FutureExt as _;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

use super::contract::{Call, Clock};
use crate::contract::Shared;

/// What a guest reads. While the clock does not answer, time stands still.
pub struct Reading {
    clock: Shared<Clock>,
    last: AtomicU64,
}

impl Reading {
    /// Reads this clock.
    pub fn new(clock: Shared<Clock>) -> Self {
        Self {
            clock,
            last: AtomicU64::new(0),
        }
    }

    fn read(&self) -> u64 {
        match self.clock.call(Call::Now).now_or_never() {
            Some(Ok(now)) => {
                self.last.store(now.0, Relaxed);
                now.0
            }
            Some(Err(_)) | None => self.last.load(Relaxed),
        }
    }
}

impl HostWallClock for Reading {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.read())
    }
}

impl HostMonotonicClock for Reading {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        self.read()
    }
}
