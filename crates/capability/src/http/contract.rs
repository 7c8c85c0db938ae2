//! Outbound HTTP as values. In and out: the head of a request, the head of a response, an error; all can be stored and
//! compared.
//!
//! Bodies are streams and travel beside the heads. Nothing here opens a connection, and nothing here knows WIT.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, request, response};
use http_body_util::combinators::UnsyncBoxBody;
use serde::{Deserialize, Serialize};

/// A body in either direction: chunks and trailers, with back-pressure.
pub type Body = UnsyncBoxBody<Bytes, Error>;

/// The head of a request that a component sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// As the guest wrote it.
    pub method: String,
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Host and port, as the guest wrote them.
    pub authority: String,
    /// Always begins with a slash.
    pub path_and_query: String,
    /// In order, lower-case names, values as bytes.
    pub headers: Vec<(String, Vec<u8>)>,
    /// What the guest asked for.
    pub timeouts: Timeouts,
}

impl Call {
    /// The value of a head; refuses what is not `http` or `https` to an authority.
    pub fn of(head: &request::Parts, timeouts: Timeouts) -> Result<Self, Error> {
        let scheme = head
            .uri
            .scheme_str()
            .and_then(Scheme::parse)
            .ok_or(Error::HttpRequestUriInvalid)?;
        let authority = head.uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
        Ok(Self {
            method: head.method.as_str().to_owned(),
            scheme,
            authority: authority.as_str().to_owned(),
            path_and_query: head
                .uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
            headers: fields(&head.headers),
            timeouts,
        })
    }

    /// The head that this value describes.
    pub fn head(&self) -> Result<request::Parts, Error> {
        let uri = Uri::builder()
            .scheme(self.scheme.as_str())
            .authority(self.authority.as_str())
            .path_and_query(self.path_and_query.as_str())
            .build()
            .map_err(|_| Error::HttpRequestUriInvalid)?;
        let method = http::Method::from_bytes(self.method.as_bytes())
            .map_err(|_| Error::HttpRequestMethodInvalid)?;
        let (mut head, ()) = http::Request::new(()).into_parts();
        (head.method, head.uri, head.headers) = (method, uri, header_map(&self.headers)?);
        Ok(head)
    }
}

/// The head of a response that a component receives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// 100 to 999; never an informational status from our own client.
    pub status: u16,
    /// In order, lower-case names, values as bytes.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Reply {
    /// The value of a head.
    pub fn of(head: &response::Parts) -> Self {
        Self {
            status: head.status.as_u16(),
            headers: fields(&head.headers),
        }
    }

    /// The head that this value describes.
    pub fn head(&self) -> Result<response::Parts, Error> {
        let (mut head, ()) = http::Response::new(()).into_parts();
        head.status =
            http::StatusCode::from_u16(self.status).map_err(|_| Error::HttpProtocolError)?;
        head.headers = header_map(&self.headers)?;
        Ok(head)
    }
}

/// The two schemes there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Cleartext HTTP/1.1.
    Http,
    /// TLS, HTTP/2 or HTTP/1.1 as the server chooses.
    Https,
}

impl Scheme {
    /// Case does not matter (RFC 3986, 3.1).
    pub fn parse(text: &str) -> Option<Self> {
        let is = |name: &str| text.eq_ignore_ascii_case(name);
        if is("http") {
            Some(Self::Http)
        } else {
            is("https").then_some(Self::Https)
        }
    }

    /// As in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that a URL need not name.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// How long each phase of a request may take; `None` is the host's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// Name lookup, TCP and TLS together.
    pub connect: Option<Duration>,
    /// From the last byte of the request to the head of the response.
    pub first_byte: Option<Duration>,
    /// Between two chunks of the response body, and between two of the request body that the upstream takes.
    pub between_bytes: Option<Duration>,
}

