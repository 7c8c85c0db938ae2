//! Who may start now: per app, a number of invocations at once and a bounded queue in front of them.
//!
//! In: a request to start. Out: a place that is given back when it is dropped, or the reason to answer 503.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The gate of one app or component.
#[derive(Debug)]
pub struct Admission {
    places: Arc<Semaphore>,
    concurrency: usize,
    queued: AtomicUsize,
    max_queued: usize,
    max_wait: Duration,
}

/// Why somebody may not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    /// As many wait as may.
    QueueFull,
    /// It waited as long as it may.
    TooLate,
}

/// The right to run one invocation. Given back when dropped.
pub type Place = OwnedSemaphorePermit;

impl Admission {
    /// Lets `concurrency` run at once; `max_queued` more wait for at most `max_wait`.
    pub fn new(concurrency: usize, max_queued: usize, max_wait: Duration) -> Self {
        let places = Arc::new(Semaphore::new(concurrency.min(Semaphore::MAX_PERMITS)));
        Self {
            places,
            concurrency,
            queued: AtomicUsize::new(0),
            max_queued,
            max_wait,
        }
    }

    /// Takes a place, waiting in the queue when none is free. First come, first served.
    ///
    /// # Errors
    /// See [`Turned`].
    pub async fn enter(&self) -> Result<Place, Turned> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        let _queued = Queued::join(self).ok_or(Turned::QueueFull)?;
        match tokio::time::timeout(self.max_wait, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(Turned::TooLate),
        }
    }

    /// Invocations that run now.
    pub fn running(&self) -> usize {
        self.concurrency
            .saturating_sub(self.places.available_permits())
    }

    /// Requests that wait now.
    pub fn queued(&self) -> usize {
        self.queued.load(Relaxed)
    }
}

/// A place in the queue; left when dropped, also when the client leaves while waiting.
struct Queued<'a>(&'a Admission);

impl<'a> Queued<'a> {
    fn join(admission: &'a Admission) -> Option<Self> {
        let joined = admission.queued.fetch_update(Relaxed, Relaxed, |queued| {
            (queued < admission.max_queued).then_some(queued + 1)
        });
        joined.is_ok().then(|| Self(admission))
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_away_whom_the_queue_cannot_hold_and_who_waits_too_long() {
        let admission = Arc::new(Admission::new(1, 1, Duration::from_secs(1)));
        let place = admission.enter().await.unwrap();
        let waiting = tokio::spawn({
            let admission = Arc::clone(&admission);
            async move { admission.enter().await.map(drop) }
        });
        while admission.queued() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(admission.enter().await.map(drop), Err(Turned::QueueFull));
        assert_eq!(waiting.await.unwrap(), Err(Turned::TooLate));
        assert_eq!((admission.queued(), admission.running()), (0, 1));
        drop(place);
        assert!(admission.enter().await.is_ok());
    }

    #[tokio::test]
    async fn gives_a_freed_place_to_the_first_who_waits() {
        let admission = Arc::new(Admission::new(1, 8, Duration::from_secs(60)));
        let place = admission.enter().await.unwrap();
        let waiting = tokio::spawn({
            let admission = Arc::clone(&admission);
            async move { admission.enter().await.is_ok() }
        });
        while admission.queued() == 0 {
            tokio::task::yield_now().await;
        }
        drop(place);
        assert!(waiting.await.unwrap());
    }
}
