//! What came of the requests. In: one outcome after another. Out: latencies, bytes, failures by kind, and when each was over.
//! A failure is in no latency: a quick refusal would make a service look fast.

use std::{collections::BTreeMap, fmt, time::Duration};

use hdrhistogram::Histogram;

/// Why a request does not count as answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// It was answered with a status that was not expected.
    Status(u16),
    /// There was no connection to be had.
    Connect,
    /// The connection ended before the answer did.
    Closed,
    /// The answer took longer than it may.
    TimedOut,
    /// What came is not HTTP.
    Malformed,
    /// It was due, and every connection still waited for an earlier answer when the time was over.
    NotSent,
}

/// So much is one column of a plot over time.
pub(crate) const SLOT: Duration = Duration::from_millis(100);
/// One hour; what takes longer is counted as this.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// Outcomes, added up.
#[derive(Debug, Clone)]
pub struct Tally {
    /// From the instant at which a request was meant to leave to the last byte of its answer, in nanoseconds.
    pub(crate) latency_ns: Histogram<u64>,
    /// How late this program itself was with requests for which a connection stood ready.
    pub(crate) late_ns: Histogram<u64>,
    failures: BTreeMap<Failure, u64>,
    bytes: u64,
    /// Answers that were over in each [`SLOT`] since the measurement began.
    pub(crate) answered: Vec<u64>,
    last_answer: Duration,
    pub(crate) window: Duration,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            latency_ns: histogram(),
            late_ns: histogram(),
            failures: BTreeMap::new(),
            bytes: 0,
            answered: Vec::new(),
            last_answer: Duration::ZERO,
            window: Duration::ZERO,
        }
    }

    /// It was answered as expected; `at` counts from the beginning of the measurement.
    pub(crate) fn answer(&mut self, took: Duration, at: Duration, bytes: u64) {
        record(&mut self.latency_ns, took);
        self.bytes += bytes;
        self.last_answer = self.last_answer.max(at);
        let slot = usize::try_from(at.as_nanos() / SLOT.as_nanos()).unwrap_or(usize::MAX);
        if self.answered.len() <= slot {
            self.answered.resize(slot + 1, 0);
        }
        if let Some(answered) = self.answered.get_mut(slot) {
            *answered += 1;
        }
    }

    pub(crate) fn fail(&mut self, failure: Failure) {
        *self.failures.entry(failure).or_default() += 1;
    }

    pub(crate) fn late(&mut self, by: Duration) {
        record(&mut self.late_ns, by);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        // Both have the same bounds, so nothing is refused.
        let _ = self.latency_ns.add(&other.latency_ns);
        let _ = self.late_ns.add(&other.late_ns);
        for (failure, count) in &other.failures {
            *self.failures.entry(*failure).or_default() += count;
        }
        self.bytes += other.bytes;
        self.last_answer = self.last_answer.max(other.last_answer);
        if self.answered.len() < other.answered.len() {
            self.answered.resize(other.answered.len(), 0);
        }
        for (all, more) in self.answered.iter_mut().zip(&other.answered) {
            *all += more;
        }
    }

    /// Answers as expected.
    pub fn succeeded(&self) -> u64 {
        self.latency_ns.len()
    }

    /// Everything else.
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Everything else, by kind.
    pub fn failures(&self) -> &BTreeMap<Failure, u64> {
        &self.failures
    }

    /// Whether no request was due.
    pub(crate) fn is_empty(&self) -> bool {
        self.succeeded() + self.failed() == 0
    }

    /// Answers of any status: what the service worked for.
    pub(crate) fn answered_at_all(&self) -> u64 {
        let other = self.failures.iter();
        let other = other.filter(|(failure, _)| matches!(failure, Failure::Status(_)));
        self.succeeded() + other.map(|(_, count)| count).sum::<u64>()
    }

    /// Bytes of the answers' bodies.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How long it took to get these answers: the time asked for, or until the last answer when that came later.
    pub fn elapsed(&self) -> Duration {
        self.window.max(self.last_answer)
    }

    /// Answers as expected per second.
    pub fn per_second(&self) -> f64 {
        self.succeeded() as f64 / self.elapsed().as_secs_f64()
    }

    /// The latency that this share of the answers did not exceed, in milliseconds; NaN without answers.
    pub fn latency_ms(&self, quantile: f64) -> f64 {
        if self.latency_ns.is_empty() {
            return f64::NAN;
        }
        self.latency_ns.value_at_quantile(quantile) as f64 / 1e6
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self::new()
    }
}

/// Three digits from 256 ns to an hour.
#[expect(clippy::expect_used, reason = "the bounds are constant, and in order")]
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(256, LONGEST_NS, 3).expect("the bounds are in order")
}

fn record(histogram: &mut Histogram<u64>, time: Duration) {
    histogram.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(LONGEST_NS));
}

impl Failure {
    /// What went wrong between the request and the last byte of its answer.
    pub(crate) fn of(error: &hyper::Error) -> Self {
        if error.is_parse() || error.is_parse_status() || error.is_parse_too_large() {
            Failure::Malformed
        } else {
            Failure::Closed
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Status(status) => write!(f, "status {status}"),
            Failure::Connect => f.write_str("no connection"),
            Failure::Closed => f.write_str("connection closed"),
            Failure::TimedOut => f.write_str("timed out"),
            Failure::Malformed => f.write_str("not HTTP"),
            Failure::NotSent => f.write_str("not sent in time"),
        }
    }
}
