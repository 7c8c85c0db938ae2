//! What is counted of requests, per component.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use coracle_gateway::Ending;

use super::histogram::{Bounds, Histogram};
use crate::{
    outcome::Outcome,
    per_component::{OTHER, PerComponent},
};

/// Pairs of app and component with counters of their own.
const COMPONENTS: usize = 4_096;
/// Distinct reasons per component.
const REASONS: usize = 64;

pub(crate) const NANOSECONDS: f64 = 1e9;
const US: u64 = 1_000;
const MS: u64 = 1_000 * US;
const S: u64 = 1_000 * MS;
const DURATION: Bounds = &[
    100 * US,
    250 * US,
    500 * US,
    MS,
    2_500 * US,
    5 * MS,
    10 * MS,
    25 * MS,
    50 * MS,
    100 * MS,
    250 * MS,
    500 * MS,
    S,
    2_500 * MS,
    5 * S,
    10 * S,
    30 * S,
];
const CPU: Bounds = &[
    25 * US,
    50 * US,
    100 * US,
    250 * US,
    500 * US,
    MS,
    2_500 * US,
    5 * MS,
    10 * MS,
    50 * MS,
    100 * MS,
    500 * MS,
    S,
];
const MIB: u64 = 1 << 20;
const MEMORY: Bounds = &[
    MIB,
    2 * MIB,
    4 * MIB,
    8 * MIB,
    16 * MIB,
    32 * MIB,
    64 * MIB,
    128 * MIB,
    256 * MIB,
    512 * MIB,
    1024 * MIB,
];

/// Status classes as labels, in the order of their counters.
pub(crate) const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

pub(crate) struct Requests {
    pub(crate) components: PerComponent<Series>,
    pub(crate) refused: Reasons,
}

/// The counters of one component.
pub(crate) struct Series {
    pub(crate) classes: [AtomicU64; CLASSES.len()],
    pub(crate) duration_ns: Histogram,
    pub(crate) cpu_ns: Histogram,
    pub(crate) memory_bytes: Histogram,
    pub(crate) response_bytes: AtomicU64,
    pub(crate) client_left: AtomicU64,
    pub(crate) aborted: AtomicU64,
    pub(crate) reasons: Reasons,
}

/// Counters by reason. Behind a lock, because requests that go well have none.
#[derive(Default)]
pub(crate) struct Reasons(Mutex<Vec<(Box<str>, u64)>>);

impl Requests {
    pub(crate) fn new() -> Self {
        Self {
            components: PerComponent::new(COMPONENTS, Series::new),
            refused: Reasons::default(),
        }
    }

    pub(crate) fn record(&self, outcome: &Outcome<'_>) {
        let (app, component) = (outcome.app.unwrap_or(""), outcome.component.unwrap_or(""));
        self.components
            .with(app, component, |series| series.record(outcome));
        if let (None, Some(reason)) = (outcome.app, outcome.reason) {
            self.refused.add(reason);
        }
    }
}

impl Series {
    fn new() -> Self {
        Self {
            classes: Default::default(),
            duration_ns: Histogram::new(DURATION),
            cpu_ns: Histogram::new(CPU),
            memory_bytes: Histogram::new(MEMORY),
            response_bytes: AtomicU64::new(0),
            client_left: AtomicU64::new(0),
            aborted: AtomicU64::new(0),
            reasons: Reasons::default(),
        }
    }

    fn record(&self, outcome: &Outcome<'_>) {
        if let Some(class) = self
            .classes
            .get(usize::from(outcome.status / 100))
            .or(self.classes.first())
        {
            class.fetch_add(1, Relaxed);
        }
        self.duration_ns.observe(nanoseconds(outcome.duration));
        self.response_bytes
            .fetch_add(outcome.response_bytes, Relaxed);
        if outcome.component.is_some() {
            self.cpu_ns.observe(nanoseconds(outcome.cpu));
            self.memory_bytes.observe(outcome.peak_memory_bytes);
        }
        match outcome.ending {
            Ending::Complete => {}
            Ending::ClientLeft => _ = self.client_left.fetch_add(1, Relaxed),
            Ending::Aborted => _ = self.aborted.fetch_add(1, Relaxed),
        }
        if let (Some(_), Some(reason)) = (outcome.app, outcome.reason) {
            self.reasons.add(reason);
        }
    }
}

impl Reasons {
    fn add(&self, reason: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |counts: &[(Box<str>, u64)], reason: &str| {
            counts.iter().position(|(known, _)| **known == *reason)
        };
        let reason = if known(&counts, reason).is_none() && counts.len() >= REASONS {
            OTHER
        } else {
            reason
        };
        match known(&counts, reason).and_then(|position| counts.get_mut(position)) {
            Some((_, count)) => *count += 1,
            None => counts.push((reason.into(), 1)),
        }
    }

    pub(crate) fn all(&self) -> Vec<(Box<str>, u64)> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_bounded() {
        let reasons = Reasons::default();
        for number in 0..1_000 {
            reasons.add(&format!("reason-{number}"));
            reasons.add("reason-0");
        }
        let all = reasons.all();
        assert_eq!(all.len(), REASONS + 1);
        assert_eq!(all.iter().map(|(_, count)| count).sum::<u64>(), 2_000);
        assert_eq!(all[0], ("reason-0".into(), 1_001));
        assert_eq!(all[REASONS], (OTHER.into(), 936));
    }
}