/// Why a request got no response, or a body no end. The cases are those of `wasi:http/types.error-code` that can occur
/// here; the texts are for the operator's log, the guest sees the case.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize, Deserialize)]
pub enum Error {
    /// The lookup of the name took longer than the connect timeout.
    #[error("the name lookup timed out")]
    DnsTimeout,
    /// The resolver's own words.
    #[error("the name lookup failed: {0}")]
    DnsError(String),
    /// The name has no address.
    #[error("the name has no address")]
    DestinationNotFound,
    /// The network says that the host cannot be reached now.
    #[error("the destination is unavailable")]
    DestinationUnavailable,
    /// Every address of the host is one that the operator does not allow. Names the address and the line to add.
    #[error("{0}")]
    DestinationIpProhibited(String),
    /// No route to the address.
    #[error("there is no route to the destination")]
    DestinationIpUnroutable,
    /// Nobody listens there.
    #[error("the connection was refused")]
    ConnectionRefused,
    /// Closed or reset before the response.
    #[error("the connection was closed before the response")]
    ConnectionTerminated,
    /// Not connected within the connect timeout.
    #[error("connecting timed out")]
    ConnectionTimeout,
    /// The upstream sent nothing for too long.
    #[error("the upstream sent nothing for too long")]
    ConnectionReadTimeout,
    /// The upstream took nothing for too long.
    #[error("the upstream took nothing for too long")]
    ConnectionWriteTimeout,
    /// The invocation, the app or the authority has too many requests under way, also after waiting.
    #[error("too many outbound requests at once")]
    ConnectionLimitReached,
    /// TLS could not be agreed.
    #[error("TLS failed")]
    TlsProtocolError,
    /// The server's certificate is not one that we trust for this host.
    #[error("the server's certificate is not trusted")]
    TlsCertificateError,
    /// The server refused the handshake.
    #[error("the server sent TLS alert {id}: {message}")]
    TlsAlertReceived {
        /// RFC 8446, section 6.
        id: u8,
        /// Its name.
        message: String,
    },
    /// No grant covers it. Names what was asked and the line to add.
    #[error("{0}")]
    HttpRequestDenied(String),
    /// Not a URL that can be sent to.
    #[error("the request's URL is not valid")]
    HttpRequestUriInvalid,
    /// Not a method, or one that is never sent (`CONNECT`, `TRACE`).
    #[error("the request's method is not valid")]
    HttpRequestMethodInvalid,
    /// The body is not as long as `content-length` says, or longer than the limit that is named.
    #[error("the request body has the wrong size")]
    HttpRequestBodySize(Option<u64>),
    /// The head is larger than the limit.
    #[error("the request head is too large")]
    HttpRequestHeaderSectionSize(Option<u32>),
    /// The body ended before its end.
    #[error("the response ended early")]
    HttpResponseIncomplete,
    /// The head is larger, or has more fields, than the limit.
    #[error("the response head is too large")]
    HttpResponseHeaderSectionSize(Option<u32>),
    /// The body is longer than the limit that is named.
    #[error("the response body is too large")]
    HttpResponseBodySize(Option<u64>),
    /// The upstream did not answer in the time allowed for all of it.
    #[error("the response took too long")]
    HttpResponseTimeout,
    /// The upstream does not speak HTTP as it should.
    #[error("the upstream broke the protocol")]
    HttpProtocolError,
    /// The operator's settings cannot be used.
    #[error("outbound HTTP is not configured correctly")]
    ConfigurationError,
    /// Ours. Never holds anything of the guest's or the operator's.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// Whether the same request may succeed later without anyone changing anything.
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::DnsTimeout
                | Self::DnsError(_)
                | Self::DestinationUnavailable
                | Self::ConnectionRefused
                | Self::ConnectionTerminated
                | Self::ConnectionTimeout
                | Self::ConnectionReadTimeout
                | Self::ConnectionWriteTimeout
                | Self::ConnectionLimitReached
                | Self::HttpResponseIncomplete
                | Self::HttpResponseTimeout
        )
    }
}

pub(super) fn fields(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect()
}

fn header_map(fields: &[(String, Vec<u8>)]) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Error::HttpProtocolError)?;
        headers.append(
            name,
            HeaderValue::from_bytes(value).map_err(|_| Error::HttpProtocolError)?,
        );
    }
    Ok(headers)
}
