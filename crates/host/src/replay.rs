//! A recording run against a component, with no backend and no network.
//!
//! In: a recording and the bytes of a component. Out: the first difference, or none.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use coracle_capability::{
    Authority, LinkError, Template,
    config::{Environment, Values},
    contract::{Contract as _, Shared},
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
    secrets::{
        self, Call, DigestKey, Fingerprint, Keyring, Reply, Reveal, Revealed, SecretValue, Secrets,
    },
};
use coracle_engine::{Cache, Compiler, Engines, Limits, Pool, cache::PrepareError};
use coracle_manifest::{Operator, app::Secret, name::AppName};
use coracle_trigger::{ReplayError, Revision, UnservableError, replay};
use thiserror::Error;

use crate::{
    authority::{AuthorityError, preopened},
    recordings::KEY_OF_DIGESTS,
    resources::Resources,
};

/// Runs recordings; compiles each component once.
pub struct Replayer {
    cache: Cache,
    state_dir: PathBuf,
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
    told: Vec<(Fingerprint, SecretValue)>,
}

/// What a replayed guest is told where the recorded one was told the value of a secret.
pub struct Told {
    /// Its name.
    pub secret: String,
    /// Which of its recorded values.
    recorded: Fingerprint,
    /// The value, or why there is only a stand-in.
    value: Result<SecretValue, NotTold>,
}

/// Why a replayed guest is not told the value of a secret.
#[derive(Debug, Error)]
enum NotTold {
    #[error("no operator's file says where it is")]
    NoFile,
    #[error("it was recorded under the key of another state directory")]
    OtherKey,
    #[error("the value that is kept now is not the recorded one")]
    Rotated,
    #[error("{0}")]
    Unavailable(String),
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = &self.secret;
        match &self.value {
            Ok(_) => write!(
                f,
                "secret {secret}: the replay hands out the value that is kept now; it is the recorded one"
            ),
            Err(why) => write!(
                f,
                "secret {secret}: the replay hands out a stand-in of the same length: {why}"
            ),
        }
    }
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
        Ok(Self {
            cache,
            state_dir: state_dir.to_path_buf(),
        })
    }

    /// Looks for the values of secrets that the recorded guest was told, where `operator` says they are.
    pub async fn told(&self, recording: &Recording, operator: Option<Operator>) -> Vec<Told> {
        let key = DigestKey::new(self.cache.derive_key(KEY_OF_DIGESTS));
        let resources =
            operator.map(|operator| Resources::new(&self.state_dir, Arc::new(operator)));
        let mut told: Vec<Told> = Vec::new();
        for (secret, recorded) in revealed(recording) {
            let value = match &resources {
                _ if key.name() != recording.key => Err(NotTold::OtherKey),
                None => Err(NotTold::NoFile),
                Some(resources) => match kept(resources, &recording.app, &secret).await {
                    Ok(value) if value.fingerprint(&key) == recorded => Ok(value),
                    Ok(_) => Err(NotTold::Rotated),
                    Err(why) => Err(NotTold::Unavailable(why)),
                },
            };
            told.push(Told {
                secret,
                recorded,
                value,
            });
        }
        told
    }

    /// Links a component to a recording; `scratch` is an empty directory for what the recorded directories held.
    ///
    /// # Errors
    /// See [`ReplayFailure`].
    pub fn rehearse(
        &self,
        recording: Recording,
        component: &[u8],
        told: &[Told],
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
        let told = told
            .iter()
            .filter_map(|told| Some((told.recorded.clone(), told.value.as_ref().ok()?.clone())));
        Ok(Rehearsal {
            revision,
            recording,
            told: told.collect(),
        })
    }
}

impl Rehearsal {
    /// Runs it once.
    ///
    /// # Errors
    /// When the recording cannot be run.
    pub async fn run(&self) -> Result<Option<Difference>, ReplayFailure> {
        let told = self.told.clone();
        Ok(replay(Arc::clone(&self.revision), &self.recording, told).await?)
    }
}

/// The secrets whose values the recorded guest was told, each value once.
fn revealed(recording: &Recording) -> Vec<(String, Fingerprint)> {
    let mut revealed = Vec::new();
    for event in &recording.events {
        let answer = event
            .answer
            .as_ref()
            .filter(|_| event.capability == Secrets::NAME);
        if let Some(Ok(Ok(Reply::Revealed(Revealed::Recorded(fingerprint))))) =
            answer.map(|answer| answer.read::<Result<Reply, secrets::Error>>())
        {
            let found = (event.resource.clone(), fingerprint);
            if !revealed.contains(&found) {
                revealed.push(found);
            }
        }
    }
    revealed
}

/// The newest value of a secret, where the operator keeps it.
async fn kept(resources: &Resources, app: &str, secret: &str) -> Result<SecretValue, String> {
    let app: AppName = app
        .parse()
        .map_err(|_| format!("{app} is no name of an app"))?;
    let name = secret
        .parse()
        .map_err(|_| format!("{secret} is no name of a secret"))?;
    let secret = Secret { name, value: None };
    let (store, name) = resources
        .secret(&app, &secret)
        .await
        .map_err(|error| error.to_string())?;
    let failed = |error: secrets::Error| error.to_string();
    let get = Call::Get { name: name.clone() };
    let Reply::Found { version } = store.call(get).await.map_err(failed)? else {
        return Err("the backend answered something else than it was asked".into());
    };
    match store
        .call(Call::Reveal { name, version })
        .await
        .map_err(failed)?
    {
        Reply::Revealed(Revealed::Value(value)) => Ok(value),
        Reply::Revealed(Revealed::Recorded(_)) | Reply::Found { .. } => {
            Err("the backend answered something else than it was asked".into())
        }
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
        // Answered from the recording.
        time: None,
        seed: None,
        lines: Arc::new(Silent),
    })
}

/// What a replayed guest says was said before; differences are told by the player.
struct Silent;

impl Lines for Silent {
    fn line(&self, _: &Speaker, _: Line) {}

    fn dropped(&self, _: &Speaker, _: u32) {}
}
