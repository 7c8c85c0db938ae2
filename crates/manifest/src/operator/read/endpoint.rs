//! The address of a server as an operator writes it. In: `redis://127.0.0.1:6379/0`. Out: an `Endpoint` and the path after it.
//!
//! A message never quotes the text: it may hold a password.

use std::net::IpAddr;

use crate::{operator::Endpoint, pattern};

/// The two schemes of a protocol, its port, and the key under which its credential is referred to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Protocol {
    pub(super) plain: &'static str,
    pub(super) tls: &'static str,
    pub(super) port: u16,
    pub(super) credential: &'static str,
}

/// Why a text is not the address of a server.
#[derive(Debug, PartialEq)]
pub(super) struct EndpointError {
    pub(super) rule: &'static str,
    pub(super) message: String,
    pub(super) fix: String,
}

impl EndpointError {
    pub(super) fn url(message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            rule: "url",
            message: message.into(),
            fix: fix.into(),
        }
    }
}

/// The server, and the path without its first slash.
pub(super) fn parse(text: &str, protocol: Protocol) -> Result<(Endpoint, &str), EndpointError> {
    let Protocol { plain, tls, .. } = protocol;
    let schemes = format!("write `{plain}://HOST:PORT`, or `{tls}://HOST:PORT` for TLS");
    // First of all, so that nothing below can quote it.
    if text.contains('@') {
        return Err(EndpointError {
            rule: "credential",
            message: "a URL here holds no user and no password".into(),
            fix: format!(
                "leave out what stands before the `@` and refer to it: `{} = {{ file = \"PATH\" }}`",
                protocol.credential
            ),
        });
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(EndpointError::url("this is not a URL", schemes));
    };
    let tls = match scheme.to_ascii_lowercase() {
        scheme if scheme == plain => false,
        scheme if scheme == tls => true,
        _ => return Err(EndpointError::url("another scheme is needed", schemes)),
    };
    if rest.contains(['?', '#']) {
        let fix = "leave out what follows the `?` or `#`; settings are keys of this table";
        return Err(EndpointError::url("the URL has no query here", fix));
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = host_and_port(authority, protocol.port)?;
    Ok((Endpoint { tls, host, port }, path))
}

fn host_and_port(authority: &str, default: u16) -> Result<(String, u16), EndpointError> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let unclosed = || EndpointError::url("the address has no closing `]`", "close it");
            let (host, after) = rest.split_once(']').ok_or_else(unclosed)?;
            (
                host,
                after
                    .strip_prefix(':')
                    .or((!after.is_empty()).then_some("")),
            )
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port {
        None => default,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => match digits.parse() {
            Ok(port) if port != 0 => port,
            _ => return Err(no_port()),
        },
        Some(_) => return Err(no_port()),
    };
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok((address.to_string(), port));
    }
    let host = host.to_ascii_lowercase();
    match pattern::host_name(&host) {
        Ok(()) => Ok((host, port)),
        Err(error) => Err(EndpointError::url(
            format!("the host of the URL is none: {error}"),
            "write a name or an address, an IPv6 one in brackets",
        )),
    }
}

fn no_port() -> EndpointError {
    EndpointError::url(
        "the port of the URL is none",
        "choose from 1 to 65535; an IPv6 address stands in brackets",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const REDIS: Protocol = Protocol {
        plain: "redis",
        tls: "rediss",
        port: 6379,
        credential: "password",
    };

    #[test]
    fn a_url_is_a_server_and_a_path() {
        for (text, shown, tls, path) in [
            ("redis://127.0.0.1", "127.0.0.1:6379", false, ""),
            (
                "rediss://Cache.Internal:7000/3",
                "cache.internal:7000",
                true,
                "3",
            ),
            ("REDIS://[::1]/", "[::1]:6379", false, ""),
            ("redis://[fd00::1]:1/a/b", "[fd00::1]:1", false, "a/b"),
        ] {
            let (endpoint, rest) = parse(text, REDIS).unwrap();
            assert_eq!(
                (endpoint.to_string().as_str(), endpoint.tls, rest),
                (shown, tls, path)
            );
        }
    }

    #[test]
    fn what_is_no_url_is_refused_and_never_quoted() {
        for text in [
            "",
            "hunter2",
            "http://hunter2",
            "redis://",
            "redis://h:",
            "redis://h:0",
            "redis://h:65536",
            "redis://h:+1",
            "redis://::1",
            "redis://[::1",
            "redis://[::1]x",
            "redis://h/0?password=hunter2",
            "redis://:hunter2@h",
            "redis://h:1:2",
            "redis://hunter2_%",
        ] {
            let error = parse(text, REDIS).unwrap_err();
            assert!(
                !format!("{error:?}").contains("hunter2"),
                "{text}: {error:?}"
            );
        }
    }
}
