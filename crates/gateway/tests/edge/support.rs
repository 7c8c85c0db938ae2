//! A gateway in front of small destinations, and clients that speak raw bytes or HTTP/2.

use std::{
    convert::Infallible, future::Future, net::SocketAddr, pin::Pin, sync::Arc, time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use coracle_gateway::{
    Body, BodyError, Config, Destination, Ending, Exchange, Handle, Observer, RouteEntry, Routes,
    Server,
};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};

/// Longer than anything here takes, short enough to fail a hanging test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("in time")
}

struct Answering<F>(F);

impl<F, A> Destination for Answering<F>
where
    F: Fn(Request<Body>) -> A + Send + Sync,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    fn call(&self, request: Request<Body>) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> {
        Box::pin((self.0)(request))
    }
}

pub(crate) fn answering<F, A>(answer: F) -> Arc<dyn Destination>
where
    F: Fn(Request<Body>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    Arc::new(Answering(answer))
}

pub(crate) fn text(text: impl Into<Bytes>) -> Response<Body> {
    Response::new(full(text))
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(never).boxed_unsync()
}

fn never(never: Infallible) -> BodyError {
    match never {}
}

/// A body of unknown length whose frames the test sends.
pub(crate) fn channel() -> (mpsc::UnboundedSender<Result<Frame<Bytes>, BodyError>>, Body) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let frames = futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx));
    (sender, Body::new(StreamBody::new(frames)))
}

pub(crate) fn data(text: &'static str) -> Result<Frame<Bytes>, BodyError> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

/// What an observer was told, in plain values.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) status: u16,
    pub(crate) reason: Option<String>,
    pub(crate) ending: Ending,
    pub(crate) response_bytes: u64,
}

struct Log(mpsc::UnboundedSender<Seen>);

impl Observer for Log {
    fn finished(&self, exchange: &Exchange) {
        let _ = self.0.send(Seen {
            line: format!("{} {}", exchange.method, exchange.path),
            status: exchange.status(),
            reason: exchange.reason().map(Into::into),
            ending: exchange.ending(),
            response_bytes: exchange.response_bytes(),
        });
    }
}

pub(crate) struct Edge {
    pub(crate) address: SocketAddr,
    pub(crate) routes: Arc<ArcSwap<Routes>>,
    pub(crate) handle: Handle,
    log: mpsc::UnboundedReceiver<Seen>,
}

