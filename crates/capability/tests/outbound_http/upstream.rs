//! Servers in the test's own process, and the client's side in the fewest words.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
pub use coracle_capability::http::{
    Host, Target,
    address::{Allowed, Network, is_own, special},
    client::{Client, Settings},
    contract::{Body, Call, Error, Reply, Scheme, Timeouts},
    dial::Resolve,
    grant::{Denied, Grant, GrantSet, HostPattern, PathPattern},
    tls::TlsSettings,
};
use coracle_capability::secrets::Headers;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// No test waits longer, whatever goes wrong.
pub const BOUND: Duration = Duration::from_secs(10);

/// A server; ends with the test.
pub struct Upstream {
    pub address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// Gives each connection and its number to `serve`.
    pub async fn script<F, Fut>(serve: F) -> Self
    where
        F: Fn(TcpStream, usize) -> Fut + Send + 'static,
        Fut: Future<Output = io::Result<()>> + Send + 'static,
    {
        Self::script_at((Ipv4Addr::LOCALHOST, 0).into(), serve).await
    }

    pub async fn script_at<F, Fut>(address: SocketAddr, serve: F) -> Self
    where
        F: Fn(TcpStream, usize) -> Fut + Send + 'static,
        Fut: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, count.fetch_add(1, Ordering::SeqCst)));
            }
        });
        Self {
            address,
            accepted,
            task,
        }
    }

    /// An HTTP/1.1 server of hyper's.
    pub async fn http<F, Fut>(handle: F) -> Self
    where
        F: Fn(Request<Incoming>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response<Body>> + Send + 'static,
    {
        Self::script(move |stream, _| {
            let handle = handle.clone();
            let service = service_fn(move |request| {
                let response = handle(request);
                async move { Ok::<_, Infallible>(response.await) }
            });
            async move {
                let served = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                served.await.map_err(io::Error::other)
            }
        })
        .await
    }

    /// Reads a head and answers with these bytes, once for each connection, then closes it.
    pub async fn bytes(answer: impl Into<Vec<u8>>) -> Self {
        let answer = Arc::new(answer.into());
        Self::script(move |mut stream, _| {
            let answer = Arc::clone(&answer);
            async move {
                read_head(&mut stream).await?;
                stream.write_all(&answer).await?;
                stream.shutdown().await
            }
        })
        .await
    }

    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Every request to this server, and the operator's word for its address.
    pub fn grants(&self) -> GrantSet {
        grants(
            Host::Address(self.address.ip()),
            self.address.port(),
            &["127.0.0.1/32"],
        )
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads until the empty line that ends a head; what follows it in the same segments is lost.
pub async fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

pub fn grants(host: Host, port: u16, networks: &[&str]) -> GrantSet {
    GrantSet {
        grants: vec![grant(host, port, Scheme::Http)],
        allowed: allowed(networks),
    }
}

pub fn grant(host: Host, port: u16, scheme: Scheme) -> Grant {
    Grant {
        host: HostPattern::Exact(host),
        port: Some(port),
        scheme,
        methods: Vec::new(),
        path: PathPattern::Every,
        headers: Headers::default(),
    }
}

pub fn allowed(networks: &[&str]) -> Arc<Allowed> {
    let networks = networks
        .iter()
        .map(|network| network.parse().unwrap())
        .collect();
    Arc::new(Allowed {
        networks,
        ..Allowed::default()
    })
}

pub fn client() -> Client {
    Client::new(settings())
}

pub fn settings() -> Settings {
    Settings {
        max_wait: Duration::from_millis(50),
        ..Settings::default()
    }
}

pub const NO_TIMEOUTS: Timeouts = Timeouts {
    connect: None,
    first_byte: None,
    between_bytes: None,
};

/// Short enough to wait for, long enough for a loaded machine to answer within when it means to.
pub const SHORT: Timeouts = Timeouts {
    connect: Some(Duration::from_millis(400)),
    first_byte: Some(Duration::from_millis(400)),
    between_bytes: Some(Duration::from_millis(400)),
};

pub async fn send(
    client: &Client,
    grants: &GrantSet,
    request: Request<Body>,
) -> Result<Response<Body>, Error> {
    send_within(client, grants, request, NO_TIMEOUTS).await
}

pub async fn send_within(
    client: &Client,
    grants: &GrantSet,
    request: Request<Body>,
    timeouts: Timeouts,
) -> Result<Response<Body>, Error> {
    tokio::time::timeout(BOUND, client.send(grants, request, timeouts))
        .await
        .expect("a bounded wait")
}

pub fn request(method: &str, url: &str, body: Body) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(url)
        .body(body)
        .unwrap()
}

pub fn get(url: &str) -> Request<Body> {
    request("GET", url, empty())
}

pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

pub fn ok(body: Body) -> Response<Body> {
    Response::new(body)
}

/// The whole body, or why there is none.
pub async fn read(response: Response<Body>) -> Result<Bytes, Error> {
    let collected = tokio::time::timeout(BOUND, response.into_body().collect())
        .await
        .expect("a bounded wait");
    collected.map(|body| body.to_bytes())
}

pub async fn text(response: Response<Body>) -> String {
    String::from_utf8(read(response).await.unwrap().to_vec()).unwrap()
}

/// Answers with the next list each time, the last one for ever; counts how often it was asked.
#[derive(Debug, Default)]
pub struct Names {
    pub answers: Vec<Vec<IpAddr>>,
    pub asked: AtomicUsize,
}

impl Names {
    pub fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |list: &&[&str]| list.iter().map(|ip| ip.parse().unwrap()).collect();
        Arc::new(Self {
            answers: answers.iter().map(parse).collect(),
            asked: AtomicUsize::new(0),
        })
    }
}

impl Resolve for Names {
    fn resolve(&self, _: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let turn = self
            .asked
            .fetch_add(1, Ordering::SeqCst)
            .min(self.answers.len() - 1);
        let answer = self.answers[turn].clone();
        Box::pin(async move { Ok(answer) })
    }
}
