//! The operator's word. In: `host.toml`. Out: `Operator`, which says what of an app's grants holds on this host.
//!
//! It says what stands behind each named resource (`[backend]`, `[bucket]`, `[secret]`), which values stand above the manifest's
//! (`[config]`, `[environment]`), whom outbound TLS trusts (`[outbound]`), what a component may use (`[limits]`) and what may be granted
//! at all (`[allow]`); each for every app, or for one.
//!
//! A grant is effective only where the manifest asks and the host allows. Without a word from the operator, an app reaches public
//! addresses and directories inside its own folder; special addresses and the host's paths come from here alone.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
};

use crate::{
    address,
    app::{App, HostPattern},
    document, lookup,
    name::{AppName, BackendName, BucketName, ComponentName, SecretName},
    network::Network,
    problem::{Problem, Problems, Source},
    reader::Reader,
    source,
};

mod backend;
mod binding;
mod limits;
mod outbound;
mod read;
mod refuse;
mod shown;
mod values;

pub use backend::{Backend, BackendKind, Credential, Endpoint, Environment, Files, Redis, Vault};
pub use binding::Binding;
pub use limits::HostLimits;
pub use outbound::{Identity, OutboundTls, Trust};
pub use values::ValuesOf;

/// The name of the operator's file.
pub const OPERATOR_FILE: &str = "host.toml";

/// What the operator says, for every app and for each.
#[derive(Debug, Clone, Default)]
pub struct Operator {
    file: Option<PathBuf>,
    /// To show its lines when an app is refused; holds no secret.
    source: Option<Source>,
    backends: BTreeMap<BackendName, Backend>,
    every: Word,
    apps: BTreeMap<AppName, Word>,
}

/// What is said of every app, or of one.
#[derive(Debug, Clone, Default)]
struct Word {
    buckets: BTreeMap<BucketName, Binding>,
    secrets: BTreeMap<SecretName, Binding>,
    values: BTreeMap<ValuesOf, Binding>,
    /// Only of one app.
    components: BTreeMap<ComponentName, BTreeMap<ValuesOf, Binding>>,
    outbound: outbound::Outbound,
    limits: HostLimits,
    allow: Allow,
}

/// What may be granted beyond the default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Allow {
    /// Names whose addresses may be special, and literal addresses.
    pub hosts: Vec<HostPattern>,
    /// Address ranges that may be dialled although special.
    pub networks: Vec<Network>,
    /// Directories of the host, absolute; all below them is included.
    pub directories: Vec<PathBuf>,
    /// Secrets bound for every app that this one may have.
    pub secrets: Vec<SecretName>,
    /// Values bound for every app that this one may have.
    pub values: Vec<ValuesOf>,
}

/// Reads the operator's file.
///
/// # Errors
/// Every problem of the file at once; that it is not there is one.
pub fn load(file: &Path) -> Result<Operator, Problems> {
    let missing = || {
        Problem::of_file(file, "missing-host-file", "there is no such file")
            .fix("name the operator's file")
    };
    let source = source::read(file, missing)?;
    let folder = lookup::canonical(lookup::folder_of(file))?;
    let (root, syntax) = document::parse(&source);
    let mut reader = Reader::new(&source);
    let operator = read::operator(&mut reader, &root, &folder);
    let problems = document::settled(&source, syntax, reader.problems);
    if problems.is_empty() {
        Ok(operator)
    } else {
        Err(Problems::new(problems, vec![source.clone()]))
    }
}

/// Reads the operator's file if there is one; without it the defaults hold.
///
/// # Errors
/// As [`load`], except that the file may be absent.
pub fn load_if_present(file: &Path) -> Result<Operator, Problems> {
    match file.try_exists() {
        Ok(false) => Ok(Operator {
            file: Some(file.to_path_buf()),
            ..Operator::default()
        }),
        _ => load(file),
    }
}

