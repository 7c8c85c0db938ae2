//! Clients that tell a whole answer from a torn one. HTTP/1.1 here and in [`h1`], blocking, with every byte in the test's hand;
//! HTTP/2 in [`h2`].

pub mod h1;
pub mod h2;

use std::{fmt, io};

pub use h1::Connection;

/// Fields in the order they came, names in lower case.
pub type Fields = Vec<(String, String)>;

/// A whole answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Its fields.
    pub headers: Fields,
    /// Its body, chunks put together.
    pub body: Vec<u8>,
    /// The fields after the body.
    pub trailers: Fields,
}

/// Why there is no whole answer.
#[derive(Debug)]
pub enum Error {
    /// The connection ended before a byte of it came.
    NoAnswer,
    /// The head came, and this much of the body, but not its end.
    Truncated {
        /// The status in the head.
        status: u16,
        /// Bytes of the body that came.
        received: usize,
    },
    /// The other side reset the stream (HTTP/2); what it said.
    Reset(String),
    /// Nothing came in time.
    TimedOut,
    /// It is not HTTP.
    Malformed(String),
    /// The connection failed.
    Io(io::Error),
}

/// One request on a connection of its own.
///
/// # Panics
/// When there is no whole answer.
pub fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
    try_request(method, url, headers, body)
        .unwrap_or_else(|error| panic!("{method} {url}: {error}"))
}

/// One `GET` on a connection of its own.
///
/// # Panics
/// When there is no whole answer.
pub fn get(url: &str) -> Response {
    request("GET", url, &[], b"")
}

/// One request on a connection of its own.
///
/// # Errors
/// When there is no whole answer.
pub fn try_request(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Response, Error> {
    let (base, target) = split(url);
    let mut headers = headers.to_vec();
    headers.push(("connection", "close"));
    Connection::try_open(base)?.request(method, target, &headers, body)
}

/// `http://host:1/a?b` is `http://host:1` and `/a?b`.
pub(crate) fn split(url: &str) -> (&str, &str) {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    match url[after_scheme..].find('/') {
        Some(slash) => url.split_at(after_scheme + slash),
        None => (url, "/"),
    }
}

impl Response {
    /// The first field of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The first trailer of this name.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        find(&self.trailers, name)
    }

    /// The body as text.
    pub fn body_text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.body_text()))
    }
}

/// A refusal or failure of the node itself (RFC 9457).
impl Response {
    /// The word that says why, of an answer that is the node's own and not the component's.
    ///
    /// # Panics
    /// When it is the component's, or lacks something that every such answer has.
    pub fn reason(&self) -> String {
        let said = self.body_text();
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{} {said}",
            self.status
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{said}");
        let id = problem["request_id"].as_str().unwrap_or_default();
        assert!(
            id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "no request id: {said}"
        );
        problem["reason"].as_str().expect("a reason").to_owned()
    }

    /// Status and reason of an answer that is the node's own; see [`Self::reason`].
    ///
    /// # Panics
    /// When they differ.
    pub fn assert_problem(&self, status: u16, reason: &str) {
        assert_eq!(
            (self.status, self.reason().as_str()),
            (status, reason),
            "{}",
            self.body_text()
        );
    }
}

fn find<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    let found = fields
        .iter()
        .find(|(found, _)| found.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

impl Error {
    /// Whether the answer had begun and did not end.
    pub fn is_truncated(&self) -> bool {
        matches!(self, Error::Truncated { .. } | Error::Reset(_))
    }

    /// Whether the connection ended before an answer began.
    pub fn is_unanswered(&self) -> bool {
        matches!(self, Error::NoAnswer)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoAnswer => formatter.write_str("the connection ended without an answer"),
            Error::Truncated { status, received } => {
                write!(formatter, "{status}, truncated after {received} bytes")
            }
            Error::Reset(what) => write!(formatter, "the stream was reset: {what}"),
            Error::TimedOut => formatter.write_str("no answer in time"),
            Error::Malformed(what) => write!(formatter, "this is not HTTP: {what}"),
            Error::Io(error) => write!(formatter, "{error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::TimedOut,
            _ => Error::Io(error),
        }
    }
}

#[cfg(test)]
mod tests;
