//! The heads of a message as they may cross a connection. In: what a guest wrote, or an upstream. Out: the same without
//! fields that belong to one connection only.
//!
//! RFC 9110, 7.6.1: "Intermediaries MUST parse a received Connection header field before a message is forwarded and,
//! for each connection-option in this field, remove any header or trailer field(s) from the message with the same
//! name".

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::contract::Error;

/// Makes a guest's fields fit to be sent and returns the length it declares for the body.
pub(super) fn outgoing(headers: &mut HeaderMap, max_bytes: usize) -> Result<Option<u64>, Error> {
    let length = declared_length(headers)?;
    let trailers = headers
        .get_all(header::TE)
        .iter()
        .any(|value| names(value).any(|name| name == "trailers"));
    strip(headers);
    // We do not wait for 100, so we must not promise to.
    headers.remove(header::EXPECT);
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if bytes > max_bytes {
        return Err(Error::HttpRequestHeaderSectionSize(
            u32::try_from(max_bytes).ok(),
        ));
    }
    Ok(length)
}

/// Removes what concerned the connection to the upstream only.
pub(super) fn incoming(headers: &mut HeaderMap) {
    strip(headers);
}

/// Removes fields that would frame or route the message from trailers (RFC 9110, 6.5.1).
pub(super) fn trailers(headers: &mut HeaderMap) {
    strip(headers);
    for name in [
        header::CONTENT_LENGTH,
        header::HOST,
        header::TRAILER,
        header::CONTENT_ENCODING,
        header::CONTENT_TYPE,
    ] {
        headers.remove(name);
    }
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(names)
        .filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok())
        // Naming the body's length a connection option does not make it one; hyper has framed by it already.
        .filter(|name| name != header::CONTENT_LENGTH)
        .collect();
    for name in named.iter().chain(&CONNECTION_FIELDS) {
        headers.remove(name);
    }
}

const CONNECTION_FIELDS: [HeaderName; 9] = [
    header::CONNECTION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

/// A length that is not one number is a way to make two readers disagree (RFC 9112, 6.3).
fn declared_length(headers: &HeaderMap) -> Result<Option<u64>, Error> {
    let mut values = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let digits = value
        .to_str()
        .ok()
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    match (digits.and_then(|digits| digits.parse().ok()), values.next()) {
        (Some(length), None) => Ok(Some(length)),
        _ => Err(Error::HttpRequestBodySize(None)),
    }
}

fn names(value: &HeaderValue) -> impl Iterator<Item = String> + '_ {
    let text = value.to_str().unwrap_or_default();
    text.split([',', ';'])
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
}