impl Edge {
    pub(crate) fn new(
        routes: impl IntoIterator<Item = (&'static str, Arc<dyn Destination>)>,
    ) -> Self {
        Self::with(Config::default(), routes)
    }

    pub(crate) fn with(
        config: Config,
        routes: impl IntoIterator<Item = (&'static str, Arc<dyn Destination>)>,
    ) -> Self {
        Self::at("127.0.0.1:0", config, table(routes))
    }

    pub(crate) fn at(address: &str, config: Config, routes: Routes) -> Self {
        let server = Server::bind(address.parse().unwrap(), config).unwrap();
        let routes = Arc::new(ArcSwap::from_pointee(routes));
        let (sender, log) = mpsc::unbounded_channel();
        let handle = server
            .serve(Arc::clone(&routes), Arc::new(Log(sender)))
            .unwrap();
        Self {
            address: handle.local_addr(),
            routes,
            handle,
            log,
        }
    }

    pub(crate) async fn seen(&mut self) -> Seen {
        soon(self.log.recv()).await.unwrap()
    }

    pub(crate) async fn raw(&self) -> Raw {
        Raw {
            tcp: TcpStream::connect(self.address).await.unwrap(),
            unread: Vec::new(),
        }
    }

    /// Sends bytes on a new connection and reads one response.
    pub(crate) async fn ask(&self, bytes: impl AsRef<[u8]>) -> Reply {
        let mut raw = self.raw().await;
        raw.send(bytes).await;
        raw.reply().await
    }

    pub(crate) async fn http2(&self) -> hyper::client::conn::http2::SendRequest<Body> {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let executor = hyper_util::rt::TokioExecutor::new();
        let (sender, connection) =
            hyper::client::conn::http2::handshake(executor, hyper_util::rt::TokioIo::new(tcp))
                .await
                .unwrap();
        tokio::spawn(connection);
        sender
    }
}

/// Routes of one app, written `GET,POST /path` or `/path`.
pub(crate) fn table(
    routes: impl IntoIterator<Item = (&'static str, Arc<dyn Destination>)>,
) -> Routes {
    Routes::build(routes.into_iter().map(|(route, destination)| {
        let (methods, path) = route.split_once(' ').unwrap_or(("", route));
        RouteEntry {
            app: "test".into(),
            host: None,
            path: path.into(),
            methods: methods
                .split(',')
                .filter(|method| !method.is_empty())
                .map(Into::into)
                .collect(),
            label: route.into(),
            destination,
        }
    }))
    .unwrap()
}

/// One HTTP/1.1 connection, byte by byte.
pub(crate) struct Raw {
    pub(crate) tcp: TcpStream,
    unread: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
    /// The trailer section of a chunked body.
    pub(crate) trailers: String,
}

impl Reply {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(crate) fn reason(&self) -> String {
        let problem: serde_json::Value = serde_json::from_str(&self.body).expect(&self.body);
        problem["reason"].as_str().unwrap().to_owned()
    }
}

impl Raw {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.tcp.write_all(bytes.as_ref())).await.unwrap();
    }

    /// Reads one final response; none of its body if it answers `HEAD`.
    pub(crate) async fn reply(&mut self) -> Reply {
        self.read_reply(false).await
    }

    pub(crate) async fn reply_to_head(&mut self) -> Reply {
        self.read_reply(true).await
    }

    async fn read_reply(&mut self, to_head: bool) -> Reply {
        let head = self.until("\r\n\r\n").await;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut reply = Reply {
            status,
            head,
            body: String::new(),
            trailers: String::new(),
        };
        if to_head || matches!(status, 100..=199 | 204 | 304) {
            return reply;
        }
        if let Some(length) = reply.field("content-length") {
            let length = length.parse().unwrap();
            reply.body = self.exactly(length).await;
        } else if reply.field("transfer-encoding") == Some("chunked") {
            loop {
                let size = usize::from_str_radix(self.until("\r\n").await.trim(), 16).unwrap();
                if size == 0 {
                    break;
                }
                reply.body += &self.exactly(size).await;
                assert_eq!(self.exactly(2).await, "\r\n");
            }
            loop {
                let line = self.until("\r\n").await;
                if line == "\r\n" {
                    break;
                }
                reply.trailers += &line;
            }
        } else {
            reply.body = self.rest().await.expect("a clean end");
        }
        reply
    }

    /// Whether the server closes, without another byte.
    pub(crate) async fn closed(&mut self) -> bool {
        self.unread.is_empty() && matches!(self.rest().await, Ok(rest) if rest.is_empty())
    }

    /// Everything until the end of the connection, or the error that ends it.
    pub(crate) async fn rest(&mut self) -> std::io::Result<String> {
        let mut rest = std::mem::take(&mut self.unread);
        soon(self.tcp.read_to_end(&mut rest)).await?;
        Ok(String::from_utf8(rest).unwrap())
    }

    pub(crate) async fn until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self
                .unread
                .windows(end.len())
                .position(|window| window == end.as_bytes())
            {
                let rest = self.unread.split_off(at + end.len());
                return String::from_utf8(std::mem::replace(&mut self.unread, rest)).unwrap();
            }
            self.more().await;
        }
    }

    async fn exactly(&mut self, length: usize) -> String {
        while self.unread.len() < length {
            self.more().await;
        }
        let rest = self.unread.split_off(length);
        String::from_utf8(std::mem::replace(&mut self.unread, rest)).unwrap()
    }

    async fn more(&mut self) {
        let read = soon(self.tcp.read_buf(&mut self.unread)).await.unwrap();
        assert!(
            read > 0,
            "the server closed after {:?}",
            String::from_utf8_lossy(&self.unread)
        );
    }
}

/// A small request that asks for nothing special.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n")
}

pub(crate) fn empty() -> Body {
    http_body_util::Empty::new().map_err(never).boxed_unsync()
}
