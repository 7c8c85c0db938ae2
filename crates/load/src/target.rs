//! What is asked. In: a URL and options as curl's users write them. Out: a request that is sent again and again, and which answers count.

use std::{
    fmt,
    net::{SocketAddr, ToSocketAddrs as _},
    str::FromStr,
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header::HOST, uri::Scheme,
};
use http_body_util::Full;
use thiserror::Error;

use crate::{connection::Connection, tally::Failure};

/// The protocol of the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// One request at a time on a connection that is kept.
    Http1,
    /// HTTP/2 without encryption, begun without asking (RFC 9113, 3.3).
    Http2,
}

/// One request, as often as wanted.
#[derive(Debug, Clone)]
pub struct Target {
    pub(crate) url: String,
    pub(crate) protocol: Protocol,
    pub(crate) expected: Expected,
    pub(crate) request: Request<Full<Bytes>>,
    /// Where it answered, or may answer.
    pub(crate) addresses: Vec<SocketAddr>,
}

/// Which answers are successes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected(Vec<(u16, u16)>);

/// What is asked cannot be understood.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum TargetError {
    #[error("{url} has no scheme")]
    NoScheme { url: String },
    #[error("{url}: https is not supported")]
    Https { url: String },
    #[error("{url}: the scheme is {scheme}; it must be http")]
    Scheme { url: String, scheme: String },
    #[error("the URL of {host} holds a user or a password")]
    Credentials { host: String },
    #[error("{url} is no URL: {why}")]
    NotAUrl { url: String, why: String },
    #[error("the header {0:?} is not `NAME: VALUE`")]
    Header(String),
    #[error("{0:?} is no method")]
    Method(String),
    #[error("{0:?} is no status; write 200, or 2xx, or several with commas between")]
    Status(String),
    #[error("resolving {host}")]
    Resolve {
        host: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("resolving {host}: it has no address")]
    NoAddress { host: String },
}

/// The first answer did not come, or is none that counts.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ProbeError {
    #[error("connecting to {url}")]
    Connect {
        url: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("{url} gave no answer within {} s", bound.as_secs_f64())]
    Silent { url: String, bound: Duration },
    #[error("{url} answered {status}; expected is {expected}")]
    Status {
        url: String,
        status: u16,
        expected: Expected,
    },
    #[error("{url} gave no whole answer: {failure}")]
    Broken { url: String, failure: Failure },
}

impl TargetError {
    /// What to write instead.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoScheme { url } => Some(format!("write http://{url}")),
            Self::Https { .. } => {
                Some("ask the service itself, behind the proxy that ends TLS".into())
            }
            Self::Credentials { .. } => {
                Some("write -H 'Authorization: …', and the URL without them".into())
            }
            _ => None,
        }
    }
}

impl ProbeError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Connect { .. } => {
                Some("does the service run there? --start COMMAND starts it".into())
            }
            Self::Status { status, .. } => Some(format!(
                "-H adds a header, -X sets the method; --expect {status} takes this answer for a success"
            )),
            _ => None,
        }
    }
}

