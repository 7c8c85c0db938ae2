//! One connection to an upstream. In: a stream, then requests. Out: response heads; errors in the words of the
//! contract.
//!
//! HTTP/1.1 carries one exchange at a time and is closed with it when it does not come to its end; HTTP/2 is shared.
//! Decides nothing about reuse or retries: it says what happened.

use std::{error::Error as _, io, sync::Arc, time::Duration};

use http::{Request, Response, Uri, Version, header};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
    rt::{Read, Write},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::AbortHandle,
};

use super::{body::Sent, contract::Error, target::Target, tls};

/// What an upstream may send before the guest sees any of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadLimits {
    pub(super) bytes: usize,
    pub(super) fields: usize,
}

/// A connection that can take a request.
#[derive(Debug)]
pub(super) enum Connection {
    Http1(Http1),
    Http2(Arc<Http2>),
}

/// Owned by one exchange, or idle in the pool.
#[derive(Debug)]
pub(super) struct Http1 {
    sender: http1::SendRequest<Sent>,
    task: AbortHandle,
}

/// Shared by all exchanges with one authority; closes itself when the last of them and the pool let go.
#[derive(Debug)]
pub(super) struct Http2 {
    sender: http2::SendRequest<Sent>,
}

/// Why there is no response, and what is left of the request.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    /// The request, when not one byte of it was written.
    pub(super) unsent: Option<Request<Sent>>,
    /// The upstream closed the connection: what may well happen to one that was idle.
    pub(super) is_closed: bool,
}

impl Connection {
    pub(super) async fn http1<T>(stream: T, limits: HeadLimits) -> Result<Self, Error>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(stream);
        let (sender, connection) = http1::Builder::new()
            .max_header_size(limits.bytes)
            .max_buf_size(limits.bytes.max(8192))
            .max_headers(limits.fields)
            .handshake(io)
            .await
            .map_err(|error| error_of(&error))?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an outbound HTTP/1.1 connection ended");
            }
        });
        Ok(Self::Http1(Http1 {
            sender,
            task: task.abort_handle(),
        }))
    }

    pub(super) async fn http2<T>(stream: T, limits: HeadLimits) -> Result<Self, Error>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http2_builder(limits)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error_of(&error))?;
        spawn(connection);
        Ok(Self::Http2(Arc::new(Http2 { sender })))
    }

    /// Sends a request whose fields are fit to be sent; fills in the destination as this protocol writes it.
    pub(super) async fn send(
        &mut self,
        mut request: Request<Sent>,
        target: &Target,
    ) -> Result<Response<Incoming>, Failure> {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .to_owned();
        let authority = target.authority();
        let uri = match self {
            Self::Http1(_) => Uri::builder().path_and_query(path),
            Self::Http2(_) => Uri::builder()
                .scheme(target.scheme.as_str())
                .authority(authority.as_str())
                .path_and_query(path),
        };
        let (Ok(uri), Ok(host)) = (uri.build(), header::HeaderValue::try_from(authority)) else {
            return Err(Failure {
                error: Error::HttpRequestUriInvalid,
                unsent: None,
                is_closed: false,
            });
        };
        *request.uri_mut() = uri;
        // From the URL that was checked; a guest's own would reach another virtual host behind the same address.
        request.headers_mut().remove(header::HOST);
        match self {
            Self::Http1(connection) => {
                *request.version_mut() = Version::HTTP_11;
                request.headers_mut().insert(header::HOST, host);
                connection
                    .sender
                    .try_send_request(request)
                    .await
                    .map_err(failure)
            }
            Self::Http2(connection) => {
                *request.version_mut() = Version::HTTP_2;
                let mut sender = connection.sender.clone();
                sender.try_send_request(request).await.map_err(|error| {
                    let mut failure = failure(error);
                    failure.is_closed |= sender.is_closed();
                    failure
                })
            }
        }
    }
}

impl Http1 {
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether the exchange before is over and the connection lives, waiting at most `patience` for the last of it.
    pub(super) async fn is_reusable(&mut self, patience: Duration) -> bool {
        matches!(
            tokio::time::timeout(patience, self.sender.ready()).await,
            Ok(Ok(()))
        )
    }
}

impl Drop for Http1 {
    /// An idle connection is closed in order by its task, which sees that nobody can send any more. One in the middle
    /// of an exchange is closed at once: waiting for a body that nobody reads would keep it for ever.
    fn drop(&mut self) {
        if !self.sender.is_ready() {
            self.task.abort();
        }
    }
}

impl Http2 {
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

/// The case for what hyper says.
pub(super) fn error_of(error: &hyper::Error) -> Error {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(ours) = cause.downcast_ref::<Error>() {
            return ours.clone();
        }
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return tls::io_error(io);
        }
        source = cause.source();
    }
    if error.is_parse_too_large() {
        Error::HttpResponseHeaderSectionSize(None)
    } else if error.is_timeout() {
        Error::ConnectionReadTimeout
    } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        Error::ConnectionTerminated
    } else if error.is_user() {
        Error::Internal("hyper refused the request".into())
    } else {
        Error::HttpProtocolError
    }
}

fn failure(mut error: TrySendError<Request<Sent>>) -> Failure {
    let unsent = error.take_message();
    let error = error_of(&error.into_error());
    Failure {
        is_closed: error == Error::ConnectionTerminated,
        unsent,
        error,
    }
}

fn http2_builder(limits: HeadLimits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        // What one slow reader, and all slow readers of one authority, can make the node hold.
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .max_send_buf_size(64 * 1024)
        .max_header_list_size(u32::try_from(limits.bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

fn spawn<T>(connection: http2::Connection<T, Sent, TokioExecutor>)
where
    T: Read + Write + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "an outbound HTTP/2 connection ended");
        }
    });
}
