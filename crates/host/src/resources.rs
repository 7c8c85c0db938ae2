//! The named resources of the node: which backend stands behind each bucket.
//!
//! In: the buckets of an app. Out: backends, the same one for as long as the node runs, seeded once. With no word of the operator a
//! bucket is embedded under the state directory.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use coracle_backends::embedded::{Config, OpenError, Store};
use coracle_capability::{
    contract::Shared,
    keyvalue::{Call, KeyValue, Memory},
};
use coracle_manifest::{
    app::{Bucket, BucketBackend},
    name::AppName,
};
use thiserror::Error;

/// Largest seed file.
const MAX_SEED_BYTES: u64 = 16 << 20;

/// The backends of a node.
pub struct Resources {
    state_dir: PathBuf,
    embedded: OnceLock<Store>,
    memory: Mutex<HashMap<(String, String), Shared<KeyValue>>>,
}

/// Why a resource cannot be used.
#[derive(Debug, Error)]
pub enum ResourceError {
    /// The embedded store.
    #[error(transparent)]
    Open(#[from] OpenError),
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
    /// Resources under this state directory; nothing is opened before it is needed.
    pub fn new(state_dir: &Path) -> Self {
        Self {
            state_dir: state_dir.to_path_buf(),
            embedded: OnceLock::new(),
            memory: Mutex::default(),
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
        let pairs = match &bucket.seed {
            Some(path) => Some(read_seed(path)?),
            None => None,
        };
        let failed = |source| ResourceError::WriteSeed {
            bucket: bucket.name.to_string(),
            source,
        };
        match bucket.backend {
            BucketBackend::Embedded => {
                let store = self.embedded()?;
                if let Some(pairs) = pairs {
                    store
                        .seed(app.as_str(), bucket.name.as_str(), pairs)
                        .await
                        .map_err(failed)?;
                }
                Ok(store.bucket(app.as_str(), bucket.name.as_str()))
            }
            BucketBackend::Memory => {
                let (backend, is_new) = self.memory(app, bucket);
                if let (true, Some(pairs)) = (is_new, pairs) {
                    backend
                        .call(Call::SetMany { pairs })
                        .await
                        .map_err(failed)?;
                }
                Ok(backend)
            }
        }
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

fn read_seed(path: &Path) -> Result<Vec<(String, Vec<u8>)>, ResourceError> {
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
