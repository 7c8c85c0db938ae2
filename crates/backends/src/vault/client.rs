//! Asks a Vault for secrets and reads what it says.
//!
//! In: a path and perhaps a version. Out: the fields of the secret there, nothing, or why not. Nothing that Vault sends back is put
//! into a message: it may hold values.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use coracle_capability::{
    contract::Shared,
    http::{
        Target,
        address::{Allowed, Network},
        client::{Client, Settings},
        contract::{Body, Error as HttpError, Timeouts},
        grant::{Grant, GrantSet, HostPattern, PathPattern},
    },
    keyvalue::{self, KeyValue},
    secrets::{self, Headers, Secrets},
};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, uri::Scheme};
use http_body_util::{BodyExt as _, Empty};
use serde::Deserialize;

use super::{Config, ConfigError, keyvalue::Bucket, path::Path, secrets::Store};

/// A Vault, seen with one token. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Vault(Arc<Connected>);

#[derive(Debug)]
struct Connected {
    client: Client,
    grants: GrantSet,
    /// The token and the namespace.
    headers: HeaderMap,
    /// `https://vault:8200/v1/secret/data/`
    base: String,
    timeout: Duration,
}

impl Vault {
    /// Checks the settings. Connects when the first question is asked.
    ///
    /// # Errors
    /// [`ConfigError`], which names the setting.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let malformed = || ConfigError::Address(config.address.clone());
        let uri: Uri = config.address.parse().map_err(|_| malformed())?;
        let is_origin = matches!(uri.path(), "" | "/") && uri.query().is_none();
        if !is_origin
            || uri
                .scheme()
                .is_none_or(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS)
        {
            return Err(malformed());
        }
        let mount =
            Path::parse(&config.mount).ok_or_else(|| ConfigError::Path(config.mount.clone()))?;
        let base = format!(
            "{}/v1/{}/data/",
            config.address.trim_end_matches('/'),
            mount.as_str()
        );
        Ok(Self(Arc::new(Connected {
            grants: only(&base).ok_or_else(malformed)?,
            headers: headers(config)?,
            client: Client::new(settings(config)),
            base,
            timeout: config.timeout,
        })))
    }
}

impl Vault {
    /// The secrets below `path`, on this mount. A name is a path below it and a field: `stripe#key`, or `stripe` for the field
    /// `value`. A field that is not a string is its JSON text.
    ///
    /// # Errors
    /// When `path` is not a path of Vault.
    pub fn secrets(&self, path: &str) -> Result<Shared<Secrets>, ConfigError> {
        Ok(Arc::new(Store::new(self.clone(), below(path)?)))
    }

    /// The secret at `path` as a bucket: each of its fields is a key. A secret that is not there is an empty bucket.
    ///
    /// # Errors
    /// When `path` is not a path of Vault.
    pub fn bucket(&self, path: &str) -> Result<Shared<KeyValue>, ConfigError> {
        Ok(Arc::new(Bucket::new(self.clone(), below(path)?)))
    }

    /// The secret at a path, in its newest version or in one that is named; `None` when it is not there, was deleted or destroyed.
    pub(super) async fn read(
        &self,
        path: &Path,
        version: Option<u64>,
    ) -> Result<Option<Secret>, Fault> {
        match tokio::time::timeout(self.0.timeout, self.0.read(path, version)).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::Unavailable(format!(
                "Vault did not answer within {} ms",
                self.0.timeout.as_millis()
            ))),
        }
    }
}

fn below(path: &str) -> Result<Path, ConfigError> {
    Path::parse(path).ok_or_else(|| ConfigError::Path(path.to_owned()))
}

/// One version of what is at a path.
pub(super) struct Secret {
    pub(super) version: u64,
    fields: BTreeMap<String, serde_json::Value>,
}

impl Secret {
    /// A field: a string as its text, anything else as its JSON.
    pub(super) fn field(&self, name: &str) -> Option<Vec<u8>> {
        self.fields.get(name).map(|value| match value {
            serde_json::Value::String(text) => text.clone().into_bytes(),
            value => value.to_string().into_bytes(),
        })
    }

    /// The names of the fields, in byte order.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.fields.keys()
    }
}

/// Why Vault gave no answer. Whether it may a moment later is decided here, and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    Unavailable(String),
    Failed(String),
    TooLarge(String),
}

impl From<Fault> for secrets::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unavailable(why) => Self::Unavailable(why),
            Fault::Failed(why) => Self::Failed(why),
            Fault::TooLarge(why) => Self::TooLarge(why),
        }
    }
}

impl From<Fault> for keyvalue::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unavailable(why) => Self::Unavailable(why),
            Fault::Failed(why) => Self::Failed(why),
            Fault::TooLarge(why) => Self::TooLarge(why),
        }
    }
}

