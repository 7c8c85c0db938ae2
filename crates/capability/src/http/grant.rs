//! What a component may send. In: where a request goes. Out: the grant that covers it, or a denial with the line to
//! add.
//!
//! A grant answers for the URL only. Which addresses a granted name may resolve to is `address`'s question, asked when
//! dialling.

use std::{str::FromStr, sync::Arc};

use http::Method;

use super::{
    address::Allowed,
    contract::{Error, Scheme},
    target::{Host, MalformedHost, Target},
};
use crate::secrets::Headers;

/// Everything one component may send, and where the operator lets it connect. Made once, when the component is linked.
#[derive(Debug, Clone)]
pub struct GrantSet {
    /// What the app's manifest grants this component.
    pub grants: Vec<Grant>,
    /// What the operator allows; connections are shared only between components with equal ones.
    pub allowed: Arc<Allowed>,
}

impl GrantSet {
    /// The first grant that covers the request.
    pub fn permits(&self, target: &Target) -> Result<&Grant, Denied> {
        if !self.allowed.host(&target.host) {
            return Err(Denied::Host(target.host.clone()));
        }
        self.grants
            .iter()
            .find(|grant| grant.covers(target))
            .ok_or_else(|| Denied::NotGranted(Box::new(target.clone())))
    }
}

/// Permission to send some requests to some hosts.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Which hosts.
    pub host: HostPattern,
    /// Which port; `None` is the scheme's own, not any.
    pub port: Option<u16>,
    /// Which scheme.
    pub scheme: Scheme,
    /// Which methods; empty is every one.
    pub methods: Vec<Method>,
    /// Which paths.
    pub path: PathPattern,
    /// Secrets put into every request under this grant, in place of what the guest wrote there.
    pub headers: Headers,
}

impl Grant {
    /// Whether this grant alone permits the request.
    pub fn permits(&self, target: &Target) -> Result<(), Denied> {
        if self.covers(target) {
            Ok(())
        } else {
            Err(Denied::NotGranted(Box::new(target.clone())))
        }
    }

    fn covers(&self, target: &Target) -> bool {
        self.scheme == target.scheme
            && self.port.unwrap_or(self.scheme.default_port()) == target.port
            && self.host.covers(&target.host)
            && (self.methods.is_empty() || self.methods.contains(&target.method))
            && self.path.covers(&target.path)
    }
}

/// A host as a grant or the operator's file names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This name or address.
    Exact(Host),
    /// `*.example.com`: any name below it, not the name itself. Holds `example.com`.
    Below(String),
}

impl HostPattern {
    /// Whether `host` is meant.
    pub fn covers(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Exact(exact), host) => exact == host,
            (Self::Below(parent), Host::Name(name)) => name
                .strip_suffix(parent.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            (Self::Below(_), Host::Address(_)) => false,
        }
    }
}

impl FromStr for HostPattern {
    type Err = MalformedHost;

    fn from_str(text: &str) -> Result<Self, MalformedHost> {
        let host = |text: &str| match text.parse::<std::net::Ipv6Addr>() {
            Ok(ip) => Ok(Host::Address(std::net::IpAddr::V6(ip).to_canonical())),
            Err(_) => text.parse::<Host>(),
        };
        match text.strip_prefix("*.") {
            None => host(text).map(Self::Exact),
            Some(parent) => match host(parent)? {
                Host::Name(parent) => Ok(Self::Below(parent)),
                Host::Address(_) => Err(MalformedHost::Name),
            },
        }
    }
}

/// A path as a grant names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathPattern {
    /// `/*`: every path, however it is written.
    Every,
    /// This path only.
    Exact(String),
    /// Everything that begins with this, which ends in a slash.
    Prefix(String),
}

impl PathPattern {
    /// Whether `path` is meant. A path that servers read in more than one way is covered by [`PathPattern::Every`]
    /// only.
    pub fn covers(&self, path: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Exact(exact) => path == exact && is_plain(path),
            Self::Prefix(prefix) => path.starts_with(prefix.as_str()) && is_plain(path),
        }
    }
}

impl FromStr for PathPattern {
    type Err = MalformedPath;

    fn from_str(text: &str) -> Result<Self, MalformedPath> {
        let (path, rest) = text
            .split_once('*')
            .map_or((text, None), |(path, rest)| (path, Some(rest)));
        let well_formed = path.starts_with('/') && is_plain(path) && !path.contains(['?', '#']);
        match rest {
            Some("") if path == "/" => Ok(Self::Every),
            Some("") if well_formed && path.ends_with('/') => Ok(Self::Prefix(path.to_owned())),
            None if well_formed => Ok(Self::Exact(path.to_owned())),
            _ => Err(MalformedPath),
        }
    }
}

/// A path in a grant that is neither `/exact` nor `/prefix/*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a path begins with `/`, may end in `/*`, and has no `..`, encoded slash, query or fragment"
)]
pub struct MalformedPath;

/// Why a request is not sent.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Denied {
    /// No grant of the component covers it.
    #[error("{}", not_granted(.0))]
    NotGranted(Box<Target>),
    /// The operator names the hosts that may be granted, and this is not one.
    #[error(
        "host {0} may not be granted; the operator allows it in host.toml: [allow] hosts = [\"{0}\"]"
    )]
    Host(Host),
}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        Self::HttpRequestDenied(denied.to_string())
    }
}

fn not_granted(
    Target {
        method,
        scheme,
        host,
        port,
        path,
    }: &Target,
) -> String {
    let mut line = format!("http = [{{ host = \"{host}\", methods = [\"{method}\"]");
    if *scheme == Scheme::Http {
        line.push_str(", scheme = \"http\"");
    }
    if *port != scheme.default_port() {
        line.push_str(&format!(", port = {port}"));
    }
    let mut why = "";
    if is_plain(path) && !path.contains('*') {
        line.push_str(&format!(", path = {path:?}"));
    } else {
        why = " (servers differ in how they read this path, so only a grant without `path` covers it)";
    }
    format!(
        "{method} {path:?} to {scheme} host {host}, port {port}, is not granted{why}; \
             in coracle.toml, under this component's grants: {line} }}]",
        scheme = scheme.as_str()
    )
}

/// Whether every server finds the same segments in the path: no dot segment in any spelling, no slash or backslash
/// hidden in an escape, nothing encoded twice (RFC 3986, 6.2.2.3; `..;` is a dot segment to servlet containers).
fn is_plain(path: &str) -> bool {
    let escapes_are_plain = path.split('%').skip(1).all(|rest| {
        let code = rest
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        !matches!(
            code,
            None | Some(0..=0x1f | 0x7f | b'.' | b'/' | b'\\' | b'%')
        )
    });
    let is_dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    escapes_are_plain && !path.contains('\\') && !path.split('/').any(is_dots)
}
