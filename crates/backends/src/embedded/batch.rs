//! Writes that share one commit.
//!
//! In: the queue. Out: one transaction, in which every write has its own answer and sees those before it. Either all of it is
//! durable or none of it happened.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use coracle_capability::keyvalue::{Call, Error, Reply};
use redb::{Database, ReadableTable as _, StorageError, WriteTransaction};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    keyvalue::{self, Fault},
    view::{self, layout},
};

/// Most writes of one commit, and most of their bytes: what bounds the wait of the first.
const MAX_JOBS: usize = 1_024;
const MAX_BYTES: u64 = 4 << 20;
/// Longest wait for the writers of the commit before, who may be about to write again.
const MAX_PATIENCE: Duration = Duration::from_micros(500);
/// Which buckets were seeded, or held data when they should have been. No bucket's table has such a name.
const SEEDED: &str = "coracle/seeded";

/// A write that waits.
pub(crate) struct Job {
    pub(crate) table: Arc<str>,
    pub(crate) work: Work,
    pub(crate) bytes: u64,
    pub(crate) answer: oneshot::Sender<Result<Reply, Error>>,
    /// Its share of the queue, given back with the answer.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

/// What a job wants.
pub(crate) enum Work {
    /// A write of the contract.
    Call(Call),
    /// The pairs of a [`Call::SetMany`], once; answered with [`Reply::Swapped`].
    Seed(Call),
    /// Nothing but to be answered after what was queued before.
    Settle,
}

/// Jobs in the order in which they came.
#[derive(Default)]
pub(crate) struct Batch {
    jobs: Vec<Job>,
    bytes: u64,
}

impl Batch {
    /// Waits for a job and takes all that wait with it; `None` when the store is closed.
    ///
    /// `before` is how many shared the last commit and how long that took. Answered writers need a moment to come again; waiting
    /// for them, a fraction of what the disk takes, keeps them together instead of in two groups that alternate.
    pub(crate) fn gather(queue: &Receiver<Job>, before: (usize, Duration)) -> Option<Self> {
        let mut batch = Self::default();
        batch.push(queue.recv().ok()?);
        let (expected, took) = before;
        let until = Instant::now() + (took / 4).min(MAX_PATIENCE);
        while batch.jobs.len() < MAX_JOBS && batch.bytes < MAX_BYTES {
            let patience = match batch.jobs.len() < expected {
                true => until.saturating_duration_since(Instant::now()),
                false => Duration::ZERO,
            };
            match queue.recv_timeout(patience) {
                Ok(job) => batch.push(job),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        Some(batch)
    }

    /// A caller that no longer waits, while its write does, is not served.
    fn push(&mut self, job: Job) {
        if !job.answer.is_closed() {
            self.bytes += job.bytes;
            self.jobs.push(job);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether there is anything to commit.
    pub(crate) fn writes(&self) -> bool {
        self.jobs
            .iter()
            .any(|job| !matches!(job.work, Work::Settle))
    }

    /// Whether it can only make room.
    pub(crate) fn only_deletes(&self) -> bool {
        self.jobs.iter().all(|job| {
            matches!(
                job.work,
                Work::Settle | Work::Call(Call::Delete { .. } | Call::DeleteMany { .. })
            )
        })
    }

    /// Makes all of it durable, and answers what each is to be told.
    pub(crate) fn commit(
        &self,
        database: &Database,
    ) -> Result<Vec<Result<Reply, Error>>, StorageError> {
        let transaction = database.begin_write().map_err(view::transaction_error)?;
        let replies = self.apply(&transaction)?;
        transaction.commit().map_err(view::commit_error)?;
        Ok(replies)
    }

    fn apply(
        &self,
        transaction: &WriteTransaction,
    ) -> Result<Vec<Result<Reply, Error>>, StorageError> {
        let mut tables = Tables {
            transaction,
            open: HashMap::new(),
        };
        let replies = self.jobs.iter().map(|job| match tables.work(job) {
            Ok(reply) => Ok(Ok(reply)),
            Err(Fault::Call(error)) => Ok(Err(error)),
            Err(Fault::Storage(error)) => Err(error),
        });
        replies.collect()
    }

    /// Tells each caller its own answer, or all of them why there is none, and gives their room in the queue back.
    pub(crate) fn answer(self, answers: Result<Vec<Result<Reply, Error>>, Error>) {
        let answers = answers.unwrap_or_else(|error| vec![Err(error); self.jobs.len()]);
        for (Job { answer, room, .. }, reply) in self.jobs.into_iter().zip(answers) {
            drop(room);
            _ = answer.send(reply);
        }
    }
}

/// The tables that a transaction has opened: redb opens each once.
struct Tables<'a> {
    transaction: &'a WriteTransaction,
    open: HashMap<&'a str, Table<'a>>,
}

type Table<'a> = redb::Table<'a, &'static [u8], &'static [u8]>;

impl<'a> Tables<'a> {
    fn work(&mut self, job: &'a Job) -> Result<Reply, Fault> {
        match &job.work {
            Work::Call(call) => keyvalue::write(self.table(&job.table)?, call),
            Work::Seed(call) => self.seed(&job.table, call),
            Work::Settle => Ok(Reply::Done),
        }
    }

    fn seed(&mut self, name: &'a str, call: &Call) -> Result<Reply, Fault> {
        let seeded = self.table(SEEDED)?;
        if seeded.get(name.as_bytes())?.is_some() {
            return Ok(Reply::Swapped(false));
        }
        seeded.insert(name.as_bytes(), &b""[..])?;
        let table = self.table(name)?;
        let empty = table.first()?.is_none();
        if empty {
            keyvalue::write(table, call)?;
        }
        Ok(Reply::Swapped(empty))
    }

    fn table(&mut self, name: &'a str) -> Result<&mut Table<'a>, StorageError> {
        Ok(match self.open.entry(name) {
            Entry::Occupied(table) => table.into_mut(),
            Entry::Vacant(free) => {
                let table = self.transaction.open_table(layout(name));
                free.insert(table.map_err(view::storage_error)?)
            }
        })
    }
}
