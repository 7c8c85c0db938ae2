//! Redis as the rest of the process sees it: made once from settings, then asked for buckets.
//!
//! In: [`Config`], names of apps and buckets. Out: buckets. Nothing is connected before the first call, and a server that is away
//! is no reason not to start. What may be under way at a time is bounded; a call beyond that waits for room within its timeout.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use coracle_capability::{
    contract::{CallError as _, Contract as _, Shared, Support},
    keyvalue::{Call, Error, KeyValue},
};
use redis::{Cmd, Pipeline, RedisResult, Value};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    config::{Config, ConfigError},
    dial::Dialler,
    failure::{self, Failure},
    keyvalue::{Bucket, MAX_CALL_BYTES},
    link::Link,
    names::{KeyPath, Names},
    scripts::Invocation,
};

/// What may be under way: this many small calls, or as many permits' worth of large ones, 32 MiB together.
const PERMITS: usize = 512;
/// What one permit stands for beside the call itself.
const PERMIT_BYTES: u64 = 64 << 10;
/// How many keys of a batch weigh as much as one call.
const PERMIT_KEYS: usize = 32;

/// A Redis server. Clones are the same connections; the last one to go, and its buckets, close them.
#[derive(Clone)]
pub struct Client(Arc<Connections>);

/// What the operator says about one bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketSettings {
    /// Stands before all of its keys.
    pub path: KeyPath,
    /// How long a key lives after it was last written; for ever without it.
    pub ttl: Option<Duration>,
}

impl Client {
    /// It can do everything.
    pub const SUPPORT: Support = Support::full("redis");

    /// Takes the settings and connects to nothing yet. Blocks while the node's certificate authorities are read, with TLS.
    ///
    /// # Errors
    /// When the authorities in the settings cannot be used.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let connections = config.connections.max(1);
        let timeout = config.timeout;
        let dialler = Arc::new(Dialler::new(config)?);
        Ok(Self(Arc::new(Connections {
            links: (0..connections)
                .map(|_| Link::new(dialler.clone()))
                .collect(),
            next: AtomicUsize::new(0),
            room: Semaphore::new(PERMITS),
            timeout,
        })))
    }

    /// The bucket of this name of this app: keys of its own, which no other path, app and name reach.
    pub fn bucket(&self, app: &str, bucket: &str, settings: &BucketSettings) -> Shared<KeyValue> {
        Arc::new(self.bucket_of(app, bucket, settings))
    }

    /// Puts the first data into a bucket: all of it or none, and once.
    ///
    /// The first call for a bucket decides. It writes the pairs if the bucket is empty and leaves a bucket that holds data as it
    /// is; either way that is remembered, and later calls do nothing. Answers whether the pairs were written. At most 10,000 pairs
    /// and 16 MiB: the server does nothing else meanwhile.
    ///
    /// # Errors
    /// The contract's, as for a write.
    pub async fn seed(
        &self,
        app: &str,
        bucket: &str,
        settings: &BucketSettings,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> Result<bool, Error> {
        self.bucket_of(app, bucket, settings).seed(pairs).await
    }

    fn bucket_of(&self, app: &str, bucket: &str, settings: &BucketSettings) -> Bucket {
        let names = Names::new(&settings.path, app, bucket);
        Bucket::new(names, settings.ttl, self.0.clone())
    }
}

/// What buckets share.
pub(crate) struct Connections {
    links: Box<[Link]>,
    next: AtomicUsize,
    room: Semaphore,
    timeout: Duration,
}

impl Connections {
    /// Bounds one call of the contract, whatever it waits for.
    pub(crate) async fn within<T>(
        &self,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let answer = tokio::time::timeout(self.timeout, answer).await;
        answer.unwrap_or_else(|_| Err(Error::deadline(self.timeout)))
    }

    /// Room for a call with at most so many entries; held until it is answered.
    pub(crate) async fn room(
        &self,
        call: &Call,
        most_entries: usize,
    ) -> Result<SemaphorePermit<'_>, Error> {
        let permit = self.room.acquire_many(weight(call, most_entries)?).await;
        permit.map_err(|_| failure::unavailable("the client of Redis was closed"))
    }

    pub(crate) async fn ask(&self, command: &Cmd) -> Result<Value, Error> {
        let link = self.link()?;
        let mut connection = link.connection().await?;
        value(link, connection.send_packed_command(command).await)
    }

    /// Asks several things in one round trip. Others' commands may run between them.
    pub(crate) async fn ask_all(&self, commands: &Pipeline) -> Result<Vec<Value>, Error> {
        let link = self.link()?;
        let mut connection = link.connection().await?;
        let values = connection
            .send_packed_commands(commands, 0, commands.len())
            .await;
        let values = values.map_err(|error| failure::of_client(&error))?;
        values
            .into_iter()
            .map(|reply| value(link, Ok(reply)))
            .collect()
    }

    /// Runs a script. One that Redis did not know has not run, so that sending it again is no retry.
    pub(crate) async fn run(&self, script: &Invocation<'_>) -> Result<Value, Error> {
        let link = self.link()?;
        let mut connection = link.connection().await?;
        let mut reply = connection.send_packed_command(&script.by_digest()).await;
        if matches!(&reply, Ok(Value::ServerError(error)) if error.code() == "NOSCRIPT") {
            reply = connection.send_packed_command(&script.by_text()).await;
        }
        value(link, reply)
    }

    /// The next one in turn that is not known to be down.
    fn link(&self) -> Result<&Link, Error> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let (before, from) = self
            .links
            .split_at(next.checked_rem(self.links.len()).unwrap_or_default());
        let mut turn = from.iter().chain(before);
        let first = turn.clone().next();
        let link = turn.find(|link| !link.is_down()).or(first);
        link.ok_or_else(|| failure::unavailable("there is no connection to Redis"))
    }
}

fn value(link: &Link, reply: RedisResult<Value>) -> Result<Value, Error> {
    match reply {
        Ok(Value::ServerError(reply)) => {
            let Failure { error, stale } = failure::of_reply(&reply);
            if stale {
                link.replace();
            }
            Err(error)
        }
        Ok(value) => Ok(value),
        Err(error) => Err(failure::of_client(&error)),
    }
}

/// What a call holds of the room, so that neither many calls nor few large ones fill the memory.
fn weight(call: &Call, most_entries: usize) -> Result<u32, Error> {
    let bytes = KeyValue::call_bytes(call);
    if bytes > MAX_CALL_BYTES {
        let message = format!("a call is at most {MAX_CALL_BYTES} bytes large, its keys included");
        return Err(Error::TooLarge(message));
    }
    let keys = match call {
        Call::GetMany { keys } | Call::DeleteMany { keys } => keys.len(),
        Call::SetMany { pairs } => pairs.len(),
        _ => 1,
    };
    if keys > most_entries {
        let message = format!("a batch has at most {most_entries} entries");
        return Err(Error::TooLarge(message));
    }
    let permits = 1 + bytes / PERMIT_BYTES + (keys / PERMIT_KEYS) as u64;
    Ok(u32::try_from(permits.min(PERMITS as u64)).unwrap_or(u32::MAX))
}