impl Target {
    /// `GET` of this URL over HTTP/1.1; any 2xx is a success.
    ///
    /// # Errors
    /// When it is no `http` URL, or its host has no address.
    pub fn new(url: &str) -> Result<Self, TargetError> {
        let uri = parse(url)?;
        let host = uri.authority().map_or("", |authority| authority.as_str());
        let with_port = if uri.port().is_some() {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        let resolved = with_port.to_socket_addrs();
        let addresses: Vec<SocketAddr> = resolved
            .map_err(|cause| TargetError::Resolve {
                host: host.into(),
                cause,
            })?
            .collect();
        if addresses.is_empty() {
            return Err(TargetError::NoAddress { host: host.into() });
        }
        let mut request = Request::new(Full::default());
        *request.uri_mut() = uri;
        Ok(Self {
            url: url.into(),
            protocol: Protocol::Http1,
            expected: Expected(vec![(200, 299)]),
            request,
            addresses,
        })
    }

    /// With this method.
    ///
    /// # Errors
    /// When it is none.
    pub fn method(mut self, method: &str) -> Result<Self, TargetError> {
        let parsed = Method::from_str(method).map_err(|_| TargetError::Method(method.into()))?;
        *self.request.method_mut() = parsed;
        Ok(self)
    }

    /// With another header, `NAME: VALUE`. `Host` replaces the URL's.
    ///
    /// # Errors
    /// When it is none.
    pub fn header(mut self, line: &str) -> Result<Self, TargetError> {
        let wrong = || TargetError::Header(line.into());
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let name = HeaderName::from_str(name.trim()).map_err(|_| wrong())?;
        let value = HeaderValue::from_str(value.trim()).map_err(|_| wrong())?;
        self.request.headers_mut().append(name, value);
        Ok(self)
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: Bytes) -> Self {
        *self.request.body_mut() = Full::new(body);
        self
    }

    /// Over this protocol.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// With other answers for successes.
    #[must_use]
    pub fn expecting(mut self, expected: Expected) -> Self {
        self.expected = expected;
        self
    }

    /// `GET http://…`
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.request.method(), self.url)
    }

    /// Asks once, and keeps the address that answered.
    ///
    /// # Errors
    /// When there is no answer within `bound`, or it does not count.
    pub async fn probe(&mut self, bound: Duration) -> Result<(), ProbeError> {
        let url = || self.url.clone();
        let address = self.reachable(bound).await?;
        self.addresses = vec![address];
        let connection = Connection::new(self);
        let asked = tokio::time::timeout(bound, connection.exchange()).await;
        match asked {
            Err(_) => Err(ProbeError::Silent { url: url(), bound }),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(Failure::Status(status))) => Err(ProbeError::Status {
                url: url(),
                status,
                expected: self.expected.clone(),
            }),
            Ok(Err(failure)) => Err(ProbeError::Broken {
                url: url(),
                failure,
            }),
        }
    }

    /// The first address that accepts a connection.
    async fn reachable(&self, bound: Duration) -> Result<SocketAddr, ProbeError> {
        let mut failed = None;
        for address in &self.addresses {
            let connecting = tokio::net::TcpStream::connect(address);
            match tokio::time::timeout(bound, connecting).await {
                Ok(Ok(_)) => return Ok(*address),
                Ok(Err(cause)) => failed = Some(cause),
                Err(_) => {}
            }
        }
        let url = self.url.clone();
        Err(match failed {
            Some(cause) => ProbeError::Connect { url, cause },
            None => ProbeError::Silent { url, bound },
        })
    }

    /// The request as it is sent: to a path with a `Host`, or to a whole URI.
    pub(crate) fn to_send(&self) -> Request<Full<Bytes>> {
        let mut request = self.request.clone();
        let host = request.headers().get(HOST).cloned();
        let authority = request.uri().authority().map(ToString::to_string);
        match self.protocol {
            Protocol::Http1 => {
                if let (None, Some(authority)) = (host, authority)
                    && let Ok(value) = HeaderValue::from_str(&authority)
                {
                    request.headers_mut().insert(HOST, value);
                }
                let path = request.uri().path_and_query().cloned();
                *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
            }
            Protocol::Http2 => {
                request.headers_mut().remove(HOST);
                let mut parts = request.uri().clone().into_parts();
                if let Some(authority) = host.and_then(|host| host.to_str().ok()?.parse().ok()) {
                    parts.authority = Some(authority);
                }
                if let Ok(uri) = Uri::from_parts(parts) {
                    *request.uri_mut() = uri;
                }
            }
        }
        request
    }

    /// Name and value of every header, for a report; without values, which may be secret.
    pub(crate) fn header_names(&self) -> Vec<String> {
        let headers: &HeaderMap = self.request.headers();
        headers.keys().map(ToString::to_string).collect()
    }
}

