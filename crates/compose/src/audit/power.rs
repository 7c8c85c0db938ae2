//! One thing that a component may do, and when one covers another. In: grants. Out: powers, and sentences about them.
//!
//! A grant is taken apart into its smallest powers (`read` and `write`, each method), so that two versions can be compared.

use std::path::{Path, PathBuf};

use coracle_manifest::{
    App,
    app::{Access, Component, HostPattern, HttpGrant, HttpScheme, PathPattern},
    name::{BucketName, SecretName},
};

/// One thing that may be done with one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Power {
    /// What may be done.
    pub verb: Verb,
    /// With what.
    pub object: Object,
}

/// What may be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// A bucket or a directory.
    Read,
    /// A bucket or a directory.
    Write,
    /// A request of this method, or of any.
    Send(Option<String>),
    /// The handle of a secret.
    Hold,
    /// The value of a secret.
    Reveal,
    /// The clock, randomness, or a secret in a header.
    Use,
}

/// What it is done with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// The keys of a bucket that begin with a prefix.
    Bucket {
        /// Which.
        bucket: BucketName,
        /// Empty is every key.
        prefix: String,
    },
    /// Requests to a host.
    Http(Destination),
    /// A secret the host puts into a header of such requests; the component does not see it.
    Header {
        /// Which.
        secret: SecretName,
        /// The header, in lower case.
        header: String,
        /// Of which requests.
        to: Destination,
    },
    /// A secret.
    Secret(SecretName),
    /// A directory and all below it.
    Directory(Directory),
    /// Clocks and timers.
    Clock,
    /// Secure randomness.
    Randomness,
}

/// Where requests may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// With TLS or without.
    pub scheme: HttpScheme,
    /// One name, all below a name, or an address.
    pub host: HostPattern,
    /// `None` is the scheme's own.
    pub port: Option<u16>,
    /// One path, or all below it.
    pub path: PathPattern,
}

/// A directory of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Absolute.
    pub dir: PathBuf,
    /// From the app's folder when it is inside, so that two folders of one app can be compared.
    pub in_app: Option<PathBuf>,
}

impl Power {
    /// Whether whoever has `self` has `other` too.
    pub fn covers(&self, other: &Power) -> bool {
        let verb = match (&self.verb, &other.verb) {
            (Verb::Send(None), Verb::Send(_)) => true,
            (one, another) => one == another,
        };
        verb && self.object.covers(&other.object)
    }
}

impl Object {
    fn covers(&self, other: &Object) -> bool {
        match (self, other) {
            (
                Self::Bucket { bucket, prefix },
                Self::Bucket {
                    bucket: other,
                    prefix: narrower,
                },
            ) => bucket == other && narrower.starts_with(prefix.as_str()),
            (Self::Http(to), Self::Http(other)) => to.covers(other),
            (
                Self::Header { secret, header, to },
                Self::Header {
                    secret: other,
                    header: into,
                    to: narrower,
                },
            ) => secret == other && header == into && to.covers(narrower),
            (Self::Directory(dir), Self::Directory(other)) => dir.covers(other),
            (one, another) => one == another,
        }
    }
}

impl Destination {
    fn of(grant: &HttpGrant) -> Self {
        let own = match grant.scheme {
            HttpScheme::Http => 80,
            HttpScheme::Https => 443,
        };
        Self {
            scheme: grant.scheme,
            host: grant.host.clone(),
            port: grant.port.filter(|port| *port != own),
            path: grant.path.clone(),
        }
    }

    fn covers(&self, other: &Self) -> bool {
        let path = match &other.path {
            PathPattern::Exact(path) => self.path.covers(path),
            PathPattern::Prefix(below) => {
                matches!(&self.path, PathPattern::Prefix(own) if below.starts_with(own.as_str()))
            }
        };
        self.scheme == other.scheme
            && self.port == other.port
            && self.host.covers(&other.host)
            && path
    }

    /// `https://tax.example.com:8443`, without the path.
    pub fn authority(&self) -> String {
        let scheme = match self.scheme {
            HttpScheme::Http => "http",
            HttpScheme::Https => "https",
        };
        let host = match &self.host {
            HostPattern::Address(std::net::IpAddr::V6(ip)) => format!("[{ip}]"),
            host => host.to_string(),
        };
        let port = self.port.map_or(String::new(), |port| format!(":{port}"));
        format!("{scheme}://{host}{port}")
    }

    fn text(&self) -> String {
        format!("{}{}", self.authority(), self.path)
    }
}

impl Directory {
    fn of(dir: &Path, app: &App) -> Self {
        Self {
            dir: dir.to_path_buf(),
            in_app: dir.strip_prefix(&app.dir).ok().map(Path::to_path_buf),
        }
    }

