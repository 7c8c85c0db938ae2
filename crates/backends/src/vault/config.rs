//! Settings of a Vault. In: where it is and who we are. Out: what the client needs, checked.

use std::time::Duration;

use coracle_capability::{http::tls::TlsSettings, secrets::SecretValue};
use thiserror::Error;

/// Settings of a Vault. `Debug` does not show the token.
#[derive(Debug, Clone)]
pub struct Config {
    /// `https://vault.example.com:8200`, without a path.
    pub address: String,
    /// Where the engine is mounted: `secret`.
    pub mount: String,
    /// Enterprise and OpenBao: the namespace of the mount.
    pub namespace: Option<String>,
    /// Needs `read` on `MOUNT/data/PATH`, and nothing else.
    pub token: SecretValue,
    /// Whom to trust, and who we say we are.
    pub tls: TlsSettings,
    /// Name lookup, TCP and TLS together.
    pub connect_timeout: Duration,
    /// One question from its beginning to the last byte of its answer.
    pub timeout: Duration,
    /// An answer beyond this is refused, not read.
    pub max_response_bytes: u64,
    /// Questions at once, and so connections; further ones wait within their timeout.
    pub max_connections: usize,
}

impl Config {
    /// The defaults: 2 s to connect, 5 s for a question, answers of at most 2 MiB, 16 connections.
    pub fn new(address: impl Into<String>, mount: impl Into<String>, token: SecretValue) -> Self {
        Self {
            address: address.into(),
            mount: mount.into(),
            namespace: None,
            token,
            tls: TlsSettings::default(),
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(5),
            max_response_bytes: 2 << 20,
            max_connections: 16,
        }
    }
}

/// Why settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The address.
    #[error(
        "{0:?} is not the address of a Vault: expected https://HOST:PORT or http://HOST:PORT, without path, user or query"
    )]
    Address(String),
    /// The mount, or a path below it.
    #[error(
        "{0:?} is not a path of Vault: expected names with slashes between them, none of them empty, `.` or `..`"
    )]
    Path(String),
    /// The namespace.
    #[error("{0:?} cannot be a namespace")]
    Namespace(String),
    /// The token, which is not shown.
    #[error("the token is empty, or holds characters that a header cannot carry")]
    Token,
}
