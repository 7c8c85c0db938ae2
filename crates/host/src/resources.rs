//! The resources of the node: which backend stands behind each bucket and secret, and above each component's values.
//!
//! In: the buckets of an app. Out: backends, the same one for as long as the node runs, seeded once. With no word of the operator a
//! bucket is embedded under the state directory.

mod vendors;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use coracle_backends::{
    embedded::{Config, OpenError, Store},
    environment::Spelling,
    redis::{BucketSettings, KeyPath},
};
use coracle_capability::{
    config::{self, Config as Values, Environment, Granted},
    contract::{CallError as _, Contract, Shared},
    keyvalue::{Call, KeyValue, Memory},
    layer::{Breaker, Deadline, Notice, Tolerance},
    secrets::{self, Secrets},
};
use coracle_manifest::{
    Operator,
    app::{self, Bucket, BucketBackend, Component, Secret},
    name::AppName,
    operator::{Backend, Binding, Redis, ValuesOf},
};
use thiserror::Error;

pub use vendors::VendorError;
use vendors::{Vendors, in_vault};

/// Largest seed file.
const MAX_SEED_BYTES: u64 = 16 << 20;

/// The backends of a node.
pub struct Resources {
    state_dir: PathBuf,
    operator: Arc<Operator>,
    vendors: Vendors,
    embedded: OnceLock<Store>,
    memory: Mutex<HashMap<(String, String), Shared<KeyValue>>>,
}

/// Why a resource cannot be used.
#[derive(Debug, Error)]
pub enum ResourceError {
    /// The embedded store.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A backend of the operator.
    #[error(transparent)]
    Vendor(#[from] VendorError),
    /// What the operator binds it to cannot keep it.
    #[error("{0}")]
    Binding(String),
    /// An environment that is not known.
    #[error("{0}")]
    Environment(config::Error),
    /// The seed file cannot be read.
    #[error("reading {path}: {source}")]
    ReadSeed {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The seed file is not what it should be.
    #[error(
        "{path} is not a seed: {what}; a seed is a JSON object: each name is a key, a string is stored as its text, anything else as its JSON"
    )]
    Seed {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The seed could not be written.
    #[error("seeding bucket {bucket}: {source}")]
    WriteSeed {
        /// Which.
        bucket: String,
        /// Why not.
        #[source]
        source: coracle_capability::keyvalue::Error,
    },
}

impl Resources {
    /// Resources under this state directory and behind the operator's backends; nothing is opened before it is needed.
    pub fn new(state_dir: &Path, operator: Arc<Operator>) -> Self {
        Self {
            state_dir: state_dir.to_path_buf(),
            operator,
            embedded: OnceLock::new(),
            memory: Mutex::default(),
            vendors: Vendors::default(),
        }
    }

    /// The backend of one bucket, with its seed in it.
    ///
    /// # Errors
    /// See [`ResourceError`].
    pub async fn bucket(
        &self,
        app: &AppName,
        bucket: &Bucket,
    ) -> Result<Shared<KeyValue>, ResourceError> {
        // A mock of a profile stands before the operator's word.
        let binding = if bucket.mock {
            None
        } else {
            self.operator.bucket_binding(app, &bucket.name)
        };
        match binding.as_ref().map(|binding| (&binding.settings, binding)) {
            Some((Backend::Redis(settings), binding)) => {
                self.in_redis(app, bucket, binding, settings).await
            }
            Some((Backend::Vault(settings), binding)) => {
                let vault = self
                    .vendors
                    .vault(&self.operator, &binding.backend, settings)
                    .await?;
                let path = binding
                    .path
                    .clone()
                    .unwrap_or_else(|| format!("{app}/{}", bucket.name));
                let failed = |error: coracle_backends::vault::ConfigError| {
                    ResourceError::Binding(error.to_string())
                };
                Ok(guarded(vault.bucket(&path).map_err(failed)?))
            }
            Some((Backend::Memory, _)) => self.in_memory(app, bucket).await,
            Some((Backend::Embedded, _)) => self.in_embedded(app, bucket).await,
            Some((Backend::Files(_) | Backend::Environment(_), binding)) => {
                Err(ResourceError::Binding(format!(
                    "backend {} keeps secrets, not buckets",
                    binding.backend
                )))
            }
            None => match bucket.backend {
                BucketBackend::Embedded => self.in_embedded(app, bucket).await,
                BucketBackend::Memory => self.in_memory(app, bucket).await,
            },
        }
    }

