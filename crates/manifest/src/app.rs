//! The resolved app: what a manifest means once it was read, checked, and a profile laid over it.
//!
//! Everything here is a checked value. Paths are absolute, names are well formed, every component, bucket and route
//! that is referred to exists. What the operator allows is a separate question (`operator`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    path::PathBuf,
    time::Duration,
};

use crate::{
    interface::InterfaceName,
    name::{AppName, BucketName, ComponentName, SecretName},
};

/// One manifest with one profile laid over it.
#[derive(Debug, Clone, PartialEq)]
pub struct App {
    /// The name that keeps this app's resources apart from another's.
    pub name: AppName,
    /// The folder of `coracle.toml`; directories granted without an operator's word lie inside it.
    pub dir: PathBuf,
    /// Where the manifest was read, for messages.
    pub manifest: PathBuf,
    /// The profile that was laid over it.
    pub profile: Option<String>,
    /// What the app consists of.
    pub components: BTreeMap<ComponentName, Component>,
    /// The buckets its components may name in grants.
    pub buckets: BTreeMap<BucketName, Bucket>,
    /// The secrets its components may name in grants.
    pub secrets: BTreeMap<SecretName, Secret>,
    /// In the order of the file; matching does not depend on it.
    pub routes: Vec<Route>,
}

/// One component: where it comes from and what it asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// Its name in the manifest.
    pub name: ComponentName,
    /// The `.wasm` file.
    pub source: PathBuf,
    /// How to make `source`, when the manifest says so.
    pub build: Option<Build>,
    /// Values for `wasi:config`.
    pub config: Values,
    /// Environment variables.
    pub environment: Values,
    /// Which of its imports other components answer, in the order of the file. They form no circle, filters counted in.
    pub links: Vec<Link>,
    /// The time that a profile puts in place of the machine's: nanoseconds since 1970.
    pub time_ns: Option<u64>,
    /// The seed of the randomness that a profile puts in place of the machine's.
    pub seed: Option<u64>,
    /// What it may reach.
    pub grants: Grants,
    /// What one invocation may use; `None` is the default.
    pub limits: Limits,
    /// Whether an instance may serve more than one request; `None` is a fresh one for each.
    pub reuse: Option<Reuse>,
}

/// `reuse = { requests = 128, idle = "10s", concurrent = 16 }`: how long one instance may serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reuse {
    /// Requests after which an instance ends; at least two.
    pub requests: u32,
    /// How long it may wait for the next one; `None` is the host's default.
    pub idle: Option<Duration>,
    /// Requests at once, for WASI 0.3; `None` is one after the other.
    pub concurrent: Option<u32>,
}

/// `"shop:payments/charge" = { component = "payments", instance = "own" }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The import that is answered.
    pub interface: InterfaceName,
    /// Another component of the app, which answers it.
    pub component: ComponentName,
    /// Which instance of it; `shared` when the manifest does not say.
    pub instance: Instance,
}

/// Which instance of a component a link leads to. An invocation has fresh ones of either kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instance {
    /// The one that all links with this word lead to.
    Shared,
    /// One of this link's own.
    Own,
}

/// What a manifest says of a component's configuration, or of its environment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values {
    /// Texts by key; the operator's stand above them.
    pub texts: BTreeMap<String, String>,
    /// Keys without a text here: the operator has to give one (`Operator::values_binding`), or the profile.
    pub required: BTreeSet<String>,
    /// Whether the profile wrote them: then they stand alone, whatever `host.toml` binds.
    pub mock: bool,
}

/// A command that produces a component.
#[derive(Debug, Clone, PartialEq)]
pub struct Build {
    /// Run by `sh -c` in `dir`.
    pub command: String,
    /// Absolute.
    pub dir: PathBuf,
}

/// The grants of one component: closed, parametrised, deny by default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Grants {
    /// Buckets.
    pub keyvalue: Vec<KeyvalueGrant>,
    /// Outbound HTTP.
    pub http: Vec<HttpGrant>,
    /// Directories.
    pub files: Vec<FilesGrant>,
    /// Secrets by name.
    pub secrets: Vec<SecretGrant>,
    /// Wall and monotonic clocks, and timers.
    pub clock: bool,
    /// `wasi:random/random`: cryptographic randomness.
    pub randomness: bool,
}

/// `keyvalue = [{ bucket = "api-keys", as = "default", access = "read", prefix = "p/" }]`
#[derive(Debug, Clone, PartialEq)]
pub struct KeyvalueGrant {
    /// The named resource.
    pub bucket: BucketName,
    /// The name the guest opens; the bucket's own name when the manifest does not say.
    pub alias: String,
    /// What it may do there; `read` when the manifest does not say.
    pub access: Access,
    /// Prepended to every key by the host; the guest sees keys without it.
    pub prefix: String,
}

