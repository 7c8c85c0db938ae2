//! What a client reads when the answer is not the component's own (RFC 9457).
//!
//! In: a status, one documented word (`reason`), a sentence. Out: a complete `application/problem+json` response that also
//! carries the request id. Used by destinations too, so that every refusal of the node looks alike.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use serde::Serialize;

use crate::{
    exchange::{Body, Exchange},
    request_id::RequestId,
};

/// A refusal or failure to be told to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The status of the response.
    pub status: StatusCode,
    /// One word of the documented list: what programs and graphs distinguish.
    pub reason: &'static str,
    /// One sentence for a person; never a secret, an address or a backtrace.
    pub detail: Cow<'static, str>,
    /// Seconds for `Retry-After`.
    pub retry_after: Option<u32>,
}

impl Problem {
    /// A problem without `Retry-After`.
    pub fn new(
        status: StatusCode,
        reason: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            reason,
            detail: detail.into(),
            retry_after: None,
        }
    }

    /// Asks the client to wait this long.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Something broke on our side: 500 `internal`. What it was belongs in the log, not in the answer.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The service failed unexpectedly.",
        )
    }

    /// The response, with the reason noted in the exchange.
    pub fn answer(&self, exchange: &Exchange) -> Response<Body> {
        exchange.set_reason(self.reason);
        self.response(exchange.request_id)
    }

    /// The response alone.
    pub fn response(&self, request_id: RequestId) -> Response<Body> {
        // "type": "about:blank" means that the problem "has no additional semantics beyond that of the HTTP status code", and
        // that the title "SHOULD be the same as the recommended HTTP status phrase" (RFC 9457, 4.2.1); ours is in `reason`.
        let body = serde_json::to_vec(&Members {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Problem"),
            status: self.status.as_u16(),
            reason: self.reason,
            detail: &self.detail,
            request_id: &request_id.to_string(),
        })
        .unwrap_or_default();
        let mut response = Response::new(full(body.into()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[derive(Serialize)]
struct Members<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: &'a str,
    status: u16,
    reason: &'a str,
    detail: &'a str,
    request_id: &'a str,
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn carries_status_reason_detail_and_request_id() {
        let id = RequestId::random();
        let response = Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "Try again \"later\".",
        )
        .retry_after(2)
        .response(id);
        assert_eq!(response.status(), 503);
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        assert_eq!(response.headers()["retry-after"], "2");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "type": "about:blank", "title": "Service Unavailable", "status": 503, "reason": "overloaded",
                "detail": "Try again \"later\".", "request_id": id.to_string(),
            })
        );
    }
}