    /// What stands behind a bucket, for a person.
    pub fn label(&self, app: &AppName, bucket: &Bucket) -> String {
        let binding = if bucket.mock {
            None
        } else {
            self.operator.bucket_binding(app, &bucket.name)
        };
        match (binding, bucket.backend) {
            (Some(binding), _) => binding.backend.to_string(),
            (None, BucketBackend::Embedded) => "embedded".into(),
            (None, BucketBackend::Memory) => "memory".into(),
        }
    }

    /// Where one secret of an app is, and the name it is kept under.
    ///
    /// # Errors
    /// See [`ResourceError`].
    pub async fn secret(
        &self,
        app: &AppName,
        secret: &Secret,
    ) -> Result<(Shared<Secrets>, String), ResourceError> {
        let name = secret.name.to_string();
        if let Some(mock) = &secret.value {
            let store = secrets::Memory::new([(name.clone(), mock.reveal().as_bytes().to_vec())]);
            return Ok((Arc::new(store), name));
        }
        let unbound =
            || ResourceError::Binding(format!("secret {name} is bound to nothing in host.toml"));
        let binding = self
            .operator
            .secret_binding(app, &secret.name)
            .ok_or_else(unbound)?;
        let kept_as = binding.path.clone().unwrap_or_else(|| name.clone());
        match &binding.settings {
            Backend::Vault(settings) => {
                let vault = self
                    .vendors
                    .vault(&self.operator, &binding.backend, settings)
                    .await?;
                let field = binding.field.as_deref().unwrap_or("value");
                let (store, kept_as) =
                    in_vault(&vault, &kept_as, field).map_err(ResourceError::Binding)?;
                Ok((guarded(store), kept_as))
            }
            Backend::Files(settings) => Ok((bounded(Vendors::files(&settings.dir)), kept_as)),
            Backend::Environment(settings) => {
                // The operator names the variable, the backend the secret: `MAIL_KEY` is `mail-key`.
                let kept_as = kept_as.to_ascii_lowercase().replace('_', "-");
                Ok((bounded(Vendors::environment(&settings.prefix)), kept_as))
            }
            Backend::Memory | Backend::Embedded | Backend::Redis(_) => Err(ResourceError::Binding(
                format!("backend {} keeps buckets, not secrets", binding.backend),
            )),
        }
    }

    /// Says that a secret is not where the operator says it is. A backend that is down now says nothing: it may be there.
    pub async fn missing(
        &self,
        app: &AppName,
        secret: &Secret,
        (store, kept_as): &(Shared<Secrets>, String),
    ) -> Option<String> {
        let found = store
            .call(secrets::Call::Get {
                name: kept_as.clone(),
            })
            .await;
        let binding = self.operator.secret_binding(app, &secret.name)?;
        matches!(found, Err(secrets::Error::NotFound)).then(|| {
            format!(
                "secret {}: backend {} does not hold it",
                secret.name, binding.backend
            )
        })
    }

