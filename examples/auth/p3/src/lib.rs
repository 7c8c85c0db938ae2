//! The token service as a WASI 0.3 component. In: `wasi:http/handler@0.3` requests, the bucket opened as `default`, the clock.
//! Out: answers decided by `auth-core`, the same as `../p2` gives.

#![cfg(target_family = "wasm")]

use answer::Answer;
use auth_core::{Fault, Request};
use wasip3::clocks::system_clock;
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{self, ErrorCode, Fields, Method, Response};
use wasip3::{spawn_local, wit_future, wit_stream};

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
    async fn handle(request: types::Request) -> Result<Response, ErrorCode> {
        let path = request.get_path_with_query().unwrap_or_default();
        let authorization = request.get_headers().get("authorization");
        let request = Request {
            method: method(&request.get_method()),
            path: path.split('?').next().unwrap_or_default(),
            authorization: &authorization,
        };
        send(auth_core::answer(request, record, now_s, |rejection| {
            eprintln!("{rejection}")
        }))
    }
}

/// Opens the bucket for this one read: instances may be reused, handles are not kept.
fn record(key: &str) -> Result<Option<Vec<u8>>, Fault> {
    store::open("default")
        .and_then(|bucket| bucket.get(key))
        .map_err(|error| Fault::Bucket(error.to_string()))
}

/// A clock before 1970 is one that nobody set: every key counts as expired then.
fn now_s() -> u64 {
    u64::try_from(system_clock::now().seconds).unwrap_or(u64::MAX)
}

/// The methods the service knows; every other one is answered alike.
fn method(method: &Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        _ => "",
    }
}

fn send(answer: Answer) -> Result<Response, ErrorCode> {
    let mut entries: Vec<(String, Vec<u8>)> = answer
        .headers
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into_bytes()))
        .collect();
    entries.push((
        "content-length".to_owned(),
        answer.body.len().to_string().into_bytes(),
    ));
    let fields = Fields::from_list(&entries)
        .map_err(|error| ErrorCode::InternalError(Some(error.to_string())))?;
    let (mut body, contents) = wit_stream::new();
    let (_no_trailers, trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(fields, Some(contents), trailers);
    response
        .set_status_code(answer.status)
        .map_err(|()| ErrorCode::InternalError(None))?;
    spawn_local(async move {
        // What remains unwritten was for a client that left.
        let _unwritten = body.write_all(answer.body).await;
    });
    Ok(response)
}

wasip3::http::service::export!(Auth);
