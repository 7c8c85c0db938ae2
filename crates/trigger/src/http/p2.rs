//! Calls `wasi:http/incoming-handler@0.2.x`.

use coracle_capability::Guest;
use coracle_gateway::Body;
use http::Request;
use http_body_util::BodyExt as _;
use wasmtime::Store;
use wasmtime_wasi_http::{
    Error, WasiHttpView as _,
    p2::bindings::{Proxy, http::types::Scheme},
};

use super::instance::Answer;

/// Runs the handler to its end. `answer` is used when the guest sets its response.
pub(super) async fn call(
    proxy: &Proxy,
    store: &mut Store<Guest>,
    request: Request<Body>,
    answer: Answer,
) -> wasmtime::Result<()> {
    let request =
        request.map(|body| body.map_err(|error| Error::InternalError(Some(error.to_string()))));
    let request = store
        .data_mut()
        .http()
        .new_incoming_request(Scheme::Http, request)?;
    let response = store
        .data_mut()
        .http()
        .new_response_outparam_from_callback(move |response| {
            answer.set(response.map_err(|code| format!("{code:?}")));
        })?;
    proxy
        .wasi_http_incoming_handler()
        .call_handle(store, request, response)
        .await
}