    /// What the operator puts above a component's values. `None` where only the manifest speaks.
    ///
    /// # Errors
    /// See [`ResourceError`].
    pub fn values(
        &self,
        app: &AppName,
        component: &Component,
        which: ValuesOf,
    ) -> Result<Option<Shared<Values>>, ResourceError> {
        let Some(binding) = self.values_binding(app, component, which) else {
            return Ok(None);
        };
        let spelling = match which {
            ValuesOf::Config => Spelling::Key,
            ValuesOf::Environment => Spelling::Variable,
        };
        let below = binding.path.as_deref();
        let kept = match &binding.settings {
            Backend::Files(settings) => bounded(Vendors::values_in_files(&settings.dir, below)),
            Backend::Environment(settings) => {
                Vendors::values_in_environment(&settings.prefix, below, spelling)
            }
            Backend::Memory | Backend::Embedded | Backend::Redis(_) | Backend::Vault(_) => {
                let why = format!("backend {} keeps no configuration", binding.backend);
                return Err(ResourceError::Binding(why));
            }
        };
        let (component, backend) = (component.name.as_str(), binding.backend.as_str());
        let told = Notice::new(kept, app.as_str(), component, backend);
        Ok(Some(Arc::new(told)))
    }

    /// The environment of a component whose operator has a word on it, read now.
    ///
    /// # Errors
    /// When it cannot be read now: a component without its environment is not served.
    pub async fn environment(
        &self,
        app: &AppName,
        component: &Component,
    ) -> Result<Option<Environment>, ResourceError> {
        let Some(operator) = self.values(app, component, ValuesOf::Environment)? else {
            return Ok(None);
        };
        let manifest = config::Memory::new(component.environment.texts.clone());
        let granted = Arc::new(Granted::new(operator, manifest));
        let read = Environment::read(granted).await;
        read.map(Some).map_err(ResourceError::Environment)
    }

    /// Which backend stands above a component's values, for a person.
    pub fn values_label(
        &self,
        app: &AppName,
        component: &Component,
        which: ValuesOf,
    ) -> Option<String> {
        let binding = self.values_binding(app, component, which)?;
        Some(binding.backend.to_string())
    }

    /// A mock of a profile stands before the operator's word.
    fn values_binding(
        &self,
        app: &AppName,
        component: &Component,
        which: ValuesOf,
    ) -> Option<Binding> {
        let written = written(component, which);
        let binding = || self.operator.values_binding(app, &component.name, which);
        if written.mock { None } else { binding() }
    }

    async fn in_redis(
        &self,
        app: &AppName,
        bucket: &Bucket,
        binding: &Binding,
        settings: &Redis,
    ) -> Result<Shared<KeyValue>, ResourceError> {
        let client = self
            .vendors
            .redis(&self.operator, &binding.backend, settings)
            .await?;
        let path = binding
            .path
            .as_deref()
            .unwrap_or_default()
            .parse::<KeyPath>();
        let path = path.map_err(|error| ResourceError::Binding(error.to_string()))?;
        let place = BucketSettings {
            path,
            ttl: bucket.ttl,
        };
        if let Some(pairs) = seed(bucket)? {
            // A server that is down now is told by the calls that need it; the seed is tried again at the next start.
            match client
                .seed(app.as_str(), bucket.name.as_str(), &place, pairs)
                .await
            {
                Err(error) if error.is_temporary() => {
                    tracing::warn!(
                        app = app.as_str(),
                        bucket = bucket.name.as_str(),
                        "not seeded: {error}"
                    );
                }
                seeded => _ = seeded.map_err(|source| not_seeded(bucket, source))?,
            }
        }
        Ok(guarded(client.bucket(
            app.as_str(),
            bucket.name.as_str(),
            &place,
        )))
    }

    async fn in_embedded(
        &self,
        app: &AppName,
        bucket: &Bucket,
    ) -> Result<Shared<KeyValue>, ResourceError> {
        warn_of_ttl(app, bucket, "embedded");
        let store = self.embedded()?;
        if let Some(pairs) = seed(bucket)? {
            let seeded = store.seed(app.as_str(), bucket.name.as_str(), pairs).await;
            seeded.map_err(|source| not_seeded(bucket, source))?;
        }
        Ok(bounded(store.bucket(app.as_str(), bucket.name.as_str())))
    }

