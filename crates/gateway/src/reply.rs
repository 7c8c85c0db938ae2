//! The destination's response as it may leave the edge.
//!
//! In: whatever a destination returned. Out: a message whose framing is right for the method, status and version it answers, or
//! 502 where no such message exists.

use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode, Version,
    header::{self, CONTENT_LENGTH},
    request::Parts,
};
use http_body::Body as _;

use crate::{
    account::Account,
    body::Outgoing,
    exchange::Body,
    fields::{self, Hop},
    problem::Problem,
};

/// What the answer depends on, kept while the request is away.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    head: bool,
    version: Version,
    hop: Hop,
}

impl Asked {
    pub(crate) fn new(parts: &Parts) -> Self {
        Self {
            head: parts.method == Method::HEAD,
            version: parts.version,
            hop: Hop::default(),
        }
    }

    pub(crate) fn with(self, hop: Hop) -> Self {
        Self { hop, ..self }
    }

    /// A destination's answer.
    pub(crate) fn reply(self, response: Response<Body>, account: Account) -> Response<Outgoing> {
        // A request body that its sender spoilt explains the answer better than what the destination made of it.
        let response = match account.exchange.body_fault() {
            Some(fault) => {
                let mut response = fault.problem().answer(&account.exchange);
                response
                    .headers_mut()
                    .insert(header::CONNECTION, HeaderValue::from_static("close"));
                return self.frame(response, None, account);
            }
            None => response,
        };
        match declared_length(&response, self.head) {
            Ok(declared) => {
                let mut response = response;
                fields::clean_response(response.headers_mut());
                fields::announce_trailers(response.headers_mut(), self.version, self.hop);
                self.frame(response, declared, account)
            }
            Err(detail) => {
                tracing::warn!(request_id = %account.exchange.request_id, detail, "invalid response");
                let problem = Problem::new(StatusCode::BAD_GATEWAY, "invalid-response", detail);
                let response = problem.answer(&account.exchange);
                self.frame(response, None, account)
            }
        }
    }

    /// Our own answer: framing only, so that it may close the connection.
    pub(crate) fn own(self, response: Response<Body>, account: Account) -> Response<Outgoing> {
        self.frame(response, None, account)
    }

    fn frame(
        self,
        response: Response<Body>,
        declared: Option<u64>,
        account: Account,
    ) -> Response<Outgoing> {
        let (mut parts, body) = response.into_parts();
        account.exchange.set_status(parts.status);
        if self.version == Version::HTTP_2 {
            parts.headers.remove(header::CONNECTION);
        }
        // "Any response with a 1xx (Informational), 204 (No Content), or 304 (Not Modified) status code is always terminated by
        // the first empty line after the header fields" (RFC 9112, 6.3). "A server MUST NOT send a Content-Length header field in
        // any response with a status code of 1xx (Informational) or 204 (No Content)" (RFC 9110, 8.6); a 304 gains nothing by it.
        if matches!(
            parts.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        ) {
            parts.headers.remove(CONTENT_LENGTH);
            return Response::from_parts(parts, Outgoing::none(account));
        }
        if self.head {
            keep_length(&mut parts.headers, &body);
            return Response::from_parts(parts, Outgoing::none(account));
        }
        let unknown = declared.is_none() && body.size_hint().exact().is_none();
        let body = Outgoing::new(body, declared, account);
        let body = if unknown && self.version == Version::HTTP_10 {
            body.until_close()
        } else {
            body
        };
        Response::from_parts(parts, body)
    }
}

/// "A server MAY send a Content-Length header field in a response to a HEAD request" with "the decimal number of octets that would
/// have been sent in the content of a response if the same request had used the GET method" (RFC 9110, 8.6).
fn keep_length(headers: &mut HeaderMap, body: &Body) {
    if let Some(length) = body.size_hint().exact()
        && !headers.contains_key(CONTENT_LENGTH)
        && length > 0
    {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// The length the head declares, if the body can still keep that promise.
fn declared_length(response: &Response<Body>, head: bool) -> Result<Option<u64>, &'static str> {
    let status = response.status();
    if status.is_informational() || status.as_u16() > 599 {
        return Err("The service answered with a status that is not a final one.");
    }
    let mut lengths = response.headers().get_all(CONTENT_LENGTH).iter();
    let length = match (lengths.next(), lengths.next()) {
        (None, _) => return Ok(None),
        (Some(_), Some(_)) => return Err("The service declared more than one Content-Length."),
        (Some(length), None) => length,
    };
    let digits = length
        .to_str()
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(length) = digits.and_then(|digits| digits.parse::<u64>().ok()) else {
        return Err("The service declared a Content-Length that is not a number.");
    };
    let bodiless = head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    match response.body().size_hint().exact() {
        Some(known) if known != length && !bodiless => {
            Err("The service declared a Content-Length that its body does not have.")
        }
        _ => Ok(Some(length)),
    }
}
