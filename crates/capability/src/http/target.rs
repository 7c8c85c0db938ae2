//! Where a request goes, read once. In: the head of a request. Out: method, scheme, host, port and path without
//! ambiguity.
//!
//! Grants, addresses, the pool, TLS and the `Host` field all use this one reading. What two readers could understand
//! differently (user information, `127.1`, a port that is no number) is refused, not repaired.

use std::{fmt, net::IpAddr, str::FromStr};

use http::{Method, request};

use super::contract::{Error, Scheme};

/// A request's destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Never `CONNECT` or `TRACE`.
    pub method: Method,
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Canonical.
    pub host: Host,
    /// As written, or the scheme's own.
    pub port: u16,
    /// As written, without the query; at least a slash.
    pub path: String,
}

impl Target {
    /// Reads the destination of an absolute URL.
    pub fn of(head: &request::Parts) -> Result<Self, Error> {
        // CONNECT would make the upstream a tunnel past every later check; TRACE echoes what the host added (RFC 9110,
        // 9.3.8).
        if matches!(head.method, Method::CONNECT | Method::TRACE) {
            return Err(Error::HttpRequestMethodInvalid);
        }
        let scheme = head
            .uri
            .scheme_str()
            .and_then(Scheme::parse)
            .ok_or(Error::HttpRequestUriInvalid)?;
        let authority = head.uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
        let (host, port) = split(authority.as_str()).map_err(|_| Error::HttpRequestUriInvalid)?;
        let path = if head.uri.path().is_empty() {
            "/"
        } else {
            head.uri.path()
        };
        Ok(Self {
            method: head.method.clone(),
            scheme,
            host,
            port: port.unwrap_or(scheme.default_port()),
            path: path.to_owned(),
        })
    }

    /// Host and port as `Host` and `:authority` carry them: the scheme's own port is left out (RFC 9110, 4.2.3).
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// A host in its one canonical spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name: lower case, no trailing dot, does not end in a number.
    Name(String),
    /// A literal address; an IPv4-mapped one is the IPv4 address that would be dialled.
    Address(IpAddr),
}

impl FromStr for Host {
    type Err = MalformedHost;

    fn from_str(text: &str) -> Result<Self, MalformedHost> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(MalformedHost::Address)?;
            // A zone (`%eth0`) does not parse, and is meant not to: it names an interface of the node.
            let ip = inner.parse().map_err(|_| MalformedHost::Address)?;
            return Ok(Self::Address(IpAddr::V6(ip).to_canonical()));
        }
        if let Ok(ip) = text.parse() {
            return Ok(Self::Address(IpAddr::V4(ip)));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() || name.len() > 253 || !name.split('.').all(is_label) {
            return Err(MalformedHost::Name);
        }
        // `2130706433`, `0x7f.1` and `0177.0.0.1` are addresses to inet_aton, thus to getaddrinfo, and names to us.
        if name.rsplit('.').next().is_some_and(is_number) {
            return Err(MalformedHost::Number);
        }
        Ok(Self::Name(name.to_ascii_lowercase()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Address(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// Why a text is not a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedHost {
    /// Brackets without an IPv6 address inside.
    #[error("an address in brackets is an IPv6 address without a zone")]
    Address,
    /// Not letters, digits, hyphens and underscores between dots; other alphabets are written in punycode.
    #[error("a host is a DNS name in ASCII or an address")]
    Name,
    /// Reads as a number to some.
    #[error(
        "an IPv4 address is four decimal numbers without leading zeros, and no name ends in a number"
    )]
    Number,
    /// User information, an empty port, or a port that is no number.
    #[error("an authority is a host, or a host, a colon and a port")]
    Authority,
}

fn split(authority: &str) -> Result<(Host, Option<u16>), MalformedHost> {
    // No host and no port contains `@`, so user information, by which one host passes for another (RFC 9110, 4.2.4), is
    // refused with them.
    let end = if authority.starts_with('[') {
        authority.find(']').map(|end| end + 1)
    } else {
        authority.find(':')
    };
    let (host, rest) = authority
        .split_at_checked(end.unwrap_or(authority.len()))
        .ok_or(MalformedHost::Authority)?;
    let port = match rest.strip_prefix(':') {
        Some(digits) if is_decimal(digits) => {
            Some(digits.parse().map_err(|_| MalformedHost::Authority)?)
        }
        None if rest.is_empty() => None,
        _ => return Err(MalformedHost::Authority),
    };
    if port == Some(0) {
        return Err(MalformedHost::Authority);
    }
    Ok((host.parse()?, port))
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= 63
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// As the URL standard's "ends in a number": decimal, or hexadecimal with or without digits.
fn is_number(label: &str) -> bool {
    let hexadecimal = label
        .strip_prefix("0x")
        .or_else(|| label.strip_prefix("0X"));
    is_decimal(label)
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
