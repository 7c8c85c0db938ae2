//! Calls `wasi:http/incoming-handler@0.2.x`.

use coracle_capability::Guest;
use coracle_gateway::Body;
use http::Request;
use http_body_util::BodyExt as _;
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime_wasi_http::{
    Error, WasiHttpView as _,
    p2::bindings::{ProxyPre, http::types::Scheme},
};

use super::invocation::Head;

/// Runs the handler to its end. `head` is used when the guest sets its response.
pub(super) async fn call(
    pre: &ProxyPre<Guest>,
    store: &mut Store<Guest>,
    request: Request<Body>,
    head: oneshot::Sender<Head>,
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
            // Nobody waits any more when the client left; the guest is then about to be dropped.
            let _ = head.send(response.map_err(|code| format!("{code:?}")));
        })?;
    let proxy = pre.instantiate_async(&mut *store).await?;
    proxy
        .wasi_http_incoming_handler()
        .call_handle(store, request, response)
        .await
}