impl From<HttpError> for Fault {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::HttpResponseBodySize(_) => {
                Self::TooLarge("Vault's answer is larger than the operator's limit".into())
            }
            error if error.is_temporary() => Self::Unavailable(format!("asking Vault: {error}")),
            error => Self::Failed(format!("asking Vault: {error}")),
        }
    }
}

impl Connected {
    async fn read(&self, path: &Path, version: Option<u64>) -> Result<Option<Secret>, Fault> {
        let version = version.map_or(String::new(), |version| format!("?version={version}"));
        let uri = format!("{}{}{version}", self.base, path.as_str());
        let request = Request::get(uri).body(nothing());
        let mut request: Request<Body> =
            request.map_err(|_| Fault::Failed("the path cannot be asked for".into()))?;
        request.headers_mut().extend(self.headers.clone());
        let response = self
            .client
            .send(&self.grants, request, Timeouts::default())
            .await?;
        match response.status() {
            StatusCode::OK => {
                let body = response.into_body().collect().await?.to_bytes();
                secret(&body).map(Some)
            }
            // Also a version that was deleted: then a body says when.
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(refusal(status)),
        }
    }
}

/// The answer of `GET /v1/:mount/data/:path`, as far as it is used. Unknown keys are Vault's business.
#[derive(Deserialize)]
struct Envelope {
    data: Versioned,
}

#[derive(Deserialize)]
struct Versioned {
    data: BTreeMap<String, serde_json::Value>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    version: u64,
}

fn secret(body: &[u8]) -> Result<Secret, Fault> {
    // The parser's own message would quote what it met.
    let Envelope { data } = serde_json::from_slice(body)
        .map_err(|_| Fault::Failed("what Vault answered is not a secret of KV version 2".into()))?;
    Ok(Secret {
        version: data.metadata.version,
        fields: data.data,
    })
}

/// The statuses are those of Vault's HTTP API documentation, "HTTP status codes".
fn refusal(status: StatusCode) -> Fault {
    let why = match status.as_u16() {
        400 => "it does not understand the question: is the mount of KV version 2?",
        403 => "its token is not valid or may not read this path",
        412 | 472 | 473 => "this node of it cannot answer now",
        429 => "it is asked too often",
        503 => "it is sealed or down for maintenance",
        300..=399 => "it redirects elsewhere, which is not followed",
        _ => "",
    };
    let separator = if why.is_empty() { "" } else { ": " };
    let text = format!("Vault answered {}{separator}{why}", status.as_u16());
    match status.as_u16() {
        412 | 429 | 472 | 473 | 500..=599 => Fault::Unavailable(text),
        _ => Fault::Failed(text),
    }
}

fn nothing() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

fn settings(config: &Config) -> Settings {
    Settings {
        connect_timeout: config.connect_timeout,
        first_byte_timeout: config.timeout,
        between_bytes_timeout: config.timeout,
        max_timeout: config.timeout.max(config.connect_timeout),
        max_exchanges: config.max_connections,
        max_exchanges_per_authority: config.max_connections,
        max_wait: config.timeout,
        max_response_bytes: Some(config.max_response_bytes),
        tls: config.tls.clone(),
        ..Settings::default()
    }
}

/// Questions to this Vault and to nothing else, wherever the operator has put it.
fn only(base: &str) -> Option<GrantSet> {
    let (head, ()) = Request::get(base).body(()).ok()?.into_parts();
    let Target {
        host, port, scheme, ..
    } = Target::of(&head).ok()?;
    let grant = Grant {
        host: HostPattern::Exact(host),
        port: Some(port),
        scheme,
        methods: vec![Method::GET],
        path: PathPattern::Every,
        headers: Headers::default(),
    };
    let networks: Vec<Network> = ["0.0.0.0/0", "::/0"]
        .iter()
        .filter_map(|network| network.parse().ok())
        .collect();
    let allowed = Allowed {
        networks,
        ..Allowed::default()
    };
    Some(GrantSet {
        grants: vec![grant],
        allowed: Arc::new(allowed),
    })
}

fn headers(config: &Config) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    let mut token =
        HeaderValue::from_bytes(config.token.expose()).map_err(|_| ConfigError::Token)?;
    if token.is_empty() {
        return Err(ConfigError::Token);
    }
    token.set_sensitive(true);
    headers.insert("x-vault-token", token);
    // An agent in between may insist on it: no browser can be made to send it.
    headers.insert("x-vault-request", HeaderValue::from_static("true"));
    if let Some(namespace) = &config.namespace {
        let value = HeaderValue::from_str(namespace)
            .map_err(|_| ConfigError::Namespace(namespace.clone()))?;
        headers.insert("x-vault-namespace", value);
    }
    Ok(headers)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret(version {})", self.version)
    }
}
