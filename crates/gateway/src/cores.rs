//! The threads that serve: one per core, each with a runtime of its own.
//!
//! In: how many. Out: places where connections live. A connection stays with the core it was given to: its requests cross no queue
//! between threads and wake nobody. Deliberately absent: what else the process does; that stays in the runtime that started it.

use std::{
    io,
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use tokio::{runtime, sync::oneshot};

/// Threads that serve. Dropping it ends them, and cuts what they still hold.
#[derive(Debug)]
pub struct Cores {
    pub(crate) cores: Arc<[Core]>,
    _running: Vec<oneshot::Sender<()>>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) runtime: runtime::Handle,
    connections: AtomicUsize,
}

/// A connection's place on a core; dropping it leaves.
#[derive(Debug)]
pub(crate) struct Seat {
    cores: Arc<[Core]>,
    core: usize,
}

impl Cores {
    /// Starts a thread for each core that this process may use.
    ///
    /// # Errors
    /// When the system has no thread or no descriptor left.
    pub fn start() -> io::Result<Self> {
        Self::start_threads(thread::available_parallelism().map_or(1, NonZero::get))
    }

    fn start_threads(count: usize) -> io::Result<Self> {
        let mut cores = Vec::with_capacity(count);
        let mut running = Vec::with_capacity(count);
        for index in 0..count {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            cores.push(Core::new(runtime.handle().clone()));
            let (run, ended) = oneshot::channel();
            running.push(run);
            thread::Builder::new()
                .name(format!("core-{index}"))
                .spawn(move || {
                    // The sender says nothing; it is dropped.
                    let _ = runtime.block_on(ended);
                    runtime.shutdown_background();
                })?;
        }
        Ok(Self {
            cores: cores.into(),
            _running: running,
        })
    }
}

impl Core {
    pub(crate) fn new(runtime: runtime::Handle) -> Self {
        Self {
            runtime,
            connections: AtomicUsize::new(0),
        }
    }
}

impl Seat {
    /// On the core with the fewest connections; on `here` when none has fewer.
    pub(crate) fn take(cores: &Arc<[Core]>, here: usize) -> Self {
        let least = cores
            .iter()
            .enumerate()
            .min_by_key(|(index, core)| (core.connections.load(Relaxed), *index != here))
            .map_or(here, |(index, _)| index);
        if let Some(core) = cores.get(least) {
            core.connections.fetch_add(1, Relaxed);
        }
        Self {
            cores: Arc::clone(cores),
            core: least,
        }
    }

    /// Which core it is.
    pub(crate) fn core(&self) -> usize {
        self.core
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(core) = self.cores.get(self.core) {
            core.connections.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_stays_with_the_core_that_accepted_it_until_another_has_fewer() {
        let threads = Cores::start_threads(3).unwrap();
        let take = |here| Seat::take(&threads.cores, here);
        let (first, second, third) = (take(1), take(1), take(1));
        let mut taken = [first.core(), second.core(), third.core()];
        assert_eq!(taken[0], 1, "all are empty: it stays");
        taken.sort_unstable();
        assert_eq!(taken, [0, 1, 2]);
        assert_eq!(take(2).core(), 2, "all have one: it stays");
        let emptied = first.core();
        drop(first);
        assert_eq!(take(2).core(), emptied);
        drop((second, third));
    }

    #[test]
    fn the_threads_end_with_their_owner() {
        let threads = Cores::start_threads(2).unwrap();
        let (held, dropped) = std::sync::mpsc::channel::<()>();
        for core in threads.cores.iter() {
            let held = held.clone();
            core.runtime.spawn(async move {
                std::future::pending::<()>().await;
                drop(held);
            });
        }
        drop(held);
        drop(threads);
        assert!(dropped.recv().is_err(), "what they held is gone");
    }
}
