//! What may stand behind a named resource. In: checked settings of `[backend.NAME]`. Out: a closed enum for the one who connects.
//!
//! Nothing here holds a secret: a credential is a reference, and whoever connects looks up what it refers to.

use std::{fmt, path::PathBuf, time::Duration};

use crate::name::BackendName;

/// A named backend and its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// Buckets that are gone with the process.
    Memory,
    /// Buckets under the state directory.
    Embedded,
    /// Buckets in a Redis or Valkey server.
    Redis(Redis),
    /// Secrets, and buckets, in a Vault KV v2 mount.
    Vault(Vault),
    /// Secrets, or values of components, each a file of one directory.
    Files(Files),
    /// Secrets, or values of components, each an environment variable of the host.
    Environment(Environment),
}

/// What a backend is, apart from its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BackendKind {
    /// `memory`
    Memory,
    /// `embedded`
    Embedded,
    /// `redis`
    Redis,
    /// `vault`
    Vault,
    /// `files`
    Files,
    /// `environment`
    Environment,
}

/// `kind = "redis"`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redis {
    /// `rediss://` is TLS; the port is 6379 when the URL does not say.
    pub endpoint: Endpoint,
    /// The path of the URL; 0 when there is none.
    pub database: u16,
    /// Only beside a password.
    pub username: Option<String>,
    /// Where the password is.
    pub password: Option<Credential>,
    /// Most connections at once; 8 when the file does not say.
    pub connections: u16,
    /// For connecting and for each answer; 2 s when the file does not say.
    pub timeout: Duration,
    /// Authorities to trust in place of the system's. Only with TLS.
    pub ca: Option<PathBuf>,
}

/// `kind = "vault"`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vault {
    /// `https://` is TLS; the port is 8200 when the address does not say.
    pub endpoint: Endpoint,
    /// The KV v2 mount; `secret` when the file does not say. No slash at either end.
    pub mount: String,
    /// Where the token is. Never, through however many vaults, in this vault itself.
    pub token: Credential,
    /// Sent as `X-Vault-Namespace`.
    pub namespace: Option<String>,
    /// Most connections at once; 8 when the file does not say.
    pub connections: u16,
    /// For connecting and for each answer; 2 s when the file does not say.
    pub timeout: Duration,
    /// Authorities to trust in place of the system's. Only with TLS.
    pub ca: Option<PathBuf>,
}

/// `kind = "files"`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Absolute, links not followed: what a mount puts behind them changes with every rotation.
    pub dir: PathBuf,
}

/// `kind = "environment"`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Before each variable's name; `CORACLE_SECRET_` when the file does not say, never empty.
    pub prefix: String,
}

/// Where a server listens. Holds no user and no password.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Whether the connection is TLS.
    pub tls: bool,
    /// A lower-case name, or an address without brackets.
    pub host: String,
    /// Never 0.
    pub port: u16,
}

/// Where a credential is, never the credential.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Credential {
    /// The text of a file, without the line feed at its end. Absolute, links not followed.
    File(PathBuf),
    /// An environment variable of the host.
    Environment(String),
    /// A field in a backend of kind `vault`.
    Vault {
        /// Which vault.
        backend: BackendName,
        /// Below its mount.
        path: String,
        /// Of the secret's data.
        field: String,
    },
}

impl Backend {
    /// What it is.
    pub fn kind(&self) -> BackendKind {
        match self {
            Self::Memory => BackendKind::Memory,
            Self::Embedded => BackendKind::Embedded,
            Self::Redis(_) => BackendKind::Redis,
            Self::Vault(_) => BackendKind::Vault,
            Self::Files(_) => BackendKind::Files,
            Self::Environment(_) => BackendKind::Environment,
        }
    }
}

impl BackendKind {
    /// All of them, as the documentation lists them.
    pub const ALL: [Self; 6] = [
        Self::Memory,
        Self::Embedded,
        Self::Redis,
        Self::Vault,
        Self::Files,
        Self::Environment,
    ];

    /// As in `kind = "..."`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Embedded => "embedded",
            Self::Redis => "redis",
            Self::Vault => "vault",
            Self::Files => "files",
            Self::Environment => "environment",
        }
    }

    /// Whether a bucket can be bound to it.
    pub fn keeps_buckets(self) -> bool {
        !matches!(self, Self::Files | Self::Environment)
    }

    /// Whether a secret can be bound to it.
    pub fn keeps_secrets(self) -> bool {
        matches!(self, Self::Vault | Self::Files | Self::Environment)
    }

    /// Whether configuration and environments can be bound to it.
    pub fn keeps_values(self) -> bool {
        matches!(self, Self::Files | Self::Environment)
    }
}

impl Redis {
    /// `redis://127.0.0.1:6379/0`, without user and password.
    pub fn url(&self) -> String {
        let scheme = if self.endpoint.tls { "rediss" } else { "redis" };
        format!("{scheme}://{}/{}", self.endpoint, self.database)
    }
}

impl Vault {
    /// `https://vault.internal:8200`
    pub fn address(&self) -> String {
        let scheme = if self.endpoint.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.endpoint)
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `host:port`, an IPv6 address in brackets.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// As the operator's file has it.
impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{{ file = {:?} }}", path.to_string_lossy()),
            Self::Environment(name) => write!(f, "{{ env = {name:?} }}"),
            Self::Vault {
                backend,
                path,
                field,
            } => write!(
                f,
                "{{ backend = \"{backend}\", path = {path:?}, field = {field:?} }}"
            ),
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
