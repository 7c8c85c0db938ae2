//! The auth service as a WASI 0.3 component with its key compiled in. In: `wasi:http/handler@0.3` requests and the clock.
//! Out: answers decided by `auth-core`, the same as `../p2` gives.

#![cfg(target_family = "wasm")]

use answer::Answer;
use auth_core::{Fault, Request};
use wasip3::clocks::system_clock;
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{self, ErrorCode, Fields, Method, Response};
use wasip3::{spawn_local, wit_future, wit_stream};

const RECORD: &[u8] = br#"{"user_id":"user_123","expires_at":4102444800}"#;

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

fn record(key: &str) -> Result<Option<Vec<u8>>, Fault> {
    Ok((key == "key_123").then(|| RECORD.to_vec()))
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
