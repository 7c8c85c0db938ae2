//! Several measurements of one thing: rounds, which a table shows with their range, and single calls. In: how long each took. Out: a median.

use std::time::{Duration, Instant};

pub(crate) use coracle_load::Rounds;

/// The median of single calls, in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Calls(Vec<u64>);

impl Calls {
    /// Runs `call` and notes how long it took.
    pub(crate) async fn time<T>(&mut self, call: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let answer = call.await;
        self.note(began.elapsed());
        answer
    }

    pub(crate) fn note(&mut self, took: Duration) {
        self.0
            .push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn p50_ns(&mut self) -> f64 {
        let middle = self.0.len() / 2;
        if self.0.is_empty() {
            return f64::NAN;
        }
        *self.0.select_nth_unstable(middle).1 as f64
    }
}
