//! HTTP/2 in clear text (prior knowledge), on hyper, behind calls that block.

use std::{
    error::Error as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use hyper::{
    body::{Frame, Incoming},
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, runtime::Runtime, sync::mpsc, time::timeout};

use super::{Error, Fields, Response, split};
use crate::PATIENCE;

/// A connection with any number of streams.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Pieces>,
    base_url: String,
    runtime: Runtime,
}

/// One stream: what is sent goes out at the pace of the server, what is received is asked for.
#[derive(Debug)]
pub struct Stream<'a> {
    outgoing: Option<mpsc::Sender<Frame<Bytes>>>,
    answer: tokio::task::JoinHandle<hyper::Result<http::Response<Incoming>>>,
    runtime: &'a Runtime,
}

/// The answer of a stream while it comes.
#[derive(Debug)]
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// Its fields.
    pub headers: Fields,
    /// The fields after the body, once it ended.
    pub trailers: Fields,
    body: Incoming,
    runtime: &'a Runtime,
}

/// One request on a connection of its own.
///
/// # Errors
/// When there is no whole answer.
pub fn try_request(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Response, Error> {
    let (base, target) = split(url);
    Connection::open(base).request(method, target, headers, body)
}

impl Connection {
    /// Connects to `http://ADDRESS:PORT`.
    ///
    /// # Panics
    /// When nobody listens there, or does not speak HTTP/2.
    pub fn open(base_url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let authority = base_url.strip_prefix("http://").unwrap_or(base_url);
        let sender = runtime.block_on(async {
            let tcp = TcpStream::connect(authority).await.expect("a connection");
            tcp.set_nodelay(true).expect("no delay");
            let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tcp))
                .await
                .expect("HTTP/2");
            tokio::spawn(connection);
            sender
        });
        let base_url = base_url.to_owned();
        Self {
            sender,
            base_url,
            runtime,
        }
    }

    /// One request and its whole answer.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub fn request(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response, Error> {
        let mut stream = self.begin(method, target, headers);
        for piece in body.chunks(64 << 10) {
            // A server may answer before it read everything: the answer counts.
            if !stream.send(piece) {
                break;
            }
        }
        stream.end();
        stream.answer()?.whole()
    }

    /// Opens a stream whose body is still to be sent.
    pub fn begin(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Stream<'_> {
        let (outgoing, pieces) = mpsc::channel(1);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{target}", self.base_url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Pieces(pieces)).expect("a request");
        let mut sender = self.sender.clone();
        let answer = self.runtime.spawn(async move {
            sender.ready().await?;
            sender.send_request(request).await
        });
        Stream {
            outgoing: Some(outgoing),
            answer,
            runtime: &self.runtime,
        }
    }
}

impl<'a> Stream<'a> {
    /// Sends a piece of the body, as soon as the one before has gone. False when nobody wants more.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.frame(Frame::data(Bytes::copy_from_slice(bytes)), PATIENCE)
    }

    /// The same, unless the piece before does not go within `patience`.
    pub fn send_within(&mut self, bytes: &[u8], patience: Duration) -> bool {
        self.frame(Frame::data(Bytes::copy_from_slice(bytes)), patience)
    }

    /// Ends the body with trailers.
    pub fn trailers(&mut self, trailers: &[(&str, &str)]) {
        let mut map = HeaderMap::new();
        for (name, value) in trailers {
            let name: http::HeaderName = name.parse().expect("a name");
            map.append(name, value.parse().expect("a value"));
        }
        self.frame(Frame::trailers(map), PATIENCE);
        self.end();
    }

    /// Ends the body.
    pub fn end(&mut self) {
        self.outgoing = None;
    }

    /// Takes the sending half away, to be used beside the answer. Drop it to end the body.
    pub fn split(mut self) -> (Upload<'a>, Self) {
        let outgoing = self.outgoing.take();
        let upload = Upload {
            outgoing,
            runtime: self.runtime,
        };
        (upload, self)
    }

    /// Waits for the head of the answer.
    ///
    /// # Errors
    /// When none comes.
    pub fn answer(self) -> Result<Answer<'a>, Error> {
        let Self {
            answer,
            runtime,
            outgoing: _outgoing,
        } = self;
        let answered = runtime.block_on(async { timeout(PATIENCE, answer).await });
        let response = answered
            .map_err(|_| Error::TimedOut)?
            .expect("the task of the request")
            .map_err(failed)?;
        let (head, body) = response.into_parts();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: fields(&head.headers),
            trailers: Fields::new(),
            body,
            runtime,
        })
    }

    fn frame(&mut self, frame: Frame<Bytes>, patience: Duration) -> bool {
        let outgoing = self.outgoing.as_ref().expect("the body has not ended");
        push(self.runtime, outgoing, frame, patience)
    }
}

/// The sending half of a stream.
#[derive(Debug)]
pub struct Upload<'a> {
    outgoing: Option<mpsc::Sender<Frame<Bytes>>>,
    runtime: &'a Runtime,
}

impl Upload<'_> {
    /// Sends a piece of the body, as soon as the one before has gone. False when nobody wants more.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        let outgoing = self.outgoing.as_ref().expect("the body has not ended");
        let frame = Frame::data(Bytes::copy_from_slice(bytes));
        push(self.runtime, outgoing, frame, PATIENCE)
    }
}

fn push(
    runtime: &Runtime,
    outgoing: &mpsc::Sender<Frame<Bytes>>,
    frame: Frame<Bytes>,
    patience: Duration,
) -> bool {
    runtime.block_on(async {
        timeout(patience, outgoing.send(frame))
            .await
            .is_ok_and(|sent| sent.is_ok())
    })
}

impl Answer<'_> {
    /// The next piece of the body; none at its end.
    ///
    /// # Errors
    /// [`Error::Reset`] when the server gave up.
    pub fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let body = &mut self.body;
            let frame = self
                .runtime
                .block_on(async { timeout(PATIENCE, body.frame()).await });
            let Some(frame) = frame.map_err(|_| Error::TimedOut)? else {
                return Ok(None);
            };
            match frame.map_err(failed)?.into_data() {
                Ok(data) => return Ok(Some(data)),
                Err(frame) => {
                    self.trailers = frame
                        .into_trailers()
                        .map_or_else(|_| Fields::new(), |trailers| fields(&trailers));
                }
            }
        }
    }

    /// All that is still to come.
    ///
    /// # Errors
    /// When it does not come to its end.
    pub fn whole(mut self) -> Result<Response, Error> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece()? {
            body.extend_from_slice(&piece);
        }
        Ok(Response {
            status: self.status,
            headers: self.headers,
            body,
            trailers: self.trailers,
        })
    }
}

/// A body from a channel.
#[derive(Debug)]
struct Pieces(mpsc::Receiver<Frame<Bytes>>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|frame| frame.map(Ok))
    }
}

fn fields(map: &HeaderMap) -> Fields {
    let pair = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    };
    map.iter().map(pair).collect()
}

fn failed(error: hyper::Error) -> Error {
    let cause = error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string);
    Error::Reset(cause)
}
