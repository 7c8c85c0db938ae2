//! Calls `wasi:http/handler@0.3.x`.

use coracle_capability::Guest;
use coracle_gateway::Body;
use http::Request;
use http_body_util::BodyExt as _;
use wasmtime::{Store, component::Accessor};
use wasmtime_wasi_http::{
    Error, WasiHttpView as _,
    p3::{Request as WasiRequest, bindings::Service},
};

use super::{instance::Answer, invocation::Head};

/// Runs the handler and every task it leaves behind to their end. `answer` is used when the handler returns.
pub(super) async fn call(
    service: &Service,
    store: &mut Store<Guest>,
    request: Request<Body>,
    answer: Answer,
) -> wasmtime::Result<()> {
    let request = incoming(store.data_mut(), request);
    store
        .run_concurrent(async move |accessor: &Accessor<Guest>| {
            answer.set(handle(service, accessor, request).await?);
            // The body is still being written and work after the response is still being done by tasks of the guest.
            std::future::poll_fn(|context| accessor.poll_no_interesting_tasks(context)).await;
            Ok(())
        })
        .await?
}

/// The request as the guest gets it.
pub(super) fn incoming(guest: &mut Guest, request: Request<Body>) -> WasiRequest {
    let request =
        request.map(|body| body.map_err(|error| Error::InternalError(Some(error.to_string()))));
    let (request, received) = WasiRequest::from_http(guest.http().hooks, request);
    // Resolves when the guest is done with the request's body; what it found there is the guest's affair.
    drop(received);
    request
}

/// Runs the handler until it returns.
pub(super) async fn handle(
    service: &Service,
    accessor: &Accessor<Guest>,
    request: WasiRequest,
) -> wasmtime::Result<Head> {
    Ok(match service.handle(accessor, request).await? {
        Ok(response) => Ok(accessor.with(|access| response.into_http(access, async { Ok(()) }))?),
        Err(code) => Err(format!("{code:?}")),
    })
}