impl Operator {
    /// Everything allowed to `app`: what every app is allowed and its own.
    pub fn allowed(&self, app: &AppName) -> Allow {
        let mut allow = self.every.allow.clone();
        if let Some(Word { allow: own, .. }) = self.apps.get(app) {
            allow.hosts.extend_from_slice(&own.hosts);
            allow.networks.extend_from_slice(&own.networks);
            allow.directories.extend_from_slice(&own.directories);
            allow.secrets.extend_from_slice(&own.secrets);
            allow.values.extend_from_slice(&own.values);
        }
        allow
    }

    /// The special address ranges `app` may dial.
    pub fn allowed_networks(&self, app: &AppName) -> Vec<Network> {
        self.allowed(app).networks
    }

    /// The hosts whose addresses may be special for `app`.
    pub fn allowed_hosts(&self, app: &AppName) -> Vec<HostPattern> {
        self.allowed(app).hosts
    }

    /// Refuses an app whose grants reach beyond what is allowed, whose secrets or required values are not bound, or whose limits are above the
    /// ceiling. What a name resolves to is asked when it is dialled.
    ///
    /// # Errors
    /// One problem for each such grant and limit, which names both files and the line to add.
    pub fn permits(&self, app: &App) -> Result<(), Problems> {
        refuse::unpermitted(app, self)
    }

    /// The backends of the host by name, used or not.
    pub fn backends(&self) -> &BTreeMap<BackendName, Backend> {
        &self.backends
    }

    /// The backend of this name: where a [`Credential::Vault`] refers to. There is one for each such reference.
    pub fn backend(&self, name: &BackendName) -> Option<&Backend> {
        self.backends.get(name)
    }

    fn shown(&self) -> shown::Shown {
        shown::Shown {
            source: self.source.clone(),
        }
    }

    /// Where the operator's word is, or would be.
    pub fn file(&self) -> &Path {
        self.file.as_deref().unwrap_or(Path::new(OPERATOR_FILE))
    }
}

impl Allow {
    /// Whether `ip`, to which `host` resolved, may be dialled. To be asked of the very address that is dialled.
    ///
    /// # Errors
    /// The name of the special range that holds it.
    pub fn permits_address(&self, host: &str, ip: IpAddr) -> Result<(), &'static str> {
        let Some(range) = address::special(ip) else {
            return Ok(());
        };
        let named = HostPattern::parse(host).is_ok_and(|host| self.covers_host(&host));
        let inside = self.networks.iter().any(|network| network.contains(ip));
        if named || inside { Ok(()) } else { Err(range) }
    }

    fn covers_host(&self, host: &HostPattern) -> bool {
        self.hosts.iter().any(|allowed| allowed.covers(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(allow: &Allow, host: &str, ip: &str) -> Result<(), &'static str> {
        allow.permits_address(host, ip.parse().unwrap())
    }

    #[test]
    fn a_public_address_needs_no_word_and_a_special_one_does() {
        let none = Allow::default();
        assert_eq!(permits(&none, "example.com", "93.184.215.14"), Ok(()));
        assert_eq!(permits(&none, "example.com", "10.0.0.1"), Err("private"));
        assert_eq!(permits(&none, "localhost", "127.0.0.1"), Err("loopback"));
    }

    #[test]
    fn a_word_for_a_host_or_a_network_covers_that_and_no_more() {
        let host = Allow {
            hosts: vec![HostPattern::parse("*.internal").unwrap()],
            ..Allow::default()
        };
        assert_eq!(permits(&host, "db.internal", "10.0.0.1"), Ok(()));
        assert_eq!(permits(&host, "DB.internal.", "10.0.0.1"), Ok(()));
        assert_eq!(permits(&host, "evil.example", "10.0.0.1"), Err("private"));
        let network = Allow {
            networks: vec!["10.0.0.0/8".parse().unwrap()],
            ..Allow::default()
        };
        assert_eq!(permits(&network, "any.example", "10.0.0.1"), Ok(()));
        assert_eq!(permits(&network, "any.example", "::ffff:10.0.0.1"), Ok(()));
        assert_eq!(
            permits(&network, "any.example", "169.254.169.254"),
            Err("cloud metadata")
        );
    }
}
