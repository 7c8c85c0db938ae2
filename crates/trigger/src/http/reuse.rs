//! Instances that serve more than one request, where the manifest asks for it.
//!
//! In: instances whose request is over (`shelf`), and those that take several at once (`shared`). Out: the same instances for the next request of the same revision, up to a number of
//! requests and a time of waiting. A shelf belongs to one revision, so an instance never crosses apps, components or versions; one
//! that failed, was cancelled, hit a limit or was observed never gets there. Waiting instances hold slots of the pool: all of a
//! node's are bounded together, and give way when a fresh one finds no slot.

pub(super) mod shared;
mod shelf;

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{
            AtomicU64, AtomicUsize,
            Ordering::{AcqRel, Relaxed},
        },
    },
    time::Duration,
};

pub(super) use shared::Crew;
pub(super) use shelf::Shelf;

/// How long one instance may serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reuse {
    /// Requests after which it ends; at least two.
    pub requests: u32,
    /// How long it waits for the next one.
    pub idle: Duration,
    /// Requests it serves at once; more than one needs WASI 0.3.
    pub concurrent: u32,
}

/// What became of the instances of one component; outlives its revisions.
#[derive(Debug, Default)]
pub struct InstanceCounts {
    created: AtomicU64,
    reused: AtomicU64,
    idle: AtomicU64,
}

impl InstanceCounts {
    /// Instances made since the start, for a component that reuses them.
    pub fn created(&self) -> u64 {
        self.created.load(Relaxed)
    }

    /// Requests since the start that were given an instance which had served before.
    pub fn reused(&self) -> u64 {
        self.reused.load(Relaxed)
    }

    /// Instances that wait now.
    pub fn idle(&self) -> u64 {
        self.idle.load(Relaxed)
    }

    pub(super) fn count_created(&self) {
        self.created.fetch_add(1, Relaxed);
    }

    pub(super) fn count_reused(&self) {
        self.reused.fetch_add(1, Relaxed);
    }
}

/// Where the waiting instances of a whole node are counted.
#[derive(Debug)]
pub struct Room {
    max_idle: usize,
    idle: AtomicUsize,
    shelves: Mutex<Vec<Weak<Shelf>>>,
}

impl Room {
    /// Room for so many instances that wait, of all components together.
    pub fn new(max_idle: usize) -> Arc<Self> {
        Arc::new(Self {
            max_idle,
            idle: AtomicUsize::new(0),
            shelves: Mutex::default(),
        })
    }

    /// Instances that wait now.
    pub fn idle(&self) -> usize {
        self.idle.load(Relaxed)
    }

    /// Ends every instance that waits. Who comes while another does the same waits until their slots are free.
    pub(super) fn clear(&self) {
        let shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        for shelf in shelves.iter().filter_map(Weak::upgrade) {
            shelf.clear();
        }
    }

    fn add(&self, shelf: &Arc<Shelf>) {
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        shelves.retain(|shelf| shelf.strong_count() > 0);
        shelves.push(Arc::downgrade(shelf));
    }

    fn enter(self: &Arc<Self>, counts: &Arc<InstanceCounts>) -> Option<Waiting> {
        let entered = self.idle.fetch_update(AcqRel, Relaxed, |idle| {
            (idle < self.max_idle).then_some(idle + 1)
        });
        entered.ok()?;
        counts.idle.fetch_add(1, Relaxed);
        Some(Waiting {
            room: Arc::clone(self),
            counts: Arc::clone(counts),
        })
    }
}

/// A waiting instance is counted as long as this is held.
struct Waiting {
    room: Arc<Room>,
    counts: Arc<InstanceCounts>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.counts.idle.fetch_sub(1, Relaxed);
        self.room.idle.fetch_sub(1, AcqRel);
    }
}
