//! Counts what a component asks of a capability.
//!
//! In: calls. Out: the same calls, and counters that whoever reports them reads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::contract::{Answer, Backend, Contract, Shared};

/// The counters of one component and capability. Monotonic.
#[derive(Debug, Default)]
pub struct Counters {
    /// Calls, failed ones included.
    pub calls: AtomicU64,
    /// Calls answered with an error.
    pub errors: AtomicU64,
    /// Payload of calls and replies.
    pub bytes: AtomicU64,
    /// From call to answer, summed.
    pub time_ns: AtomicU64,
}

impl Counters {
    /// Counts one answered call.
    pub fn count(&self, bytes: u64, time: Duration, succeeded: bool) {
        self.calls.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
        self.errors.fetch_add(u64::from(!succeeded), Relaxed);
        self.time_ns
            .fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }
}

/// A backend whose calls are counted.
pub struct Meter<C: Contract> {
    inner: Shared<C>,
    counters: Arc<Counters>,
}

impl<C: Contract> Meter<C> {
    /// Counts every call of `inner`.
    pub fn new(inner: Shared<C>, counters: Arc<Counters>) -> Self {
        Self { inner, counters }
    }
}

impl<C: Contract> Backend<C> for Meter<C> {
    fn call(&self, call: C::Call) -> Answer<'_, C> {
        Box::pin(async move {
            let began = Instant::now();
            let mut bytes = C::call_bytes(&call);
            let answer = self.inner.call(call).await;
            bytes += answer.as_ref().map_or(0, C::reply_bytes);
            self.counters.count(bytes, began.elapsed(), answer.is_ok());
            answer
        })
    }
}
