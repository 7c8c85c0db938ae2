//! A stand-in for Vault, because no real one was to be had: a small server that speaks the documented HTTP API of the KV version 2
//! engine (<https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2>, "Read secret version"), as far as the backend asks it.
//!
//! It checks token and namespace as Vault does, keeps versions, answers for deleted and destroyed ones in the documented form, and
//! can be told to misbehave. What it cannot show is that Vault itself agrees with its documentation.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Bytes, Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinHandle,
};

pub(crate) const TOKEN: &str = "hvs.canary-token-41c8";

/// How the server misbehaves.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Mood {
    Well,
    Slow(Duration),
    /// A status, with a body that holds a canary.
    Status(u16),
    /// 200 and this body.
    Says(Vec<u8>),
    /// 200 and a body without end, or one that says how long it is.
    Huge {
        declared: Option<u64>,
    },
    /// The head and then one byte now and then.
    Drips,
    /// Closes the connection instead of answering.
    HangsUp,
}

/// One version of a secret: its data, until that is deleted.
#[derive(Debug, Clone)]
struct Version {
    data: Option<Value>,
    is_destroyed: bool,
}

#[derive(Debug)]
struct State {
    mood: Mood,
    namespace: Option<String>,
    secrets: BTreeMap<String, Vec<Version>>,
    asked: Vec<String>,
}

