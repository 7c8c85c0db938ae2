//! The minimum-progress rule, and an alarm that costs nothing while it is not due.
//!
//! In: when we began to wait for a client and what it then moved. Out: the instant at which we stop waiting. Only time in which
//! the client is the one awaited counts: a slow destination never makes its client look slow.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::time::Sleep;

use crate::config::Patience;

/// One direction of one body, or of one connection.
pub(crate) struct Pace {
    patience: Patience,
    waited: Duration,
    since: Option<Instant>,
    bytes: u64,
}

impl Pace {
    pub(crate) fn new(patience: Patience) -> Self {
        Self {
            patience,
            waited: Duration::ZERO,
            since: None,
            bytes: 0,
        }
    }

    /// The client moved `bytes`.
    pub(crate) fn moved(&mut self, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// We wait for the client: until when? Either it moves nothing for the idle time, or all waiting together exceeds the
    /// grace and what its bytes so far have earned.
    pub(crate) fn waiting(&mut self) -> Instant {
        let since = *self.since.get_or_insert_with(Instant::now);
        let earned = self.bytes / u64::from(self.patience.min_bytes_per_second.max(1));
        let allowed = self.patience.grace.max(Duration::from_secs(earned));
        since + self.patience.idle.min(allowed.saturating_sub(self.waited))
    }
}

/// A timer that is registered lazily: moving its deadline later costs nothing until it rings too early.
#[derive(Default)]
pub(crate) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready once `deadline` has passed.
    pub(crate) fn poll_at(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let wanted = deadline.into();
        let sleep = self
            .0
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(wanted)));
        if sleep.deadline() > wanted {
            sleep.as_mut().reset(wanted);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= wanted {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(wanted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience() -> Patience {
        Patience {
            idle: Duration::from_secs(30),
            grace: Duration::from_secs(10),
            min_bytes_per_second: 100,
        }
    }

    #[test]
    fn waits_for_the_grace_when_nothing_has_moved() {
        let mut pace = Pace::new(patience());
        let left = pace.waiting() - Instant::now();
        assert!(left > Duration::from_secs(9) && left <= Duration::from_secs(10));
    }

    #[test]
    fn bytes_earn_time_up_to_the_idle_limit() {
        let mut pace = Pace::new(patience());
        pace.moved(2_000);
        assert!(pace.waiting() - Instant::now() > Duration::from_secs(19));
        pace.moved(1_000_000);
        let left = pace.waiting() - Instant::now();
        assert!(left > Duration::from_secs(29) && left <= Duration::from_secs(30));
    }

    #[test]
    fn time_waited_is_spent() {
        let mut pace = Pace::new(patience());
        pace.waited = Duration::from_secs(60);
        assert!(pace.waiting() <= Instant::now());
        pace.moved(6_500);
        assert!(pace.waiting() > Instant::now() + Duration::from_secs(4));
    }
}
