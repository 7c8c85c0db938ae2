//! Calls `wasi:http/handler@0.3.x`.

use coracle_capability::Guest;
use coracle_gateway::Body;
use http::Request;
use http_body_util::BodyExt as _;
use tokio::sync::oneshot;
use wasmtime::{Store, component::Accessor};
use wasmtime_wasi_http::{
    Error, WasiHttpView as _,
    p3::{Request as WasiRequest, bindings::ServicePre},
};

use super::invocation::Head;

/// Runs the handler and every task it leaves behind to their end. `head` is used when the handler returns.
pub(super) async fn call(
    pre: &ServicePre<Guest>,
    store: &mut Store<Guest>,
    request: Request<Body>,
    head: oneshot::Sender<Head>,
) -> wasmtime::Result<()> {
    let service = pre.instantiate_async(&mut *store).await?;
    let request =
        request.map(|body| body.map_err(|error| Error::InternalError(Some(error.to_string()))));
    let (request, received) = WasiRequest::from_http(store.data_mut().http().hooks, request);
    // Resolves when the guest is done with the request's body; what it found there is the guest's affair.
    drop(received);
    store
        .run_concurrent(async move |accessor: &Accessor<Guest>| {
            let response = match service.handle(accessor, request).await? {
                Ok(response) => {
                    Ok(accessor.with(|access| response.into_http(access, async { Ok(()) }))?)
                }
                Err(code) => Err(format!("{code:?}")),
            };
            let _ = head.send(response);
            // The body is still being written and work after the response is still being done by tasks of the guest.
            std::future::poll_fn(|context| accessor.poll_no_interesting_tasks(context)).await;
            Ok(())
        })
        .await?
}