    async fn in_memory(
        &self,
        app: &AppName,
        bucket: &Bucket,
    ) -> Result<Shared<KeyValue>, ResourceError> {
        warn_of_ttl(app, bucket, "memory");
        let pairs = seed(bucket)?;
        let (backend, is_new) = self.memory(app, bucket);
        if let (true, Some(pairs)) = (is_new, pairs) {
            backend
                .call(Call::SetMany { pairs })
                .await
                .map_err(|source| not_seeded(bucket, source))?;
        }
        Ok(backend)
    }

    fn embedded(&self) -> Result<&Store, ResourceError> {
        if let Some(store) = self.embedded.get() {
            return Ok(store);
        }
        let store = Store::open(&Config::new(&self.state_dir))?;
        Ok(self.embedded.get_or_init(|| store))
    }

    fn memory(&self, app: &AppName, bucket: &Bucket) -> (Shared<KeyValue>, bool) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (app.to_string(), bucket.name.to_string());
        let is_new = !memory.contains_key(&key);
        let backend = memory
            .entry(key)
            .or_insert_with(|| Arc::new(Memory::default()));
        (Arc::clone(backend), is_new)
    }
}

/// What the manifest says of them.
pub fn written(component: &Component, which: ValuesOf) -> &app::Values {
    match which {
        ValuesOf::Config => &component.config,
        ValuesOf::Environment => &component.environment,
    }
}

/// How long a backend may take to answer.
const DEADLINE: Duration = Duration::from_secs(10);

fn bounded<C: Contract>(backend: Shared<C>) -> Shared<C> {
    Arc::new(Deadline::new(backend, DEADLINE))
}

/// A server elsewhere may be down: after some failures in a row, calls that came to their deadline included, it is not asked for a while.
fn guarded<C: Contract>(backend: Shared<C>) -> Shared<C> {
    Arc::new(Breaker::new(bounded(backend), Tolerance::default()))
}

fn warn_of_ttl(app: &AppName, bucket: &Bucket, backend: &str) {
    if bucket.ttl.is_some() {
        tracing::warn!(
            app = app.as_str(),
            bucket = bucket.name.as_str(),
            "ttl has no effect: keys of the {backend} backend do not expire"
        );
    }
}

/// Keys and values of a seed.
type Pairs = Vec<(String, Vec<u8>)>;

fn seed(bucket: &Bucket) -> Result<Option<Pairs>, ResourceError> {
    bucket.seed.as_deref().map(read_seed).transpose()
}

fn not_seeded(bucket: &Bucket, source: coracle_capability::keyvalue::Error) -> ResourceError {
    ResourceError::WriteSeed {
        bucket: bucket.name.to_string(),
        source,
    }
}

fn read_seed(path: &Path) -> Result<Pairs, ResourceError> {
    let malformed = |what: String| ResourceError::Seed {
        path: path.to_path_buf(),
        what,
    };
    let read = |source| ResourceError::ReadSeed {
        path: path.to_path_buf(),
        source,
    };
    if std::fs::metadata(path).map_err(read)?.len() > MAX_SEED_BYTES {
        return Err(malformed(format!(
            "it is larger than {} MiB",
            MAX_SEED_BYTES >> 20
        )));
    }
    let text = std::fs::read(path).map_err(read)?;
    let values: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&text).map_err(|error| malformed(error.to_string()))?;
    Ok(values
        .into_iter()
        .map(|(key, value)| match value {
            serde_json::Value::String(text) => (key, text.into_bytes()),
            value => (key, value.to_string().into_bytes()),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_strings_as_text_and_anything_else_as_json() {
        let dir = std::env::temp_dir().join(format!("coracle-seed-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("seed.json");
        std::fs::write(&path, r#"{ "a": "text", "b": { "n": 1 }, "c": 7 }"#).unwrap();
        let expected: Vec<(String, Vec<u8>)> = [("a", "text"), ("b", r#"{"n":1}"#), ("c", "7")]
            .map(|(k, v)| (k.into(), v.into()))
            .into();
        assert_eq!(read_seed(&path).unwrap(), expected);
        std::fs::write(&path, "[]").unwrap();
        assert!(matches!(read_seed(&path), Err(ResourceError::Seed { .. })));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
