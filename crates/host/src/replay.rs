//! A recording run against a component, with no backend and no network.
//!
//! In: a recording and the bytes of a component. Out: the first difference, or none.

use std::{path::Path, sync::Arc, time::Duration};

use coracle_capability::{
    Authority, LinkError, Template,
    config::{Environment, Values},
    contract::Shared,
    http::{
        address::Allowed,
        client::{Client, Settings as HttpSettings},
        grant::GrantSet,
        host::Authority as HttpAuthority,
    },
    keyvalue::{Buckets, KeyValue, Memory},
    link,
    logging::{Line, Lines, Speaker},
    observe::{Difference, Recording, snapshot},
    secrets::{self, Keyring, Reveal, Secrets},
};
use coracle_engine::{Cache, Compiler, Engines, Limits, Pool, cache::PrepareError};
use coracle_trigger::{ReplayError, Revision, UnservableError, replay};
use thiserror::Error;

use crate::authority::{AuthorityError, preopened};

/// Runs recordings; compiles each component once.
pub struct Replayer {
    cache: Cache,
}

/// Why a recording cannot be run against a component.
#[derive(Debug, Error)]
pub enum ReplayFailure {
    /// The component cannot be made ready.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// It imports what the recorded one was not given.
    #[error("{}", listed(.0))]
    Link(Vec<LinkError>),
    /// It does not serve HTTP.
    #[error(transparent)]
    Unservable(#[from] UnservableError),
    /// The recorded directories cannot be put back.
    #[error("restoring the recorded directory {at}: {source}")]
    Restore {
        /// Where the guest finds it.
        at: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// They cannot be opened.
    #[error(transparent)]
    Directory(#[from] AuthorityError),
    /// The recording.
    #[error(transparent)]
    Recording(#[from] ReplayError),
}

fn listed(errors: &[LinkError]) -> String {
    errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// A component linked to a recording.
pub struct Rehearsal {
    revision: Arc<Revision>,
    recording: Recording,
}

impl Replayer {
    /// Keeps compiled components under this state directory.
    ///
    /// # Errors
    /// When the cache cannot be opened.
    pub fn open(state_dir: &Path, compiler: &Path) -> Result<Self, PrepareError> {
        let engines = Arc::new(Engines::new(Pool {
            slots: 16,
            ..Pool::default()
        }));
        let cache = Cache::open(
            &state_dir.join("cache"),
            Compiler::new(compiler.to_path_buf()),
            engines,
        )?;
        Ok(Self { cache })
    }

    /// Links a component to a recording; `scratch` is an empty directory for what the recorded directories held.
    ///
    /// # Errors
    /// See [`ReplayFailure`].
    pub fn rehearse(
        &self,
        recording: Recording,
        component: &[u8],
        scratch: &Path,
    ) -> Result<Rehearsal, ReplayFailure> {
        let prepared = self.cache.prepare(component)?;
        // Opened by name and then answered from the recording: these are never reached.
        let never: Shared<KeyValue> = Arc::new(Memory::default());
        let buckets = recording
            .buckets
            .iter()
            .map(|name| (name.clone(), Arc::clone(&never)))
            .collect();
        let nothing: Shared<Secrets> = Arc::new(secrets::Memory::new::<String, Vec<u8>>([]));
        let ring = recording.secrets.iter().map(|(name, reveal)| {
            let reveal = if *reveal {
                Reveal::Granted
            } else {
                Reveal::Withheld
            };
            (name.clone(), reveal, Arc::clone(&nothing))
        });
        let authority = Authority {
            secrets: Keyring::new(recording.component.clone(), ring.collect()),
            component: recording.component.clone(),
            buckets: Buckets::new(buckets),
            config: Values::default(),
            clock: recording.clock,
            randomness: recording.randomness,
        };
        let linked = link(&prepared.mapped, &authority).map_err(ReplayFailure::Link)?;
        let template = template(&recording, scratch)?;
        let revision = Arc::new(Revision::new(
            linked,
            &prepared.described,
            template,
            limits(&recording),
        )?);
        Ok(Rehearsal {
            revision,
            recording,
        })
    }
}

impl Rehearsal {
    /// Runs it once.
    ///
    /// # Errors
    /// When the recording cannot be run.
    pub async fn run(&self) -> Result<Option<Difference>, ReplayFailure> {
        Ok(replay(Arc::clone(&self.revision), &self.recording).await?)
    }
}

fn limits(recording: &Recording) -> Limits {
    let [memory_bytes, cpu_ms, timeout_ms] = recording.limits;
    Limits {
        memory_bytes,
        cpu: Duration::from_millis(cpu_ms),
        timeout: Duration::from_millis(timeout_ms),
        ..Limits::default()
    }
}

fn template(recording: &Recording, scratch: &Path) -> Result<Template, ReplayFailure> {
    let mut directories = Vec::new();
    for (number, directory) in recording.directories.iter().enumerate() {
        let into = scratch.join(number.to_string());
        std::fs::create_dir_all(&into)
            .and_then(|()| snapshot::restore(directory, &into))
            .map_err(|source| ReplayFailure::Restore {
                at: directory.at.clone(),
                source,
            })?;
        directories.push((into, directory.at.clone(), directory.writable));
    }
    let allowed = Arc::new(Allowed {
        networks: Vec::new(),
        hosts: Some(Vec::new()),
        named: Vec::new(),
        control_ports: Vec::new(),
    });
    Ok(Template {
        app: recording.app.as_str().into(),
        component: recording.component.as_str().into(),
        environment: Environment::fixed(recording.environment.clone()),
        files: preopened(
            directories
                .iter()
                .map(|(dir, at, writable)| (dir.as_path(), at.as_str(), *writable)),
        )?,
        files_held: preopened(std::iter::empty())?,
        http: HttpAuthority {
            client: Client::new(HttpSettings::default()),
            grants: Arc::new(GrantSet {
                grants: Vec::new(),
                allowed,
            }),
            counters: Arc::default(),
        },
        lines: Arc::new(Silent),
    })
}

/// What a replayed guest says was said before; differences are told by the player.
struct Silent;

impl Lines for Silent {
    fn line(&self, _: &Speaker, _: Line) {}

    fn dropped(&self, _: &Speaker, _: u32) {}
}
