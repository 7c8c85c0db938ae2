//! The operator's small HTTP server: is it alive, is it ready, what did it count.
//!
//! In: an address, a way to ask whether the node is ready, the metrics. Out: `/livez`, `/readyz` and `/metrics`, `GET` and
//! `HEAD` only, one request per connection, everything bounded in time and number. Absent: TLS and authentication, so bind it
//! where only operators reach it; anything that changes the node.

use std::{borrow::Cow, convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::{AbortHandle, JoinSet},
};

use crate::metrics::Metrics;

const CONNECTIONS: usize = 64;
/// For a connection, from accept to close.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const HEAD_BYTES: usize = 16 << 10;
/// After a failed accept (no descriptors left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const OPENMETRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Says whether requests should be sent to this node, and if not, why, in a few words.
pub type Readiness = Arc<dyn Fn() -> Result<(), Cow<'static, str>> + Send + Sync>;

/// The admin address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{}", sentence(*address, cause))]
pub struct AdminError {
    address: SocketAddr,
    #[source]
    cause: io::Error,
}

fn sentence(address: SocketAddr, cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::AddrInUse => format!(
            "the admin address {address} is in use; choose another with `--admin`, or port 0 for any free one"
        ),
        _ => format!("cannot listen on the admin address {address}: {cause}"),
    }
}

/// A bound listener that does not answer yet.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
}

/// Stops the server when dropped; connections end at once.
#[derive(Debug)]
pub struct AdminHandle {
    address: SocketAddr,
    server: AbortHandle,
}

impl Admin {
    /// Binds the address; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is in use or not ours.
    pub async fn bind(address: SocketAddr) -> Result<Self, AdminError> {
        let bound = TcpListener::bind(address).await;
        let bound = bound.and_then(|listener| {
            Ok(Self {
                address: listener.local_addr()?,
                listener,
            })
        });
        bound.map_err(|cause| AdminError { address, cause })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the handle is dropped. Keep it through the drain: `/readyz` is how others learn of it.
    pub fn serve(self, metrics: Arc<Metrics>, readiness: Readiness) -> AdminHandle {
        let pages = Arc::new(Pages { metrics, readiness });
        let server = tokio::spawn(accept(self.listener, pages)).abort_handle();
        AdminHandle {
            address: self.address,
            server,
        }
    }
}

impl AdminHandle {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for AdminHandle {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Connections live in the set, so they end with the task.
async fn accept(listener: TcpListener, pages: Arc<Pages>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let serving =
                    tokio::time::timeout(CONNECTION_TIMEOUT, serve(stream, Arc::clone(&pages)));
                connections.spawn(async move {
                    let _ = serving.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept an admin connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, pages: Arc<Pages>) {
    let pages = &pages;
    let answer =
        service_fn(|request| async move { Ok::<_, Infallible>(pages.answer(&request).await) });
    // A connection that breaks or dawdles is the client's affair.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

struct Pages {
    metrics: Arc<Metrics>,
    readiness: Readiness,
}

impl Pages {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        if !matches!(path, "/livez" | "/readyz" | "/metrics") {
            return page(
                StatusCode::NOT_FOUND,
                TEXT,
                "no such page; there are /livez, /readyz and /metrics\n",
            );
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refusal = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n");
            refusal
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refusal;
        }
        match path {
            "/livez" => page(StatusCode::OK, TEXT, "alive\n"),
            "/readyz" => self.ready(),
            _ => self.scrape().await,
        }
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        match (self.readiness)() {
            Ok(()) => page(StatusCode::OK, TEXT, "ready\n"),
            Err(reason) => page(
                StatusCode::SERVICE_UNAVAILABLE,
                TEXT,
                format!("not ready: {reason}\n"),
            ),
        }
    }

    /// Off the threads that serve requests: with thousands of components this takes milliseconds.
    async fn scrape(&self) -> Response<Full<Bytes>> {
        let metrics = Arc::clone(&self.metrics);
        match tokio::task::spawn_blocking(move || metrics.scrape()).await {
            Ok(Ok(text)) => page(StatusCode::OK, OPENMETRICS, text),
            _ => page(
                StatusCode::INTERNAL_SERVER_ERROR,
                TEXT,
                "the metrics could not be read\n",
            ),
        }
    }
}

fn page(
    status: StatusCode,
    content_type: HeaderValue,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut page = Response::new(Full::new(body.into()));
    *page.status_mut() = status;
    page.headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    page.headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    page
}
