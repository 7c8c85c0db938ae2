//! The auth service as a WASI 0.2 component with its key compiled in. In: `wasi:http/incoming-handler@0.2` requests and the clock.
//! Out: answers decided by `auth-core`.

#![cfg(target_family = "wasm")]

use auth_core::{Fault, Request};
use wasip2::clocks::wall_clock;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

const RECORD: &[u8] = br#"{"user_id":"user_123","expires_at":4102444800}"#;

struct Auth;

impl Guest for Auth {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let method = answer::p2::method(&request);
        let path = answer::p2::path(&request);
        let authorization = request.headers().get("authorization");
        let request = Request {
            method: &method,
            path: &path,
            authorization: &authorization,
        };
        let answer = auth_core::answer(
            request,
            record,
            || wall_clock::now().seconds,
            |rejection| eprintln!("{rejection}"),
        );
        answer::p2::send(answer, out);
    }
}

fn record(key: &str) -> Result<Option<Vec<u8>>, Fault> {
    Ok((key == "key_123").then(|| RECORD.to_vec()))
}

wasip2::http::proxy::export!(Auth);
