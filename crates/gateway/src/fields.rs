//! Which header fields cross the edge, in each direction.
//!
//! In: the fields as received. Out: end-to-end fields only, and of those about the client only what we know ourselves.

use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{self, Entry},
};

use crate::config::Underscores;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Why the fields of a request are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldFault {
    Underscore,
    Expectation,
}

/// What a request's fields said about this hop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Hop {
    /// `TE: trailers`: the client keeps trailer fields (RFC 9110, 10.1.4).
    pub(crate) takes_trailers: bool,
}

/// Removes what ends here and what a client may not say, in one pass over the names.
pub(crate) fn clean_request(
    headers: &mut HeaderMap,
    underscores: Underscores,
) -> Result<Hop, FieldFault> {
    let mut hop = Hop::default();
    let mut remove: Vec<HeaderName> = Vec::new();
    for (name, value) in headers.iter() {
        match fate(name.as_str()) {
            Fate::Pass => {}
            Fate::Underscore if underscores == Underscores::Accept => {}
            Fate::Underscore => return Err(FieldFault::Underscore),
            // "A server that receives an Expect field value containing a member other than 100-continue MAY respond with a 417"
            // (RFC 9110, 10.1.1). hyper answers 100 itself, when the body is first asked for.
            Fate::Expect
                if !tokens(value).all(|token| token.eq_ignore_ascii_case("100-continue")) =>
            {
                return Err(FieldFault::Expectation);
            }
            Fate::Trailers => {
                hop.takes_trailers |=
                    tokens(value).any(|token| token.eq_ignore_ascii_case("trailers"));
                remove.push(name.clone());
            }
            Fate::Connection => {
                remove.extend(named(value));
                remove.push(name.clone());
            }
            Fate::Expect | Fate::Remove => remove.push(name.clone()),
        }
    }
    for name in remove {
        headers.remove(name);
    }
    if hop.takes_trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    Ok(hop)
}

/// Says who the client is, as this hop saw it. What the client claimed is gone already.
pub(crate) fn set_forwarded(headers: &mut HeaderMap, forwarded_for: &HeaderValue) {
    headers.insert(FORWARDED_FOR, forwarded_for.clone());
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
}

/// Removes what a destination may not say about a connection that it does not own.
pub(crate) fn clean_response(headers: &mut HeaderMap) {
    let mut remove: Vec<HeaderName> = Vec::new();
    for (name, value) in headers.iter() {
        match name.as_str() {
            "connection" => {
                remove.extend(named(value));
                remove.push(name.clone());
            }
            "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade" | "te" => {
                remove.push(name.clone())
            }
            _ => {}
        }
    }
    for name in remove {
        headers.remove(name);
    }
}

/// Removes what may never stand in a trailer section, in either direction: fields for framing, routing, authentication, request
/// modifiers, and the processing of the content (RFC 9110, 6.5.1).
pub(crate) fn clean_trailers(trailers: &mut HeaderMap) {
    let forbidden: Vec<HeaderName> = trailers
        .keys()
        .filter(|name| {
            matches!(
                name.as_str(),
                "content-length"
                    | "transfer-encoding"
                    | "content-encoding"
                    | "content-type"
                    | "content-range"
                    | "trailer"
                    | "host"
                    | "authorization"
                    | "cookie"
                    | "set-cookie"
                    | "cache-control"
                    | "expect"
                    | "max-forwards"
                    | "te"
                    | "traceparent"
            ) || matches!(fate(name.as_str()), Fate::Remove | Fate::Connection)
        })
        .cloned()
        .collect();
    for name in forbidden {
        trailers.remove(name);
    }
}

/// hyper sends trailers in HTTP/1.1 only if the head named them, and a destination names them after the head. gRPC's are known
/// beforehand; for others the destination sets `Trailer` itself.
pub(crate) fn announce_trailers(headers: &mut HeaderMap, version: Version, hop: Hop) {
    if version != Version::HTTP_11 || !hop.takes_trailers {
        return;
    }
    let grpc = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    if let (true, Entry::Vacant(entry)) = (grpc, headers.entry(header::TRAILER)) {
        entry.insert(HeaderValue::from_static(
            "grpc-status, grpc-message, grpc-status-details-bin",
        ));
    }
}

enum Fate {
    Pass,
    Remove,
    Connection,
    Trailers,
    Expect,
    Underscore,
}

/// Names are lower case here: `HeaderName` is.
fn fate(name: &str) -> Fate {
    match name {
        "connection" => Fate::Connection,
        "te" => Fate::Trailers,
        "expect" => Fate::Expect,
        // "Intermediaries SHOULD remove or replace fields that are known to require removal before forwarding" (RFC 9110, 7.6.1).
        "keep-alive"
        | "proxy-connection"
        | "proxy-authorization"
        | "transfer-encoding"
        | "upgrade"
        | "http2-settings" => Fate::Remove,
        "forwarded" | "x-real-ip" => Fate::Remove,
        _ if name.starts_with("x-forwarded-") || name.starts_with("coracle-") => Fate::Remove,
        _ if name.contains('_') => Fate::Underscore,
        _ => Fate::Pass,
    }
}

/// The fields a `Connection` value names. "A sender MUST NOT send a connection option corresponding to a field that is intended
/// for all recipients of the content" (RFC 9110, 7.6.1): removing those would let a client take routing or framing away.
fn named(value: &HeaderValue) -> impl Iterator<Item = HeaderName> {
    tokens(value)
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        .filter(|name| {
            !matches!(
                *name,
                header::HOST | header::CONTENT_LENGTH | header::TE | header::TRAILER
            )
        })
}

fn tokens(value: &HeaderValue) -> impl Iterator<Item = &str> {
    value
        .to_str()
        .unwrap_or("?")
        .split(',')
        .map(str::trim)
        .filter(|token| !token.is_empty())
}
