//! A server that does with each request what the test says. In: a script. Out: its address, and how many requests came.
//! It has one thread: while that stands still, everybody waits.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, server::conn, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpListener, sync::oneshot};

use crate::Protocol;

/// What is done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// Answers with this status, and the request's own body.
    Answer(u16),
    /// Stands still, with everybody else's requests; then 200.
    Stall(Duration),
    /// Answers never.
    Hang,
    /// Closes the connection without an answer.
    Close,
}

/// A running server; ends when dropped.
#[derive(Debug)]
pub struct Scripted {
    address: SocketAddr,
    requests: Arc<AtomicU64>,
    last: Arc<Mutex<String>>,
    end: Option<oneshot::Sender<()>>,
}

impl Scripted {
    /// Does with each request what `script` says to its number, from 0.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn start(protocol: Protocol, script: impl Fn(u64) -> Does + Send + Sync + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a free port");
        let (end, ended) = oneshot::channel();
        let scripted = Self {
            address: listener.local_addr().expect("its address"),
            requests: Arc::default(),
            last: Arc::default(),
            end: Some(end),
        };
        let (requests, last) = (Arc::clone(&scripted.requests), Arc::clone(&scripted.last));
        let does = Arc::new(move |request: &Request<Incoming>| {
            *last.lock().unwrap() = head(request);
            script(requests.fetch_add(1, Relaxed))
        });
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = accept(listener, protocol, does) => {}
                    _ = ended => {}
                }
            });
        });
        scripted
    }

    /// `http://ADDRESS:PORT`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Method, target and fields of the latest.
    ///
    /// # Panics
    /// When the server did.
    pub fn last_request(&self) -> String {
        self.last.lock().unwrap().clone()
    }

    /// How many came so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        drop(self.end.take());
    }
}

async fn accept(
    listener: TcpListener,
    protocol: Protocol,
    does: Arc<impl Fn(&Request<Incoming>) -> Does + Send + Sync + 'static>,
) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let does = Arc::clone(&does);
        let service = service_fn(move |request| answer(does(&request), request));
        tokio::spawn(async move {
            let stream = TokioIo::new(stream);
            // A client that leaves is the test's affair.
            let _ = match protocol {
                Protocol::Http1 => {
                    let serving = conn::http1::Builder::new().serve_connection(stream, service);
                    serving.await
                }
                Protocol::Http2 => {
                    let builder = conn::http2::Builder::new(TokioExecutor::new());
                    builder.serve_connection(stream, service).await
                }
            };
        });
    }
}

fn head(request: &Request<Incoming>) -> String {
    let line = format!(
        "{} {} {:?}",
        request.method(),
        request.uri(),
        request.version()
    );
    let fields = request.headers().iter();
    fields.fold(line, |head, (name, value)| {
        head + &format!("\n{name}: {}", String::from_utf8_lossy(value.as_bytes()))
    })
}

async fn answer(does: Does, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
    let body = request.into_body().collect().await;
    let body = body.map_err(io::Error::other)?.to_bytes();
    let status = match does {
        Does::Answer(status) => status,
        Does::Stall(time) => {
            thread::sleep(time);
            200
        }
        Does::Hang => return std::future::pending().await,
        Does::Close => return Err(io::ErrorKind::ConnectionAborted.into()),
    };
    let response = Response::builder().status(status);
    response.body(Full::new(body)).map_err(io::Error::other)
}
