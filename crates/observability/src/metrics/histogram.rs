//! A histogram of plain atomics: the client library's takes a lock for every observation.
//!
//! Sum and buckets are read one after the other, so a scrape may see an observation in one and not yet in the other.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Upper bounds in the unit that is observed, ascending; everything above falls into a last bucket of its own.
pub(crate) type Bounds = &'static [u64];

#[derive(Debug)]
pub(crate) struct Histogram {
    bounds: Bounds,
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// What was observed so far.
pub(crate) struct Observed {
    pub(crate) sum: f64,
    pub(crate) count: u64,
    /// Upper bound and how many fell below it but not below the bound before.
    pub(crate) buckets: Vec<(f64, u64)>,
}

impl Histogram {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    pub(crate) fn observe(&self, value: u64) {
        let bucket = self.bounds.partition_point(|&bound| bound < value);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        self.sum.fetch_add(value, Relaxed);
    }

    /// Reads it in a unit `per_unit` times as large: nanoseconds become seconds with 1e9.
    #[expect(
        clippy::cast_precision_loss,
        reason = "Prometheus has floating point only"
    )]
    pub(crate) fn read(&self, per_unit: f64) -> Observed {
        let bounds = self
            .bounds
            .iter()
            .map(|&bound| bound as f64 / per_unit)
            .chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds
            .zip(self.counts.iter().map(|count| count.load(Relaxed)))
            .collect();
        Observed {
            sum: self.sum.load(Relaxed) as f64 / per_unit,
            count: buckets.iter().map(|(_, count)| count).sum(),
            buckets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_includes_its_own_value() {
        let histogram = Histogram::new(&[10, 20]);
        for value in [0, 10, 11, 20, 21, 1_000] {
            histogram.observe(value);
        }
        let observed = histogram.read(10.0);
        assert_eq!(observed.buckets, [(1.0, 2), (2.0, 2), (f64::INFINITY, 2)]);
        assert_eq!((observed.count, observed.sum), (6, 106.2));
    }
}
