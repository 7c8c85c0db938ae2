//! What the product stands on, with nothing of the product around it: the same engine profile and pool, hyper, stock wasi-http.
//!
//! In: a component and requests. Out: answers from a fresh instance each. The simplest thing that is correct for a small answer: the guest
//! runs to its end on the connection's task and leaves as one message. No routes, grants, limits, metrics, admission or streaming.

use std::{convert::Infallible, path::Path, sync::Arc};

use anyhow::Context as _;
use bytes::Bytes;
use coracle_engine::{Cache, Compiler, Engines, Kind, Pool};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use wasmtime::{
    Store,
    component::{Accessor, Linker, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
    p2::bindings::{ProxyPre, http::types::Scheme},
    p3::{Request as WasiRequest, bindings::ServicePre},
};

/// A body as stock wasi-http takes it.
pub(crate) type Body = UnsyncBoxBody<Bytes, Error>;

/// Serves until it is killed.
pub(crate) fn serve(component: &Path, cache: &Path) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let cache = open_cache(cache)?;
    let bare = Arc::new(Bare::new(&prepare(&cache, component)?)?);
    runtime.block_on(async {
        let listener = crate::native::listen().await?;
        loop {
            let (stream, _) = listener.accept().await?;
            // Refused only for a client that left already.
            let _ = stream.set_nodelay(true);
            let bare = Arc::clone(&bare);
            tokio::spawn(async move {
                let service = service_fn(|request: Request<hyper::body::Incoming>| async {
                    let request = request.map(|body| {
                        let failed =
                            |error: hyper::Error| Error::InternalError(Some(error.to_string()));
                        body.map_err(failed).boxed_unsync()
                    });
                    let answer = bare.answer(request).await;
                    Ok::<_, Infallible>(answer.unwrap_or_else(crate::native::failed))
                });
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    })
}

/// A cache whose compiler is this program.
pub(crate) fn open_cache(dir: &Path) -> anyhow::Result<Cache> {
    open_cache_with(dir, Pool::default())
}

/// The same, with slots of a size that a profiler can map.
pub(crate) fn open_cache_with(dir: &Path, pool: Pool) -> anyhow::Result<Cache> {
    let compiler = Compiler::new(std::env::current_exe()?);
    Ok(Cache::open(dir, compiler, Arc::new(Engines::new(pool)))?)
}

/// The component in this file, compiled or found.
pub(crate) fn prepare(cache: &Cache, file: &Path) -> anyhow::Result<coracle_engine::Component> {
    let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    Ok(cache.prepare(&bytes)?)
}

/// A component behind nothing.
pub(crate) enum Bare {
    P2(ProxyPre<State>),
    P3(ServicePre<State>),
}

impl Bare {
    pub(crate) fn new(component: &coracle_engine::Component) -> anyhow::Result<Self> {
        let mut linker = Linker::new(component.mapped.engine());
        Self::link(&mut linker, component).map_err(|error| anyhow::anyhow!("{error:#}"))
    }

    fn link(
        linker: &mut Linker<State>,
        component: &coracle_engine::Component,
    ) -> wasmtime::Result<Self> {
        wasmtime_wasi::p2::add_to_linker_async(linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
        if component.kind == Kind::Sequential {
            return Ok(Bare::P2(ProxyPre::new(
                linker.instantiate_pre(&component.mapped)?,
            )?));
        }
        wasmtime_wasi::p3::add_to_linker(linker)?;
        wasmtime_wasi_http::p3::add_to_linker(linker)?;
        Ok(Bare::P3(ServicePre::new(
            linker.instantiate_pre(&component.mapped)?,
        )?))
    }

    /// One request, one instance.
    pub(crate) async fn answer(
        &self,
        request: Request<Body>,
    ) -> wasmtime::Result<Response<Full<Bytes>>> {
        match self {
            Bare::P2(pre) => p2(pre, request).await,
            Bare::P3(pre) => p3(pre, request).await,
        }
    }
}

async fn p2(
    pre: &ProxyPre<State>,
    request: Request<Body>,
) -> wasmtime::Result<Response<Full<Bytes>>> {
    let mut store = store(pre.engine());
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let request = store
        .data_mut()
        .http()
        .new_incoming_request(Scheme::Http, request)?;
    let out = store.data_mut().http().new_response_outparam(sender)?;
    let proxy = pre.instantiate_async(&mut store).await?;
    let handler = proxy.wasi_http_incoming_handler();
    handler.call_handle(&mut store, request, out).await?;
    let response = receiver
        .await
        .map_err(|_| wasmtime::Error::msg("no response"))?
        .map_err(|code| wasmtime::Error::msg(format!("{code:?}")))?;
    whole(response).await
}

async fn p3(
    pre: &ServicePre<State>,
    request: Request<Body>,
) -> wasmtime::Result<Response<Full<Bytes>>> {
    let mut store = store(pre.engine());
    let service = pre.instantiate_async(&mut store).await?;
    let (request, received) = WasiRequest::from_http(store.data_mut().http().hooks, request);
    drop(received);
    store
        .run_concurrent(async move |accessor: &Accessor<State>| {
            let response = service
                .handle(accessor, request)
                .await?
                .map_err(|code| wasmtime::Error::msg(format!("{code:?}")))?;
            // The guest's own tasks write the body while it is collected here.
            whole(accessor.with(|access| response.into_http(access, async { Ok(()) }))?).await
        })
        .await?
}

async fn whole(response: Response<WasiBody>) -> wasmtime::Result<Response<Full<Bytes>>> {
    let (head, body) = response.into_parts();
    let body = body
        .collect()
        .await
        .map_err(|error| wasmtime::Error::msg(error.to_string()))?;
    Ok(Response::from_parts(head, Full::new(body.to_bytes())))
}

fn store(engine: &wasmtime::Engine) -> Store<State> {
    let state = State {
        table: ResourceTable::new(),
        wasi: WasiCtx::builder().build(),
        http: WasiHttpCtx::new(),
        hooks: NoOutbound,
    };
    let mut store = Store::new(engine, state);
    // The engine's code asks for a deadline; there is none here.
    store.set_epoch_deadline(u64::MAX / 2);
    store
}

/// What stock WASI needs, and no more.
pub(crate) struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: NoOutbound,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.hooks,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

struct NoOutbound;

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sending = Box<dyn Future<Output = Result<(Response<WasiBody>, Io), Error>> + Send>;

impl WasiHttpHooks for NoOutbound {
    fn send_request(&mut self, _: Request<WasiBody>, _: Option<RequestOptions>, _: Io) -> Sending {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}
