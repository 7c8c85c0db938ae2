//! What one invocation has used: time on a core, and memory.
//!
//! In: a future that runs a guest. Out: the same future, with the time of each poll added to an account that the epoch
//! callback compares with the budget. The clock is the kernel's monotonic one, which reads the time-stamp counter without a
//! system call; what the kernel gives to others while a poll runs is charged too, what the guest waits for is not.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use crate::profile::EPOCH;

/// The account of one invocation. Written by one thread at a time, read by any.
#[derive(Debug)]
pub struct Account {
    budget_ns: AtomicU64,
    used_ns: AtomicU64,
    /// When the poll that runs now began; 0 between polls.
    poll_began_ns: AtomicU64,
    /// The poll that ran last was cut off by the end of an epoch.
    interrupted: AtomicBool,
    memory_bytes: AtomicU64,
    memory_refused: AtomicBool,
}

impl Account {
    /// An empty account with this budget.
    pub fn new(budget: Duration) -> Arc<Self> {
        Arc::new(Self {
            budget_ns: AtomicU64::new(nanoseconds(budget)),
            used_ns: AtomicU64::new(0),
            poll_began_ns: AtomicU64::new(0),
            interrupted: AtomicBool::new(false),
            memory_bytes: AtomicU64::new(0),
            memory_refused: AtomicBool::new(false),
        })
    }

    /// Time on a core so far, the running poll included.
    pub fn used(&self) -> Duration {
        let running = match self.poll_began_ns.load(Relaxed) {
            0 => 0,
            began => now_ns().saturating_sub(began),
        };
        Duration::from_nanos(self.used_ns.load(Relaxed).saturating_add(running))
    }

    /// Whether the budget is spent.
    pub fn is_spent(&self) -> bool {
        nanoseconds(self.used()) > self.budget_ns.load(Relaxed)
    }

    /// Adds to the budget: another invocation is charged to the same account.
    pub fn allow(&self, more: Duration) {
        self.budget_ns.fetch_add(nanoseconds(more), Relaxed);
    }

    /// Whether the end of an epoch cut the last poll off: the guest did not wait for anything.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Relaxed)
    }

    /// Whether the guest computes rather than waits: its last poll was cut off, and it has used a whole epoch.
    pub fn is_cpu_bound(&self) -> bool {
        self.is_interrupted() && self.used() >= EPOCH
    }

    /// The end of an epoch cuts the poll that runs off.
    pub fn interrupt(&self) {
        self.interrupted.store(true, Relaxed);
    }

    /// Bytes of all linear memories and tables. They never shrink, so this is the peak.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Relaxed)
    }

    /// Whether a growth was refused. A guest that traps afterwards ran out of memory.
    pub fn memory_refused(&self) -> bool {
        self.memory_refused.load(Relaxed)
    }

    pub(crate) fn set_memory_bytes(&self, bytes: u64) {
        self.memory_bytes.store(bytes, Relaxed);
    }

    pub(crate) fn refuse_memory(&self) {
        self.memory_refused.store(true, Relaxed);
    }

    fn poll_begins(&self) {
        self.interrupted.store(false, Relaxed);
        self.poll_began_ns.store(now_ns().max(1), Relaxed);
    }

    fn poll_ends(&self) {
        let began = self.poll_began_ns.swap(0, Relaxed);
        self.used_ns
            .fetch_add(now_ns().saturating_sub(began), Relaxed);
    }
}

/// A future whose polls are charged to an account.
pub struct Metered<F> {
    future: F,
    account: Arc<Account>,
}

impl<F: Future + Unpin> Metered<F> {
    /// Charges every poll of `future` to `account`.
    pub fn new(future: F, account: Arc<Account>) -> Self {
        Self { future, account }
    }
}

impl<F: Future + Unpin> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.account.poll_begins();
        let poll = Pin::new(&mut self.future).poll(context);
        self.account.poll_ends();
        poll
    }
}

fn now_ns() -> u64 {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    nanoseconds(ORIGIN.get_or_init(Instant::now).elapsed())
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn charges_polls_and_not_waiting() {
        let account = Account::new(Duration::from_secs(1));
        let (release, released) = tokio::sync::oneshot::channel();
        let waiting = tokio::spawn(Metered::new(
            Box::pin(async {
                released.await.unwrap();
                let began = Instant::now();
                while began.elapsed() < Duration::from_millis(20) {}
            }),
            Arc::clone(&account),
        ));
        let idle = Instant::now();
        while idle.elapsed() < Duration::from_millis(60) {
            tokio::task::yield_now().await;
        }
        assert!(
            account.used() < Duration::from_millis(20),
            "waiting is free: {:?}",
            account.used()
        );
        release.send(()).unwrap();
        waiting.await.unwrap();
        assert!(account.used() >= Duration::from_millis(20));
        assert!(!account.is_spent());
    }
}
