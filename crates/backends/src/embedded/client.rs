//! The store as the rest of the process sees it: open it once, take buckets from it, seed them.
//!
//! In: [`Config`], names of apps and buckets. Out: buckets. Reads are answered here from the newest snapshot; writes are handed
//! to the writer through a queue that is bounded by bytes, and a caller waits until there is room.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};

use coracle_capability::{
    contract::{Contract as _, Shared, Support},
    keyvalue::{Call, Error, KeyValue, Reply},
};
use redb::StorageError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{
    Config,
    batch::{Job, Work},
    database::OpenError,
    disk::{Medium, open_file},
    keyvalue::{self, Bucket, Fault},
    view::{Current, View},
    writer::Writer,
};

/// Largest write, its keys included; the grant's limits are below it except for batches of large values.
const MAX_CALL_BYTES: u64 = 16 << 20;
/// What an entry of a batch costs beside its bytes.
const ENTRY_BYTES: u64 = 64;
/// What one permit of the queue stands for.
const PERMIT_BYTES: u64 = 1_024;

/// The embedded store of a node. Clones are the same store; the last one to go closes the file.
#[derive(Clone)]
pub struct Store(Arc<Client>);

impl Store {
    /// What its buckets cannot do: nothing.
    pub const SUPPORT: Support = Support::full("embedded");

    /// Opens the store, and makes it if it is not there. Blocks: after a crash the whole file is read once, which
    /// takes about 2 ms for a megabyte in the page cache and 10 ms for one that is not.
    ///
    /// # Errors
    /// [`OpenError`], which names the file and what to do.
    pub fn open(config: &Config) -> Result<Self, OpenError> {
        let file = open_file(config)?;
        Self::open_on(Arc::new(file), config)
    }

    pub(crate) fn open_on(medium: Arc<dyn Medium>, config: &Config) -> Result<Self, OpenError> {
        let commits = Arc::new(AtomicU64::new(0));
        let (writer, current) = Writer::open(medium, config, commits.clone())?;
        let (jobs, queue) = mpsc::channel();
        let thread = std::thread::Builder::new().name("keyvalue-writer".into());
        let thread = thread
            .spawn(move || writer.run(&queue))
            .map_err(OpenError::Thread)?;
        let room = permits((config.queue_bytes as u64).max(MAX_CALL_BYTES));
        Ok(Self(Arc::new(Client {
            current,
            jobs: Some(jobs),
            room: Arc::new(Semaphore::new(room as usize)),
            commits,
            thread: Some(thread),
        })))
    }

    /// The bucket of this name of this app: a table of its own, which no other pair of names reaches.
    pub fn bucket(&self, app: &str, bucket: &str) -> Shared<KeyValue> {
        Arc::new(Bucket::new(table_of(app, bucket), self.0.clone()))
    }

    /// Puts the first data into a bucket: all of it or none, and once.
    ///
    /// The first call for a bucket decides. It writes the pairs if the bucket is empty and leaves a bucket that holds data as it
    /// is; either way that is remembered with the data, and later calls do nothing, also when the bucket has been emptied or the
    /// pairs are others. Answers whether the pairs were written.
    ///
    /// # Errors
    /// The contract's, as for a write.
    pub async fn seed(
        &self,
        app: &str,
        bucket: &str,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> Result<bool, Error> {
        let table = table_of(app, bucket);
        let reply = self
            .0
            .submit(&table, Work::Seed, Call::SetMany { pairs })
            .await?;
        Ok(reply == Reply::Swapped(true))
    }

    /// How many transactions were made durable since the store was opened: fewer than writes, when writers are many.
    pub fn commits(&self) -> u64 {
        self.0.commits.load(Ordering::Relaxed)
    }
}

/// What buckets share.
pub(crate) struct Client {
    current: Arc<Current>,
    /// Gone only while the client is dropped, which ends the writer.
    jobs: Option<mpsc::Sender<Job>>,
    room: Arc<Semaphore>,
    commits: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    /// Answers a read on the caller: the pages are cached or in the page cache, and no transaction is begun.
    pub(crate) async fn read(&self, table: &Arc<str>, call: &Call) -> Result<Reply, Error> {
        let view = self.current.view();
        match read_in(&view, table, call) {
            Ok(reply) => Ok(reply),
            Err(Fault::Call(error)) => Err(error),
            Err(Fault::Storage(error)) => self.read_anew(&view, error, table, call).await,
        }
    }

