//! The token service as a WASI 0.2 component. In: `wasi:http/incoming-handler@0.2` requests, the bucket opened as `default`, the
//! clock. Out: answers decided by `auth-core`.

#![cfg(target_family = "wasm")]

use auth_core::{Fault, Request};
use wasip2::clocks::wall_clock;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

use crate::bindings::wasi::keyvalue::store;

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit/keyvalue-0.2.0-draft2",
        inline: "package coracle:auth; world keys { import wasi:keyvalue/store@0.2.0-draft2; }",
        world: "coracle:auth/keys",
        generate_all,
    });
}

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

/// Opens the bucket for this one read: the instance lives as long as the request.
fn record(key: &str) -> Result<Option<Vec<u8>>, Fault> {
    store::open("default")
        .and_then(|bucket| bucket.get(key))
        .map_err(|error| Fault::Bucket(error.to_string()))
}

wasip2::http::proxy::export!(Auth);
