//! When requests are due. In: a rate. Out: the instants at which requests are meant to leave, whether or not earlier ones were answered, and a
//! timer that wakes for them without rounding up to milliseconds as the runtime's own does.

use std::{
    fmt, io,
    str::FromStr,
    time::{Duration, Instant},
};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use thiserror::Error;
use tokio::net::unix::pipe::Receiver;

/// How many requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// As many as the connections carry: each sends the next when it has its answer.
    Max,
    /// So many a second, each at its instant: open loop.
    PerSecond(f64),
}

/// It is no pace.
#[derive(Debug, Error)]
#[error("{0:?} is no rate; write requests a second, as 1000, or max")]
pub struct PaceError(String);

impl FromStr for Pace {
    type Err = PaceError;

    fn from_str(text: &str) -> Result<Self, PaceError> {
        if text == "max" {
            return Ok(Pace::Max);
        }
        match text.parse() {
            // Above it, the interval is less than the clock's.
            Ok(rate) if (0.001..=10_000_000.0).contains(&rate) => Ok(Pace::PerSecond(rate)),
            _ => Err(PaceError(text.into())),
        }
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pace::Max => f.write_str("as fast as answers come"),
            Pace::PerSecond(rate) => write!(f, "{rate} requests / s asked"),
        }
    }
}

/// The instants of one thread: every `step`-th of all.
#[derive(Debug)]
pub(crate) struct Schedule {
    begin: Instant,
    rate: f64,
    next: u64,
    step: u64,
}

impl Schedule {
    pub(crate) fn new(begin: Instant, rate: f64, first: u64, step: u64) -> Self {
        Self {
            begin,
            rate,
            next: first,
            step,
        }
    }
}

impl Iterator for Schedule {
    type Item = Instant;

    fn next(&mut self) -> Option<Instant> {
        // Counted from the beginning each time: rounding does not add up.
        let due = self.begin + Duration::from_secs_f64(self.next as f64 / self.rate);
        self.next += self.step;
        Some(due)
    }
}

/// Wakes one task at a time. The runtime's own type for a descriptor of any kind cannot be had without `unsafe`; its pipe only waits and
/// reads, and a timer is waited for and read alike.
pub(crate) struct Timer(Receiver);

impl Timer {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self(Receiver::from_owned_fd_unchecked(timer)?))
    }

    pub(crate) async fn until(&self, due: Instant) -> io::Result<()> {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            },
        };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)?;
        loop {
            self.0.readable().await?;
            match self.0.try_read(&mut [0; 8]) {
                // What was ready before says so until it is read in vain.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read.map(|_| ()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_rate() {
        assert_eq!("max".parse::<Pace>().unwrap(), Pace::Max);
        assert_eq!("0.5".parse::<Pace>().unwrap(), Pace::PerSecond(0.5));
        for wrong in ["", "0", "-1", "inf", "NaN", "fast", "1e99"] {
            assert!(wrong.parse::<Pace>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn threads_share_the_instants_of_one_schedule() {
        let begin = Instant::now();
        let of_thread = |thread| Schedule::new(begin, 1000.0, thread, 2).take(500);
        let mut all: Vec<Instant> = of_thread(0).chain(of_thread(1)).collect();
        all.sort();
        let expected = (0..1000).map(|ms| begin + Duration::from_millis(ms));
        for (due, expected) in all.iter().zip(expected) {
            let apart = due.max(&expected).duration_since(*due.min(&expected));
            assert!(apart < Duration::from_micros(1), "{apart:?}");
        }
    }

    #[tokio::test]
    async fn never_wakes_too_early() {
        let timer = Timer::new().unwrap();
        for wait_us in [0, 1, 100, 3_000] {
            let due = Instant::now() + Duration::from_micros(wait_us);
            timer.until(due).await.unwrap();
            assert!(Instant::now() >= due);
        }
    }
}
