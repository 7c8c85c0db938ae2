//! The service as a WASI 0.2 component. In: a request and the environment the manifest gives. Out: its answer.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, ResponseOutparam};

use crate::{service, split::Percent};

struct Edge;

impl Guest for Edge {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let headers = request.headers();
        let method = answer::p2::method(&request);
        let path = answer::p2::path(&request);
        let request = service::Request {
            method: &method,
            path: &path,
            country: text(&headers, "x-country"),
            visitor: text(&headers, "x-visitor").or_else(|| {
                text(&headers, "cookie").and_then(|cookies| service::visitor(&cookies))
            }),
            if_none_match: text(&headers, "if-none-match"),
        };
        answer::p2::send(service::answer(&request, share_of_b()), out);
    }
}

/// `SPLIT_PERCENT`; without it, or with nonsense in it, nobody is experimented on.
fn share_of_b() -> Percent {
    std::env::var("SPLIT_PERCENT")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

/// All values of a header as one list (RFC 9110, 5.2); a value that is not text counts as absent.
fn text(headers: &Fields, name: &str) -> Option<String> {
    let values = headers.get(name);
    if values.is_empty() {
        None
    } else {
        String::from_utf8(values.join(&b", "[..])).ok()
    }
}

wasip2::http::proxy::export!(Edge);
