//! Whether a parsed request may go further, in HTTP/1.1 and HTTP/2 alike, and in which form.
//!
//! In: a head that hyper parsed (and, in HTTP/1.1, that `listener::inspector` read byte by byte before). Out: an origin-form
//! target, exactly one valid `Host`, end-to-end fields; or a refusal. Absent: anything that depends on the route.

use http::{
    HeaderValue, Method, StatusCode, Uri, Version,
    header::{CONTENT_LENGTH, HOST},
    request::Parts,
    uri::PathAndQuery,
};

use crate::{
    config::Config,
    fields::{self, FieldFault, Hop},
    problem::Problem,
    request_id::{TRACEPARENT, TRACESTATE, Trace},
    route::{is_authority, path},
};

/// A request that goes no further.
pub(crate) struct Refused {
    pub(crate) problem: Problem,
    pub(crate) then: Then,
}

/// What the answer says besides the problem.
pub(crate) enum Then {
    /// The connection is as good as before.
    Continue,
    /// The connection is not to be trusted or not worth keeping: what follows on it may be a body that nobody wants.
    Close,
    /// The methods that would have been allowed.
    Allow(HeaderValue),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            then: Then::Continue,
        }
    }
}

pub(crate) fn closing(problem: Problem) -> Refused {
    Refused {
        problem,
        then: Then::Close,
    }
}

/// Checks one head and brings it into the form that destinations see.
pub(crate) fn admit(
    parts: &mut Parts,
    forwarded_for: &HeaderValue,
    config: &Config,
) -> Result<Hop, Refused> {
    check_method(&parts.method)?;
    check_target(&parts.uri, config)?;
    settle_host(parts)?;
    check_length(parts, config)?;
    let hop =
        fields::clean_request(&mut parts.headers, config.underscores).map_err(
            |fault| match fault {
                FieldFault::Underscore => malformed("A field name contains an underscore."),
                FieldFault::Expectation => closing(Problem::new(
                    StatusCode::EXPECTATION_FAILED,
                    "unknown-expectation",
                    "The only expectation this server knows is `100-continue`.",
                )),
            },
        )?;
    fields::set_forwarded(&mut parts.headers, forwarded_for);
    Ok(hop)
}

/// The caller's trace, or a new one. Two fields are not one valid field.
pub(crate) fn trace(parts: &Parts) -> Option<Trace> {
    let mut fields = parts.headers.get_all(TRACEPARENT).iter();
    match (fields.next(), fields.next()) {
        (Some(field), None) => Trace::parse(field.as_bytes()),
        _ => None,
    }
}

/// Passes the trace on with a span of our own; a `tracestate` without a valid parent says nothing.
pub(crate) fn set_trace(parts: &mut Parts, continued: Option<Trace>, trace: Trace) {
    if continued.is_none() {
        parts.headers.remove(TRACESTATE);
    }
    match trace.traceparent() {
        Some(field) => parts.headers.insert(TRACEPARENT, field),
        None => parts.headers.remove(TRACEPARENT),
    };
}

fn malformed(detail: &'static str) -> Refused {
    closing(Problem::new(StatusCode::BAD_REQUEST, "bad-request", detail))
}

/// `CONNECT` would make a tunnel and `TRACE` an echo of credentials. "An origin server that receives a request method that is
/// unrecognized or not implemented SHOULD respond with the 501" (RFC 9110, 9.1); 405 would promise that another path allows it.
fn check_method(method: &Method) -> Result<(), Refused> {
    if *method == Method::CONNECT || *method == Method::TRACE {
        return Err(closing(Problem::new(
            StatusCode::NOT_IMPLEMENTED,
            "method-not-implemented",
            format!("This server does not implement {method}."),
        )));
    }
    Ok(())
}

fn check_target(uri: &Uri, config: &Config) -> Result<(), Refused> {
    if uri
        .path_and_query()
        .is_some_and(|target| target.as_str().len() > config.max_target_bytes)
    {
        return Err(closing(Problem::new(
            StatusCode::URI_TOO_LONG,
            "target-too-long",
            "The request target is too long.",
        )));
    }
    if uri
        .scheme_str()
        .is_some_and(|scheme| scheme != "http" && scheme != "https")
    {
        return Err(malformed(
            "The scheme of the request target is neither http nor https.",
        ));
    }
    path::check(uri.path()).map_err(|fault| malformed(fault.detail()))
}

/// One valid `Host`, from the field, from an absolute-form target or from `:authority`; the target becomes origin-form.
///
/// "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a Host header field and
/// to any request message that contains more than one Host header field line or a Host header field with an invalid field value"
/// (RFC 9112, 3.2). "When an origin server receives a request with an absolute-form of request-target, the origin server MUST
/// ignore the received Host header field (if any) and instead use the host information of the request-target" (3.2.2).
fn settle_host(parts: &mut Parts) -> Result<(), Refused> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (_, Some(_)) => return Err(malformed("There is more than one Host field.")),
        (host, None) => host.map(|host| host.to_str().unwrap_or_default()),
    };
    if host.is_some_and(|host| !is_authority(host)) {
        return Err(malformed("The Host field is not an authority."));
    }
    let Some(authority) = parts.uri.authority() else {
        return match host {
            None if parts.version != Version::HTTP_10 => Err(malformed("There is no Host field.")),
            _ => Ok(()),
        };
    };
    if !is_authority(authority.as_str()) {
        return Err(malformed(
            "The authority of the request target is not valid.",
        ));
    }
    match (parts.version, host) {
        (Version::HTTP_11, None) => return Err(malformed("There is no Host field.")),
        // "A server SHOULD treat a request as malformed if it contains a Host header field that identifies an entity that differs
        // from the entity in the ':authority' pseudo-header field" (RFC 9113, 8.3.1).
        (Version::HTTP_2, Some(host)) if !host.eq_ignore_ascii_case(authority.as_str()) => {
            return Err(malformed("The Host field and :authority differ."));
        }
        _ => {}
    }
    let host = HeaderValue::from_str(authority.as_str())
        .map_err(|_| malformed("The authority is not a field value."))?;
    parts.headers.insert(HOST, host);
    parts.uri = origin_form(std::mem::take(&mut parts.uri));
    Ok(())
}

fn origin_form(uri: Uri) -> Uri {
    let target = uri.into_parts().path_and_query;
    Uri::from(target.unwrap_or_else(|| PathAndQuery::from_static("/")))
}

/// HTTP/1.1 lengths were read before hyper did; this is the same rule for HTTP/2, and the cap for both.
fn check_length(parts: &Parts, config: &Config) -> Result<(), Refused> {
    let mut lengths = parts.headers.get_all(CONTENT_LENGTH).iter();
    let length = match (lengths.next(), lengths.next()) {
        (None, _) => return Ok(()),
        (Some(_), Some(_)) => return Err(malformed("There is more than one Content-Length.")),
        (Some(length), None) => length,
    };
    let digits = length
        .to_str()
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(length) = digits.and_then(|digits| digits.parse::<u64>().ok()) else {
        return Err(malformed("The Content-Length is not a number."));
    };
    match config.max_body_bytes {
        Some(max) if length > max => Err(closing(crate::body::BodyFault::TooLarge.problem())),
        _ => Ok(()),
    }
}
