//! The one thread that writes.
//!
//! In: the queue. Out: answers, each after the commit that made its write durable; what waits while the disk flushes shares the
//! next flush. When a commit fails nothing of it is acknowledged. A full disk passes: the database is opened anew and goes on.
//! A flush that failed does not: nobody knows what is on the disk, so nothing is written until the node restarts.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::Receiver,
    },
    time::{Duration, Instant},
};

use coracle_capability::keyvalue::{Error, Reply};
use redb::{Database, StorageError};

use super::{
    Config, OpenError,
    batch::{Batch, Job},
    database,
    disk::{Disk, Medium, is_no_space},
    view::{Current, View},
};

/// Free space below which no write is begun, and what each may add to it: redb copies the pages that it changes.
const SPARE_BYTES: u64 = 1 << 20;
const JOB_BYTES: u64 = 16 << 10;
/// Shortest rest after the disk was found full by writing to it.
const REST: Duration = Duration::from_millis(250);

const FULL: &str = "the disk of the embedded store is full";
const STOPPED: &str =
    "the embedded store takes no writes since its disk failed; the node has to be restarted";

/// The database, and whether it can be written.
pub(crate) struct Writer {
    medium: Arc<dyn Medium>,
    config: Config,
    database: Database,
    disk: Disk,
    current: Arc<Current>,
    commits: Arc<AtomicU64>,
    health: Health,
}

enum Health {
    Writing,
    /// The filesystem has no room; the database is as good as ever.
    Full,
    /// It was found full by writing, and is not written before the instant: each such finding costs a database.
    Resting {
        until: Instant,
        open: bool,
    },
    /// For good.
    Stopped,
}

impl Writer {
    /// Opens the database; readers begin with what is in it.
    pub(crate) fn open(
        medium: Arc<dyn Medium>,
        config: &Config,
        commits: Arc<AtomicU64>,
    ) -> Result<(Self, Arc<Current>), OpenError> {
        let (database, disk, view) = open_with_view(&medium, config)?;
        let current = Arc::new(Current::new(view));
        let writer = Self {
            medium,
            config: config.clone(),
            database,
            disk,
            current: current.clone(),
            commits,
            health: Health::Writing,
        };
        Ok((writer, current))
    }

    /// Writes until the store is dropped, and closes the file.
    pub(crate) fn run(mut self, queue: &Receiver<Job>) {
        let mut before = (0, Duration::ZERO);
        while let Some(batch) = Batch::gather(queue, before) {
            let start = Instant::now();
            let answers = self.write(&batch);
            before = (batch.len(), start.elapsed());
            batch.answer(answers);
        }
    }

    fn write(&mut self, batch: &Batch) -> Result<Vec<Result<Reply, Error>>, Error> {
        self.restore()?;
        if !batch.writes() {
            return Ok(vec![Ok(Reply::Done); batch.len()]);
        }
        self.check_space(batch)?;
        // A panic of redb is treated as what it then is, a database in an unknown state.
        let committed = catch_unwind(AssertUnwindSafe(|| {
            let answers = batch.commit(&self.database)?;
            Ok((answers, View::of(&self.database)?))
        }));
        match committed {
            Ok(Ok((answers, view))) => {
                self.current.replace(view);
                self.commits.fetch_add(1, Ordering::Relaxed);
                Ok(answers)
            }
            Ok(Err(StorageError::Io(error)))
                if is_no_space(&error) && !self.disk.flush_failed() =>
            {
                tracing::warn!(file = ?self.config.file(), %error, "the key-value store has no room on its disk");
                self.reopen();
                Err(self.refusal())
            }
            Ok(Err(error)) => Err(self.stop(&error)),
            Err(_) => Err(self.stop(&"redb panicked")),
        }
    }

    /// Brings the store back after a failure that passes.
    fn restore(&mut self) -> Result<(), Error> {
        match self.health {
            Health::Resting { until, .. } if Instant::now() < until => {}
            Health::Resting { open: true, .. } => self.health = Health::Writing,
            Health::Resting { open: false, .. } => self.reopen(),
            Health::Writing | Health::Full | Health::Stopped => {}
        }
        match self.health {
            Health::Writing | Health::Full => Ok(()),
            Health::Resting { .. } | Health::Stopped => Err(self.refusal()),
        }
    }

    /// Refuses before redb meets the end of the disk: an error there ends its database, and reads with it for a moment. What only
    /// deletes is let through, for it makes room.
    fn check_space(&mut self, batch: &Batch) -> Result<(), Error> {
        let need = SPARE_BYTES + JOB_BYTES * batch.len() as u64 + 2 * batch.bytes();
        // A filesystem that cannot tell has to find out by writing.
        let free_bytes = self.medium.free_bytes().unwrap_or(u64::MAX);
        let fits = free_bytes >= need || batch.only_deletes();
        match (&self.health, fits) {
            (Health::Writing, false) => {
                tracing::warn!(file = ?self.config.file(), free_bytes, "the disk of the key-value store is full: no writes");
                self.health = Health::Full;
            }
            (Health::Full, true) => {
                tracing::info!(file = ?self.config.file(), free_bytes, "the key-value store takes writes again");
                self.health = Health::Writing;
            }
            _ => {}
        }
        if fits { Ok(()) } else { Err(self.refusal()) }
    }

    /// redb refuses everything after an error of its file. What was committed is there, so another database is put on it; the
    /// failed one keeps answering from memory until then, and can write no more.
    fn reopen(&mut self) {
        self.disk.retire();
        let start = Instant::now();
        let opened = open_with_view(&self.medium, &self.config);
        // Reading a large file takes long: most of the time is for resting.
        let until = Instant::now() + REST.max(start.elapsed() * 10);
        match opened {
            Ok((database, disk, view)) => {
                self.current.replace(view);
                (self.database, self.disk) = (database, disk);
                self.health = Health::Resting { until, open: true };
            }
            Err(OpenError::File { source, .. }) if is_no_space(&source) => {
                self.health = Health::Resting { until, open: false };
            }
            Err(error) => _ = self.stop(&error),
        }
    }

    fn stop(&mut self, error: &dyn std::fmt::Display) -> Error {
        tracing::error!(
            file = ?self.config.file(),
            %error,
            flush_failed = self.disk.flush_failed(),
            "the key-value store takes no more writes: check the disk, then restart the node"
        );
        self.disk.retire();
        if self.disk.flush_failed() {
            // Linux calls pages clean that it could not write: the next process must not take them for what is on the disk.
            _ = self.medium.forget_cached();
        }
        self.health = Health::Stopped;
        self.refusal()
    }

    fn refusal(&self) -> Error {
        match self.health {
            Health::Stopped => Error::Failed(STOPPED.into()),
            _ => Error::Unavailable(FULL.into()),
        }
    }
}

fn open_with_view(
    medium: &Arc<dyn Medium>,
    config: &Config,
) -> Result<(Database, Disk, View), OpenError> {
    let (database, disk) = database::open(medium.clone(), config)?;
    let view =
        View::of(&database).map_err(|error| database::translate(config.file(), error.into()))?;
    Ok((database, disk, view))
}

#[cfg(test)]
mod tests;
