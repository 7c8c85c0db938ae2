//! Connections to what the operator names in `[backend.NAME]`, one per name.
//!
//! In: checked settings. Out: clients, made when the first resource needs them, with credentials read from where the operator keeps them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use coracle_backends::{
    environment::{Config as EnvironmentConfig, Environment, Spelling, Values},
    files::{Config as FilesConfig, Directory},
    redis::{Client as RedisClient, Config as RedisConfig, Password},
    vault::{Config as VaultConfig, Vault},
};
use coracle_capability::{
    config::Config,
    contract::Shared,
    http::tls::TlsSettings,
    secrets::{Call, Reply, Revealed, SecretValue, Secrets},
};
use coracle_manifest::{
    name::BackendName,
    operator::{Backend, Credential, Operator, Redis, Vault as VaultSettings},
};
use thiserror::Error;

/// Largest credential.
const MAX_CREDENTIAL_BYTES: u64 = 64 << 10;

/// Why a backend cannot be used. Names where a credential is, never what it is.
#[derive(Debug, Error)]
pub enum VendorError {
    /// A file of the operator.
    #[error("reading {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// An environment variable.
    #[error("the environment variable {0} is not set")]
    Variable(String),
    /// A credential kept in a vault.
    #[error("reading the credential at {place}: {why}")]
    Credential {
        /// Where it is.
        place: String,
        /// Why not.
        why: String,
    },
    /// Settings that the client does not take.
    #[error("backend {name}: {why}")]
    Settings {
        /// Which.
        name: String,
        /// Why not.
        why: String,
    },
}

/// The clients of a node.
#[derive(Default)]
pub(super) struct Vendors {
    redis: Mutex<BTreeMap<BackendName, RedisClient>>,
    vaults: Mutex<BTreeMap<BackendName, Vault>>,
}

impl Vendors {
    /// The Redis server of this name.
    pub(super) async fn redis(
        &self,
        operator: &Operator,
        name: &BackendName,
        settings: &Redis,
    ) -> Result<RedisClient, VendorError> {
        if let Some(client) = self
            .redis
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
        {
            return Ok(client.clone());
        }
        let refused = |why: &dyn std::fmt::Display| VendorError::Settings {
            name: name.to_string(),
            why: why.to_string(),
        };
        let mut config = RedisConfig::new(&settings.url()).map_err(|why| refused(&why))?;
        config.username.clone_from(&settings.username);
        if let Some(password) = &settings.password {
            let password = self.credential(operator, password).await?;
            config.password = Some(Password::new(String::from_utf8_lossy(password.expose())));
        }
        config.connections = usize::from(settings.connections);
        config.timeout = settings.timeout;
        config.ca_pem = settings.ca.as_deref().map(read).transpose()?;
        let client = RedisClient::new(config).map_err(|why| refused(&why))?;
        Ok(self
            .redis
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name.clone())
            .or_insert(client)
            .clone())
    }

    /// The vault of this name.
    pub(super) async fn vault(
        &self,
        operator: &Operator,
        name: &BackendName,
        settings: &VaultSettings,
    ) -> Result<Vault, VendorError> {
        if let Some(vault) = self
            .vaults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
        {
            return Ok(vault.clone());
        }
        let refused = |why: &dyn std::fmt::Display| VendorError::Settings {
            name: name.to_string(),
            why: why.to_string(),
        };
        // Vaults whose tokens are in vaults form no cycle: the operator's file was checked for it.
        let token = Box::pin(self.credential(operator, &settings.token)).await?;
        let mut config = VaultConfig::new(settings.address(), settings.mount.clone(), token);
        config.namespace.clone_from(&settings.namespace);
        config.connect_timeout = settings.timeout;
        config.timeout = settings.timeout;
        config.max_connections = usize::from(settings.connections);
        if let Some(ca) = &settings.ca {
            config.tls = TlsSettings::default()
                .trust_only(&read(ca)?)
                .map_err(|why| refused(&why))?;
        }
        let vault = Vault::new(&config).map_err(|why| refused(&why))?;
        Ok(self
            .vaults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name.clone())
            .or_insert(vault)
            .clone())
    }

    /// The secrets in files of a directory.
    pub(super) fn files(dir: &Path) -> Shared<Secrets> {
        Directory::new(FilesConfig::new(dir)).secrets()
    }

    /// The secrets in the host's environment.
    pub(super) fn environment(prefix: &str) -> Shared<Secrets> {
        Environment::new(&EnvironmentConfig::new(prefix)).secrets()
    }

    /// The values in files of a directory, or of one below it.
    pub(super) fn values_in_files(dir: &Path, below: Option<&str>) -> Shared<Config> {
        Directory::new(FilesConfig::new(dir).below(below)).values()
    }

    /// The values in the host's environment.
    pub(super) fn values_in_environment(
        prefix: &str,
        below: Option<&str>,
        spelling: Spelling,
    ) -> Shared<Config> {
        let prefix = format!("{prefix}{}", below.unwrap_or_default());
        Values::new(&EnvironmentConfig::new(prefix), spelling).values()
    }

    async fn credential(
        &self,
        operator: &Operator,
        credential: &Credential,
    ) -> Result<SecretValue, VendorError> {
        let unreadable = |why: String| VendorError::Credential {
            place: credential.to_string(),
            why,
        };
        match credential {
            Credential::File(path) => {
                let mut text = read(path)?;
                if text.last() == Some(&b'\n') {
                    text.pop();
                }
                Ok(SecretValue::new(text))
            }
            Credential::Environment(variable) => match std::env::var(variable) {
                Ok(text) => Ok(SecretValue::new(text.into_bytes())),
                Err(_) => Err(VendorError::Variable(variable.clone())),
            },
            Credential::Vault {
                backend,
                path,
                field,
            } => {
                let Some(Backend::Vault(settings)) = operator.backend(backend) else {
                    return Err(unreadable("it is not a vault".into()));
                };
                let vault = self.vault(operator, backend, settings).await?;
                let (store, name) = in_vault(&vault, path, field).map_err(unreadable)?;
                value(&store, &name).await.map_err(unreadable)
            }
        }
    }
}

/// One field of one secret in a vault, as a store and the name in it.
pub(super) fn in_vault(
    vault: &Vault,
    path: &str,
    field: &str,
) -> Result<(Shared<Secrets>, String), String> {
    let (parent, last) = path
        .rsplit_once('/')
        .ok_or("a path in a vault has at least two parts, such as apps/shop")?;
    let store = vault.secrets(parent).map_err(|error| error.to_string())?;
    Ok((store, format!("{last}#{field}")))
}

async fn value(store: &Shared<Secrets>, name: &str) -> Result<SecretValue, String> {
    let ask = |call| async { store.call(call).await.map_err(|error| error.to_string()) };
    let Reply::Found { version } = ask(Call::Get { name: name.into() }).await? else {
        return Err("the vault answered something else than it was asked".into());
    };
    match ask(Call::Reveal {
        name: name.into(),
        version,
    })
    .await?
    {
        Reply::Revealed(Revealed::Value(value)) => Ok(value),
        _ => Err("the vault answered something else than it was asked".into()),
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, VendorError> {
    let failed = |source| VendorError::Read {
        path: path.to_path_buf(),
        source,
    };
    if std::fs::metadata(path).map_err(failed)?.len() > MAX_CREDENTIAL_BYTES {
        return Err(failed(std::io::Error::other(format!(
            "larger than {} KiB",
            MAX_CREDENTIAL_BYTES >> 10
        ))));
    }
    std::fs::read(path).map_err(failed)
}
