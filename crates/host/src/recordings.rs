//! Recordings on their way to files, and effects on their way to the log.
//!
//! In: what the invocations of a component did. Out: one file each, written by a thread of its own; or one line per effect. A full queue
//! drops recordings and says so: answering requests comes first.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use coracle_capability::observe::{
    Effect, Recording, Room, Share, file,
    redact::{conceal, redact},
    snapshot,
};
use coracle_capability::secrets::DigestKey;
use coracle_engine::Limits;
use coracle_gateway::Exchange;
use coracle_manifest::app::{Access, Component, FilesGrant};
use coracle_observability::{GuestLine, GuestLog, Level, Source};
use coracle_trigger::{Finished, Holdings, Recordings, Watching};

/// Recordings that wait to be written.
const QUEUE: usize = 256;
/// For what the key of the node is used.
pub(crate) const KEY_OF_DIGESTS: &str = "coracle 2026 digests of secrets in recordings";
/// Memory of all recordings together, those that wait included.
const ROOM_BYTES: usize = 512 << 20;

/// What the node does with every invocation beside answering it.
#[derive(Debug, Clone, Default)]
pub enum Observing {
    /// Nothing.
    #[default]
    Nothing,
    /// Writes each as a file into this directory, without the values of these headers.
    Record {
        /// Where to.
        dir: PathBuf,
        /// Header names.
        redact: Vec<String>,
    },
    /// Holds every write back and lists it in the log.
    HoldWrites,
}

/// Observes the components of a node.
pub struct Observers {
    observing: Observing,
    guests: Arc<GuestLog>,
    key: DigestKey,
    files: Option<SyncSender<Job>>,
    room: Arc<Room>,
    waiting: Arc<AtomicUsize>,
}

impl Observers {
    /// Creates the directory of recordings and starts their writer, when there is something to record.
    ///
    /// # Errors
    /// When the directory cannot be created.
    pub fn start(
        observing: Observing,
        guests: Arc<GuestLog>,
        key: DigestKey,
    ) -> std::io::Result<Self> {
        let waiting = Arc::new(AtomicUsize::new(0));
        let files = match &observing {
            Observing::Record { dir, .. } => {
                std::fs::create_dir_all(dir)?;
                Some(writer(Arc::clone(&waiting))?)
            }
            Observing::Nothing | Observing::HoldWrites => None,
        };
        Ok(Self {
            observing,
            guests,
            key,
            files,
            room: Room::new(ROOM_BYTES),
            waiting,
        })
    }

    /// Waits until every recording is written, for at most `within`.
    pub async fn flush(&self, within: Duration) {
        let written = async {
            while self.waiting.load(Relaxed) > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(within, written).await.is_err() {
            tracing::warn!(
                waiting = self.waiting.load(Relaxed),
                "recordings were not written in time"
            );
        }
    }

    /// How the invocations of one component are watched.
    pub fn component(
        &self,
        app: &str,
        component: &Component,
        digest: &str,
        limits: &Limits,
    ) -> Watching {
        match (&self.observing, &self.files) {
            (Observing::Record { dir, redact }, Some(files)) => {
                Watching::Recording(Arc::new(ToFiles {
                    base: Recording {
                        key: self.key.name(),
                        ..base(app, component, digest, limits)
                    },
                    grants: component.grants.files.clone(),
                    dir: dir.clone(),
                    redact: redact.as_slice().into(),
                    room: Arc::clone(&self.room),
                    files: files.clone(),
                    key: self.key.clone(),
                    waiting: Arc::clone(&self.waiting),
                }))
            }
            (Observing::HoldWrites, _) => Watching::Holding(Arc::new(ToLog {
                guests: Arc::clone(&self.guests),
            })),
            _ => Watching::Nobody,
        }
    }
}

fn base(app: &str, component: &Component, digest: &str, limits: &Limits) -> Recording {
    let source =
        std::fs::canonicalize(&component.source).unwrap_or_else(|_| component.source.clone());
    Recording {
        app: app.into(),
        component: component.name.to_string(),
        source,
        digest: digest.into(),
        secrets: component
            .grants
            .secrets
            .iter()
            .map(|grant| (grant.name.to_string(), grant.reveal))
            .collect(),
        buckets: component
            .grants
            .keyvalue
            .iter()
            .map(|grant| grant.alias.clone())
            .collect(),
        limits: [
            limits.memory_bytes,
            milliseconds(limits.cpu),
            milliseconds(limits.timeout),
        ],
        clock: component.grants.clock,
        randomness: component.grants.randomness,
        ..Recording::default()
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A recording to be written.
struct Job {
    path: PathBuf,
    finished: Finished,
    redact: Arc<[String]>,
}

/// Turns the invocations of one component into files.
struct ToFiles {
    base: Recording,
    grants: Vec<FilesGrant>,
    dir: PathBuf,
    redact: Arc<[String]>,
    room: Arc<Room>,
    files: SyncSender<Job>,
    key: DigestKey,
    waiting: Arc<AtomicUsize>,
}

impl Recordings for ToFiles {
    fn begin(&self) -> Result<(Recording, Share), String> {
        let (mut recording, mut share) = (self.base.clone(), self.room.share());
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        recording.at_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        for grant in &self.grants {
            let directory =
                snapshot::take(&grant.dir, &grant.at, grant.access == Access::ReadWrite)
                    .map_err(|error| format!("reading {}: {error}", grant.dir_as_written))?;
            if !share.take(directory.bytes()) {
                return Err("all recordings together take as much memory as they may".into());
            }
            recording.directories.push(directory);
        }
        Ok((recording, share))
    }

    fn key(&self) -> DigestKey {
        self.key.clone()
    }

    fn finished(&self, finished: Finished) {
        // Requests of one trace share their id.
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let path = self.dir.join(format!(
            "{}-{number:06}-{}.recording",
            finished.recording.at_ms, finished.recording.request_id
        ));
        self.waiting.fetch_add(1, Relaxed);
        let job = Job {
            path,
            finished,
            redact: Arc::clone(&self.redact),
        };
        match self.files.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                self.waiting.fetch_sub(1, Relaxed);
                tracing::warn!(path = %job.path.display(), "recording dropped: more arrive than can be written");
            }
        }
    }
}

fn writer(waiting: Arc<AtomicUsize>) -> std::io::Result<SyncSender<Job>> {
    let (sender, receiver) = sync_channel::<Job>(QUEUE);
    std::thread::Builder::new()
        .name("recordings".into())
        .spawn(move || {
            for job in receiver {
                write(job);
                waiting.fetch_sub(1, Relaxed);
            }
        })?;
    Ok(sender)
}

/// What is not to be in a file is taken out here, where no request waits for it.
fn write(job: Job) {
    let Finished {
        mut recording,
        revealed,
        share: _until_written,
    } = job.finished;
    conceal(&mut recording, &revealed);
    redact(&mut recording, &job.redact);
    if let Err(error) = file::write(&recording, &job.path) {
        let cause = std::error::Error::source(&error)
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::warn!("{error}: {cause}");
    }
}

/// Lists effects among the guest's lines.
struct ToLog {
    guests: Arc<GuestLog>,
}

impl Holdings for ToLog {
    fn held(&self, exchange: &Exchange, effects: Vec<Effect>) {
        for effect in effects {
            self.guests.write_unbounded(&GuestLine {
                app: exchange.app().unwrap_or("-"),
                component: exchange.component().unwrap_or("-"),
                request_id: &exchange.request_id.to_string(),
                source: Source::Log {
                    level: Level::Info,
                    context: "held back",
                },
                message: effect.to_string().as_bytes(),
            });
        }
    }
}