fn parse(url: &str) -> Result<Uri, TargetError> {
    if !url.contains("://") {
        return Err(TargetError::NoScheme { url: url.into() });
    }
    let not_a_url = |why: &str| TargetError::NotAUrl {
        url: url.into(),
        why: why.into(),
    };
    let without_fragment = url.split('#').next().unwrap_or_default();
    let uri: Uri = without_fragment
        .parse()
        .map_err(|error: http::uri::InvalidUri| not_a_url(&error.to_string()))?;
    match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => {}
        Some(scheme) if *scheme == Scheme::HTTPS => {
            return Err(TargetError::Https { url: url.into() });
        }
        scheme => {
            return Err(TargetError::Scheme {
                url: url.into(),
                scheme: scheme.map_or("missing", Scheme::as_str).into(),
            });
        }
    }
    match uri.authority() {
        None => Err(not_a_url("it has no host")),
        Some(authority) if authority.host().is_empty() => Err(not_a_url("it has no host")),
        Some(authority) if authority.as_str().contains('@') => Err(TargetError::Credentials {
            host: authority.host().into(),
        }),
        Some(_) => Ok(uri),
    }
}

impl Expected {
    pub(crate) fn covers(&self, status: StatusCode) -> bool {
        let status = status.as_u16();
        let mut ranges = self.0.iter();
        ranges.any(|(first, last)| (*first..=*last).contains(&status))
    }
}

impl FromStr for Expected {
    type Err = TargetError;

    /// `200`, `2xx`, `200,404`.
    fn from_str(text: &str) -> Result<Self, TargetError> {
        let one = |word: &str| {
            let word = word.trim();
            let wrong = || TargetError::Status(word.into());
            if let Some(class) = word.strip_suffix("xx") {
                let class: u16 = class.parse().map_err(|_| wrong())?;
                return match class {
                    2..=5 => Ok((class * 100, class * 100 + 99)),
                    _ => Err(wrong()),
                };
            }
            let status: u16 = word.parse().map_err(|_| wrong())?;
            match status {
                // An informational status is no answer yet.
                200..=599 => Ok((status, status)),
                _ => Err(wrong()),
            }
        };
        text.split(',').map(one).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{}xx", first / 100)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        let error = Target::new(url).unwrap_err();
        let hint = error.hint().map(|hint| format!("; {hint}"));
        error.to_string() + &hint.unwrap_or_default()
    }

    #[test]
    fn says_what_is_wrong_with_a_url() {
        assert_eq!(
            refused("localhost:8080/a"),
            "localhost:8080/a has no scheme; write http://localhost:8080/a"
        );
        assert!(refused("https://localhost/").contains("https is not supported"));
        assert!(refused("ftp://localhost/").contains("the scheme is ftp"));
        assert!(refused("http://").contains("is no URL"));
        assert!(refused("http:///path").contains("is no URL"));
    }

    #[test]
    fn never_repeats_a_password() {
        let said = refused("http://user:geheim@localhost/");
        assert!(
            said.contains("-H 'Authorization") && !said.contains("geheim"),
            "{said}"
        );
    }

    #[test]
    fn takes_a_status_a_class_or_several() {
        let expected: Expected = "200, 4xx".parse().unwrap();
        let covers = |status| expected.covers(StatusCode::from_u16(status).unwrap());
        assert!(covers(200) && covers(404) && covers(499));
        assert!(!covers(201) && !covers(500));
        assert_eq!(expected.to_string(), "200,4xx");
        for wrong in ["", "1xx", "100", "600", "x", "200,"] {
            assert!(wrong.parse::<Expected>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn sends_what_each_protocol_expects() {
        let target = Target::new("http://127.0.0.1:1/a?b#c").unwrap();
        let sent = target.to_send();
        assert_eq!(sent.uri(), "/a?b");
        assert_eq!(sent.headers()[HOST], "127.0.0.1:1");
        let named = target
            .header("Host: shop.example")
            .unwrap()
            .protocol(Protocol::Http2);
        let sent = named.to_send();
        assert_eq!(sent.uri(), "http://shop.example/a?b");
        assert!(sent.headers().is_empty());
        let sent = named.protocol(Protocol::Http1).to_send();
        assert_eq!(sent.headers()[HOST], "shop.example");
    }

    #[test]
    fn refuses_what_is_no_header_and_no_method() {
        let target = || Target::new("http://127.0.0.1:1/").unwrap();
        assert!(target().header("no colon").is_err());
        assert!(target().header("a b: c").is_err());
        assert!(target().method("GE T").is_err());
        let target = target().method("DELETE").unwrap();
        assert_eq!(target.title(), "DELETE http://127.0.0.1:1/");
    }
}
