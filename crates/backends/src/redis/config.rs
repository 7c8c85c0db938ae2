//! Settings of a Redis server. In: the operator's words. Out: an endpoint, credentials that never print, and bounds.

use std::{fmt, time::Duration};

use thiserror::Error;

/// Settings of one Redis server.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it is.
    pub endpoint: Endpoint,
    /// The ACL user; without one, the password is the server's `requirepass`.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Password>,
    /// PEM of the authorities that `rediss` trusts; without it, the node's own.
    pub ca_pem: Option<Vec<u8>>,
    /// How many connections share the calls; each carries many at a time.
    pub connections: usize,
    /// How long one call, or one attempt to connect, may take.
    pub timeout: Duration,
}

impl Config {
    /// Settings for the server at this URL, with two connections and a timeout of one second.
    ///
    /// # Errors
    /// When it is not `redis://HOST[:PORT][/DATABASE]` or `rediss://…`, which is with TLS.
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            endpoint: Endpoint::parse(url)?,
            username: None,
            password: None,
            ca_pem: None,
            connections: 2,
            timeout: Duration::from_secs(1),
        })
    }
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) database: u32,
    pub(crate) tls: bool,
}

impl Endpoint {
    fn parse(url: &str) -> Result<Self, ConfigError> {
        let url = redis::parse_redis_url(url).ok_or(ConfigError::Url)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ConfigError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(ConfigError::Url);
        }
        let tls = match url.scheme() {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return Err(ConfigError::Url),
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or(ConfigError::Url)?;
        let database = match url.path() {
            "" | "/" => 0,
            path => path
                .strip_prefix('/')
                .and_then(|path| path.parse().ok())
                .ok_or(ConfigError::Url)?,
        };
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(6379),
            database,
            tls,
        })
    }
}

/// Without the credentials, which are not part of it.
impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        match host.contains(':') {
            true => write!(formatter, "[{host}]:{port}"),
            false => write!(formatter, "{host}:{port}"),
        }
    }
}

/// A password. It has no text but the one it was made from, which only the handshake reads.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// Takes the text of a password.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

/// Why settings cannot be used. Never holds the URL, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// Not the URL of a server.
    #[error(
        "the URL of a Redis server is `redis://HOST[:PORT][/DATABASE]`, or `rediss://…` with TLS"
    )]
    Url,
    /// A URL ends up in logs.
    #[error(
        "a user or password is not part of the URL of a Redis server; it has settings of its own"
    )]
    Credentials,
    /// The PEM holds no certificate, or one that TLS cannot use.
    #[error("the authorities of a Redis server are not certificates in PEM")]
    Authorities,
    /// A path that could be confused with the keys of another bucket.
    #[error("the path of a bucket on Redis must not contain `coracle:`")]
    Path,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_where_the_server_is() {
        let endpoint = |url| Config::new(url).map(|config| config.endpoint);
        let plain = Endpoint {
            host: "cache.internal".into(),
            port: 6379,
            database: 0,
            tls: false,
        };
        assert_eq!(endpoint("redis://cache.internal"), Ok(plain.clone()));
        assert_eq!(endpoint("redis://cache.internal:6379/"), Ok(plain));
        let six = endpoint("rediss://[::1]:7000/3").unwrap();
        assert_eq!((six.host.as_str(), six.database, six.tls), ("::1", 3, true));
        assert_eq!(six.to_string(), "[::1]:7000");
        for url in [
            "",
            "cache.internal:6379",
            "http://cache",
            "redis://",
            "redis:///0",
            "redis://cache/x",
            "redis://cache/0?protocol=resp3",
            "unix:///run/redis.sock",
        ] {
            assert_eq!(endpoint(url), Err(ConfigError::Url), "{url}");
        }
    }

    #[test]
    fn neither_takes_a_password_from_the_url_nor_prints_one() {
        for url in ["redis://user:hunter2@cache", "redis://:hunter2@cache"] {
            let error = Config::new(url).unwrap_err();
            assert_eq!(error, ConfigError::Credentials);
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
        let mut config = Config::new("redis://cache").unwrap();
        config.password = Some(Password::new("hunter2"));
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