/// The server; ends with the test.
pub(crate) struct Vault {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Vault {
    pub(crate) async fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), None)
    }

    pub(crate) async fn start_tls(tls: tokio_rustls::TlsAcceptor) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), Some(tls))
    }

    /// The same secrets at an address of before.
    pub(crate) async fn again(before: &Self) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(before.address).unwrap();
        let vault = Self::on(socket.listen(64).unwrap(), None);
        vault.state.lock().unwrap().secrets = before.state.lock().unwrap().secrets.clone();
        vault
    }

    fn on(listener: TcpListener, tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let address = listener.local_addr().unwrap();
        let state = State {
            mood: Mood::Well,
            namespace: None,
            secrets: BTreeMap::new(),
            asked: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let serving = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (state, tls) = (Arc::clone(&serving), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => serve(stream, state).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, state).await
                            }
                        }
                    }
                });
            }
        });
        Self {
            address,
            state,
            task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn feels(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    pub(crate) fn requires_namespace(&self, namespace: &str) {
        self.state.lock().unwrap().namespace = Some(namespace.into());
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }

    /// Writes the next version of a secret, as `POST /v1/secret/data/PATH` would.
    pub(crate) fn put(&self, path: &str, data: Value) {
        let version = Version {
            data: Some(data),
            is_destroyed: false,
        };
        self.state
            .lock()
            .unwrap()
            .secrets
            .entry(path.into())
            .or_default()
            .push(version);
    }

    /// Writes one field and keeps the others, as `PATCH` would.
    pub(crate) fn patch(&self, path: &str, field: &str, value: &str) {
        let newest =
            |versions: &Vec<Version>| versions.last().and_then(|version| version.data.clone());
        let mut data = self
            .state
            .lock()
            .unwrap()
            .secrets
            .get(path)
            .and_then(newest)
            .unwrap_or_else(|| json!({}));
        data[field] = value.into();
        self.put(path, data);
    }

    /// Deletes a version, or destroys it.
    pub(crate) fn delete(&self, path: &str, version: usize, destroy: bool) {
        let mut state = self.state.lock().unwrap();
        let version = &mut state.secrets.get_mut(path).unwrap()[version - 1];
        version.data = None;
        version.is_destroyed = destroy;
    }

    /// Stops listening and closes every connection.
    pub(crate) async fn stop(&mut self) {
        self.task.abort();
        _ = (&mut self.task).await;
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    state: Arc<Mutex<State>>,
) {
    let service = service_fn(|request| {
        let state = Arc::clone(&state);
        async move { respond(&state, request).await.ok_or("hangs up") }
    });
    _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(state: &Mutex<State>, request: Request<Incoming>) -> Option<Answer> {
    let mood = {
        let mut state = state.lock().unwrap();
        state.asked.push(request.uri().to_string());
        state.mood.clone()
    };
    match mood {
        Mood::Well => {}
        Mood::Slow(time) => tokio::time::sleep(time).await,
        Mood::Status(status) => {
            return Some(answer(
                StatusCode::from_u16(status).unwrap(),
                &json!({ "errors": ["canary-in-an-error"] }),
            ));
        }
        Mood::Says(body) => return Some(Response::new(Full::new(body.into()).boxed())),
        Mood::Huge { declared } => {
            return Some(endless(
                Bytes::from(vec![b' '; 64 << 10]),
                Duration::ZERO,
                declared,
            ));
        }
        Mood::Drips => {
            return Some(endless(
                Bytes::from_static(b" "),
                Duration::from_millis(50),
                None,
            ));
        }
        Mood::HangsUp => return None,
    }
    let state = state.lock().unwrap();
    let (status, body) = read(&state, request.method(), request.uri(), request.headers());
    Some(answer(status, &body))
}

fn read(
    state: &State,
    method: &Method,
    uri: &http::Uri,
    headers: &HeaderMap,
) -> (StatusCode, Value) {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if header("x-vault-token") != Some(TOKEN) {
        return (
            StatusCode::FORBIDDEN,
            json!({ "errors": ["permission denied"] }),
        );
    }
    let nothing = (StatusCode::NOT_FOUND, json!({ "errors": [] }));
    if header("x-vault-namespace") != state.namespace.as_deref() {
        return nothing;
    }
    let Some(path) = uri
        .path()
        .strip_prefix("/v1/secret/data/")
        .filter(|_| method == Method::GET)
    else {
        return nothing;
    };
    let Some(versions) = state.secrets.get(&unescaped(path)) else {
        return nothing;
    };
    let asked = match uri.query().and_then(|query| query.strip_prefix("version=")) {
        // "If not set the latest version is returned."
        None | Some("0") => versions.len(),
        Some(version) => match version.parse() {
            Ok(version) => version,
            Err(_) => {
                return (
                    StatusCode::BAD_REQUEST,
                    json!({ "errors": ["field validation failed"] }),
                );
            }
        },
    };
    let Some(version) = asked.checked_sub(1).and_then(|at| versions.get(at)) else {
        return nothing;
    };
    let is_deleted = version.data.is_none() && !version.is_destroyed;
    let body = json!({
        "request_id": "5b1f0c2e-0000-0000-0000-000000000000",
        "lease_id": "",
        "renewable": false,
        "lease_duration": 0,
        "data": {
            "data": version.data,
            "metadata": {
                "created_time": "2026-11-20T02:24:06.945319214Z",
                "custom_metadata": null,
                "deletion_time": if is_deleted { "2026-11-20T02:25:06.945319214Z" } else { "" },
                "destroyed": version.is_destroyed,
                "version": asked,
            },
        },
        "wrap_info": null,
        "warnings": null,
        "auth": null,
        "mount_type": "kv",
    });
    let status = if version.data.is_some() {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    };
    (status, body)
}

fn answer(status: StatusCode, body: &Value) -> Answer {
    let body = Full::new(Bytes::from(body.to_string())).boxed();
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(body)
        .unwrap()
}

fn endless(chunk: Bytes, pause: Duration, declared: Option<u64>) -> Answer {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        while sender.send(Ok(Frame::data(chunk.clone()))).await.is_ok() {
            tokio::time::sleep(pause).await;
        }
    });
    let chunks = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
    let mut response = Response::new(StreamBody::new(chunks).boxed());
    if let Some(length) = declared {
        response
            .headers_mut()
            .insert("content-length", length.into());
    }
    response
}

fn unescaped(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = (byte == b'%').then(|| std::str::from_utf8(&after[..2]).unwrap());
        bytes.push(hex.map_or(byte, |hex| u8::from_str_radix(hex, 16).unwrap()));
        rest = if hex.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap()
}