    /// Both inside their apps, or both outside.
    fn covers(&self, other: &Self) -> bool {
        match (&self.in_app, &other.in_app) {
            (Some(own), Some(other)) => other.starts_with(own),
            (None, None) => other.dir.starts_with(&self.dir),
            _ => false,
        }
    }

    /// From the app's folder when it is inside, else whole; without characters that move a cursor.
    pub fn text(&self) -> String {
        let path = match &self.in_app {
            Some(inside) if inside.as_os_str().is_empty() => Path::new("."),
            Some(inside) => inside,
            None => &self.dir,
        };
        path.to_string_lossy().escape_debug().to_string()
    }
}

/// The powers that a component's own grants give it.
pub fn powers(app: &App, component: &Component) -> Vec<Power> {
    let grants = &component.grants;
    let mut powers = Vec::new();
    let mut add = |verb, object: &Object| {
        let power = Power {
            verb,
            object: object.clone(),
        };
        if !powers.contains(&power) {
            powers.push(power);
        }
    };
    for grant in &grants.keyvalue {
        let object = Object::Bucket {
            bucket: grant.bucket.clone(),
            prefix: grant.prefix.clone(),
        };
        add(Verb::Read, &object);
        if grant.access == Access::ReadWrite {
            add(Verb::Write, &object);
        }
    }
    for grant in &grants.http {
        let object = Object::Http(Destination::of(grant));
        for method in &grant.methods {
            add(Verb::Send(Some(method.clone())), &object);
        }
        if grant.methods.is_empty() {
            add(Verb::Send(None), &object);
        }
        for header in &grant.headers {
            let object = Object::Header {
                secret: header.secret.clone(),
                header: header.name.clone(),
                to: Destination::of(grant),
            };
            add(Verb::Use, &object);
        }
    }
    for grant in &grants.files {
        let object = Object::Directory(Directory::of(&grant.dir, app));
        add(Verb::Read, &object);
        if grant.access == Access::ReadWrite {
            add(Verb::Write, &object);
        }
    }
    for grant in &grants.secrets {
        let object = Object::Secret(grant.name.clone());
        add(Verb::Hold, &object);
        if grant.reveal {
            add(Verb::Reveal, &object);
        }
    }
    if grants.clock {
        add(Verb::Use, &Object::Clock);
    }
    if grants.randomness {
        add(Verb::Use, &Object::Randomness);
    }
    powers
}

/// One sentence for each object, as it follows "may". Nothing in them can move a terminal's cursor.
pub fn sentences<'p>(powers: impl IntoIterator<Item = &'p Power>) -> Vec<String> {
    let mut grouped: Vec<(&Object, Vec<&Verb>)> = Vec::new();
    for power in powers {
        match grouped.iter_mut().find(|(o, _)| **o == power.object) {
            Some((_, verbs)) => verbs.push(&power.verb),
            None => grouped.push((&power.object, vec![&power.verb])),
        }
    }
    grouped
        .into_iter()
        .map(|(object, verbs)| sentence(&verbs, object))
        .collect()
}

fn sentence(verbs: &[&Verb], object: &Object) -> String {
    let doing = done(verbs);
    match object {
        Object::Bucket { bucket, prefix } if prefix.is_empty() => {
            format!("{doing} bucket {bucket}")
        }
        Object::Bucket { bucket, prefix } => format!("{doing} bucket {bucket} below {prefix:?}"),
        Object::Http(to) => format!("{doing} to {}", to.text()),
        Object::Header { secret, header, to } => format!(
            "have secret {secret} sent as {header} to {}, unseen",
            to.text()
        ),
        Object::Secret(name) => format!("{doing} secret {name}"),
        Object::Directory(dir) => format!("{doing} directory {}", dir.text()),
        Object::Clock => "read clocks and set timers".into(),
        Object::Randomness => "draw secure randomness".into(),
    }
}

fn done(verbs: &[&Verb]) -> String {
    let mut methods = Vec::new();
    let mut words = Vec::new();
    for verb in verbs {
        match verb {
            Verb::Read => words.push("read"),
            Verb::Write => words.push("write"),
            Verb::Hold => words.push("hold"),
            Verb::Reveal => words.push("reveal"),
            Verb::Use => words.push("use"),
            Verb::Send(Some(method)) => methods.push(method.as_str()),
            Verb::Send(None) => methods.push("any method"),
        }
    }
    if methods.is_empty() {
        words.join(" and ")
    } else {
        format!("send {}", methods.join(", "))
    }
}
