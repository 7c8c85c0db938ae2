//! The instances of one revision that wait for their next request.
//!
//! In: an instance at rest. Out: the one that came last, whose pages are warmest. The oldest end when they waited too long.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use coracle_capability::config::Variables;
use tokio::time::Instant;

use super::{InstanceCounts, Reuse, Room, Waiting};
use crate::http::instance::Instance;

/// Waiting instances of one revision.
pub(in crate::http) struct Shelf {
    reuse: Reuse,
    room: Arc<Room>,
    counts: Arc<InstanceCounts>,
    waiting: Mutex<Row>,
}

#[derive(Default)]
struct Row {
    /// Oldest first.
    instances: VecDeque<Rested>,
    /// Whether a task runs that ends those which wait too long.
    watched: bool,
}

struct Rested {
    instance: Instance,
    until: Instant,
    _waiting: Waiting,
}

impl Shelf {
    /// An empty one, whose instances count in `room`.
    pub(in crate::http) fn new(
        reuse: Reuse,
        room: Arc<Room>,
        counts: Arc<InstanceCounts>,
    ) -> Arc<Self> {
        let shelf = Arc::new(Self {
            reuse,
            room,
            counts,
            waiting: Mutex::default(),
        });
        shelf.room.add(&shelf);
        shelf
    }

    /// Requests after which an instance ends.
    pub(in crate::http) fn requests(&self) -> u32 {
        self.reuse.requests
    }

    pub(in crate::http) fn counts(&self) -> &InstanceCounts {
        &self.counts
    }

    /// An instance for the next request, if one waits that began with these variables.
    pub(in crate::http) fn take(&self, environment: &Variables) -> Option<Instance> {
        loop {
            let rested = {
                let mut row = self.row();
                // Whoever ends them may be late; they are not given out after their time all the same.
                row.instances
                    .pop_back_if(|rested| rested.until > Instant::now())?
            };
            // A program reads its variables once: one that began with others is not asked again.
            if Arc::ptr_eq(&rested.instance.environment, environment) {
                return Some(rested.instance);
            }
        }
    }

    /// Takes an instance whose request is over and left nothing behind, unless it has served as often as it may or too many wait.
    pub(in crate::http) fn put(self: &Arc<Self>, instance: Instance) {
        if instance.served >= self.reuse.requests {
            return;
        }
        let Some(waiting) = self.room.enter(&self.counts) else {
            return;
        };
        let until = Instant::now() + self.reuse.idle;
        let begin = {
            let mut row = self.row();
            row.instances.push_back(Rested {
                instance,
                until,
                _waiting: waiting,
            });
            !std::mem::replace(&mut row.watched, true)
        };
        if begin {
            tokio::spawn(end_in_time(Arc::downgrade(self), until));
        }
    }

    /// Ends all of them.
    pub(in crate::http) fn clear(&self) {
        let ended = std::mem::take(&mut self.row().instances);
        drop(ended);
    }

    /// Ends those whose time is over. When the next one's is, unless none waits.
    fn end_late(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut row = self.row();
        let late = row.instances.partition_point(|rested| rested.until <= now);
        let late: Vec<_> = row.instances.drain(..late).collect();
        let next = row.instances.front().map(|rested| rested.until);
        row.watched = next.is_some();
        drop(row);
        // Not under the lock: ending an instance takes as long as its memory is large.
        drop(late);
        next
    }

    fn row(&self) -> MutexGuard<'_, Row> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn end_in_time(shelf: Weak<Shelf>, first: Instant) {
    let mut next = Some(first);
    while let Some(until) = next {
        tokio::time::sleep_until(until).await;
        next = shelf.upgrade().and_then(|shelf| shelf.end_late());
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Shelf")
            .field("reuse", &self.reuse)
            .finish_non_exhaustive()
    }
}