/// What a component may do with a bucket or a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read only.
    Read,
    /// Read and write.
    ReadWrite,
}

/// `http = [{ host = "tax.example.com", methods = ["GET"], path = "/rates/*" }]`
#[derive(Debug, Clone, PartialEq)]
pub struct HttpGrant {
    /// Which hosts.
    pub host: HostPattern,
    /// Which port; `None` is the scheme's own (443, or 80 for `http`).
    pub port: Option<u16>,
    /// `https` unless the manifest says `scheme = "http"`.
    pub scheme: HttpScheme,
    /// Upper case; empty is every method.
    pub methods: Vec<String>,
    /// `/exact`, or `/prefix/*`; `/*` when the manifest does not say.
    pub path: PathPattern,
    /// Headers that the host fills with secrets; the guest sees neither.
    pub headers: Vec<HeaderGrant>,
}

/// `headers = { authorization = { secret = "tax-key", format = "Bearer {}" } }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderGrant {
    /// A field name in lower case; never one that frames the message or belongs to one connection.
    pub name: String,
    /// What goes into it: a secret the app declares.
    pub secret: SecretName,
    /// The header's value with exactly one `{}`, where the secret goes; `{}` alone when the manifest does not say.
    pub format: String,
}

impl HeaderGrant {
    /// The header's value with `secret` in its place.
    pub fn filled(&self, secret: &str) -> String {
        self.format.replacen("{}", secret, 1)
    }
}

/// `http` or `https`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpScheme {
    /// Cleartext.
    Http,
    /// TLS.
    Https,
}

/// A host as a grant names it: lower case, no trailing dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// A DNS name.
    Name(String),
    /// `*.example.com`: any name below it, not the name itself. Holds `example.com`.
    Below(String),
    /// A literal address.
    Address(IpAddr),
}

/// A path as an outbound grant names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathPattern {
    /// This path only.
    Exact(String),
    /// Everything that begins with this, which ends in `/`.
    Prefix(String),
}

/// `files = [{ dir = "etc", at = "/etc", access = "read" }]`
#[derive(Debug, Clone, PartialEq)]
pub struct FilesGrant {
    /// The host's directory, absolute.
    pub dir: PathBuf,
    /// As the manifest wrote it, for messages.
    pub dir_as_written: String,
    /// Where the guest finds it: absolute.
    pub at: String,
    /// `read` when the manifest does not say.
    pub access: Access,
}

/// `secrets = [{ name = "stripe-key", reveal = false }]`
#[derive(Debug, Clone, PartialEq)]
pub struct SecretGrant {
    /// The named resource.
    pub name: SecretName,
    /// Whether the guest may read it as text.
    pub reveal: bool,
}

/// What one invocation of a component may use. `None` is the host's default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    /// All linear memories and tables together.
    pub memory_bytes: Option<u64>,
    /// Time on a core.
    pub cpu: Option<Duration>,
    /// Time on the wall, from admission to the last byte of work.
    pub timeout: Option<Duration>,
    /// Invocations at once.
    pub concurrency: Option<u32>,
}

/// A named key-value resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    /// Its name in the manifest.
    pub name: BucketName,
    /// What stands behind it when `host.toml` says nothing.
    pub backend: BucketBackend,
    /// Whether the profile named `backend`: then it stands, whatever `host.toml` binds.
    pub mock: bool,
    /// Read once, into an empty bucket.
    pub seed: Option<PathBuf>,
    /// How long a key lives after it was set; `None` is for ever.
    pub ttl: Option<Duration>,
}

/// A named secret. Where it is kept is the operator's word alone (`Operator::secret_binding`).
#[derive(Debug, Clone, PartialEq)]
pub struct Secret {
    /// Its name in the manifest.
    pub name: SecretName,
    /// What the profile puts in its place: then nothing is asked of the operator.
    pub value: Option<MockValue>,
}

/// A secret's value in a profile. It may be a real one after all, so `Debug` does not show it.
#[derive(Clone, PartialEq)]
pub struct MockValue(String);

impl MockValue {
    pub(crate) fn new(value: String) -> Self {
        Self(value)
    }

    /// The value itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for MockValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MockValue(..)")
    }
}

/// What may stand behind a bucket in this version without the operator's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketBackend {
    /// Durable, under the state directory.
    Embedded,
    /// Gone with the process.
    Memory,
}

/// One way in.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The `Host` it answers; `None` is any.
    pub host: Option<String>,
    /// The pattern as written: `/orders/{id}`, `/assets/*`.
    pub path: String,
    /// Upper case; empty is every method. `GET` also answers `HEAD`.
    pub methods: Vec<String>,
    /// Who answers.
    pub component: ComponentName,
    /// Components that stand before it, the outermost first; each once.
    pub filters: Vec<ComponentName>,
    /// Line in the manifest, for messages about two apps.
    pub line: usize,
}