    /// After a full disk the writer puts another database behind the same data, and reads of the one before it fail: this one
    /// waits for the change, if there is one.
    async fn read_anew(
        &self,
        failed: &Arc<View>,
        error: StorageError,
        table: &Arc<str>,
        call: &Call,
    ) -> Result<Reply, Error> {
        let settled = self.send(table, Work::Settle, 0, None)?;
        _ = settled.await;
        let view = self.current.view();
        if Arc::ptr_eq(&view, failed) {
            return Err(unreadable(&error));
        }
        read_in(&view, table, call).map_err(|fault| match fault {
            Fault::Call(error) => error,
            Fault::Storage(error) => unreadable(&error),
        })
    }

    /// Hands a write to the writer and waits until it is durable.
    pub(crate) async fn write(&self, table: &Arc<str>, call: Call) -> Result<Reply, Error> {
        self.submit(table, Work::Call, call).await
    }

    async fn submit(
        &self,
        table: &Arc<str>,
        work: fn(Call) -> Work,
        call: Call,
    ) -> Result<Reply, Error> {
        let weight = weight(&call);
        if weight > MAX_CALL_BYTES {
            let message =
                format!("a write is at most {MAX_CALL_BYTES} bytes large, its keys included");
            return Err(Error::TooLarge(message));
        }
        let room = self.room.clone().acquire_many_owned(permits(weight)).await;
        let answer = self.send(
            table,
            work(call),
            weight,
            Some(room.map_err(|_| writer_gone())?),
        )?;
        answer.await.unwrap_or_else(|_| Err(writer_gone()))
    }

    fn send(
        &self,
        table: &Arc<str>,
        work: Work,
        bytes: u64,
        room: Option<OwnedSemaphorePermit>,
    ) -> Result<oneshot::Receiver<Result<Reply, Error>>, Error> {
        let (answer, receiver) = oneshot::channel();
        let job = Job {
            table: table.clone(),
            work,
            bytes,
            answer,
            room,
        };
        let jobs = self.jobs.as_ref().ok_or_else(writer_gone)?;
        jobs.send(job).map_err(|_| writer_gone())?;
        Ok(receiver)
    }
}

impl Drop for Client {
    /// Waits for the writer, so that the file is closed and unlocked when the store is gone.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

fn read_in(view: &View, table: &Arc<str>, call: &Call) -> Result<Reply, Fault> {
    keyvalue::read(view.table(table)?.as_deref(), call)
}

/// Names may hold anything: the length says where the first one ends.
fn table_of(app: &str, bucket: &str) -> Arc<str> {
    format!("bucket/{}/{app}/{bucket}", app.len()).into()
}

fn weight(call: &Call) -> u64 {
    let entries = match call {
        Call::SetMany { pairs } => pairs.len(),
        Call::DeleteMany { keys } => keys.len(),
        _ => 1,
    };
    KeyValue::call_bytes(call).saturating_add(ENTRY_BYTES.saturating_mul(entries as u64))
}

fn permits(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX)
}

fn writer_gone() -> Error {
    Error::Failed("the writer of the embedded store has ended".into())
}

fn unreadable(error: &StorageError) -> Error {
    match error {
        StorageError::Io(_) | StorageError::PreviousIo | StorageError::DatabaseClosed => {
            Error::Unavailable("the embedded store cannot be read from its disk".into())
        }
        _ => Error::Failed("the file of the embedded store is damaged".into()),
    }
}
