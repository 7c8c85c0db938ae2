//! One connection from its first byte to its last.
//!
//! In: an accepted socket. Out: requests given to the service; the connection ends when both sides are done, when it is overdue,
//! or when the server drains.
//!
//! hyper's own `header_read_timeout` is off on purpose: it makes a timer for every request, and cannot tell an idle connection from
//! a slow head. One lazy alarm per connection watches both here, and the client that takes nothing; see `Session::stuck_at`.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::{
    rt::Executor,
    server::conn::{http1, http2},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpStream, time::timeout};

use super::{
    session::Session,
    stream::{Protocol, Stream},
};
use crate::{
    config::Config,
    exchange::Exchange,
    pace::Alarm,
    service::{Edge, Gateway},
};

/// How long a client that is still sending may delay the close.
const LINGER: Duration = Duration::from_secs(1);
const WRITE_BUFFER_BYTES: usize = 128 * 1024;

pub(super) async fn serve(tcp: TcpStream, gateway: Arc<Gateway>, session: Arc<Session>) {
    let config = &gateway.config;
    let mut stream = Stream::new(tcp, Arc::clone(&session), config);
    let edge = Edge::new(Arc::clone(&gateway), Arc::clone(&session));
    let protocol = tokio::select! {
        biased;
        sniffed = timeout(config.header_timeout, stream.sniff()) => sniffed,
        () = poll_fn(|cx| poll_draining(&session, cx)) => return,
    };
    match protocol {
        Ok(Ok(Protocol::Http1)) => serve_http1(stream, edge, config, &session).await,
        Ok(Ok(Protocol::Http2)) => serve_http2(stream, edge, config, &session).await,
        Ok(Err(_)) | Err(_) => {}
    }
}

async fn serve_http1(stream: Stream, edge: Edge, config: &Config, session: &Session) {
    let mut connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_header_size(config.max_head_bytes + 1024)
        .max_buf_size(config.max_head_bytes.max(WRITE_BUFFER_BYTES) + 8 * 1024)
        .serve_connection(TokioIo::new(stream), edge);
    let end = watch(Pin::new(&mut connection), config, session).await;
    let stream = connection.into_parts().io.into_inner();
    if session.wants_reset() {
        stream.reset();
    } else if end == End::Finished && stream.unread() {
        let _ = timeout(LINGER, stream.linger()).await;
    }
}

async fn serve_http2(stream: Stream, edge: Edge, config: &Config, session: &Arc<Session>) {
    let limits = &config.http2;
    let streams = Streams {
        session: Arc::clone(session),
        patience: config.taking.idle,
    };
    let connection = http2::Builder::new(streams)
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_concurrent_streams)
        .max_pending_accept_reset_streams(limits.max_pending_accept_reset_streams)
        .max_local_error_reset_streams(limits.max_local_error_reset_streams)
        .max_header_list_size(u32::try_from(config.max_head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .max_send_buf_size(WRITE_BUFFER_BYTES)
        .keep_alive_interval(limits.keep_alive_interval)
        .keep_alive_timeout(limits.keep_alive_timeout)
        .serve_connection(TokioIo::new(stream), edge);
    watch(std::pin::pin!(connection), config, session).await;
}

/// What both of hyper's connections can do.
trait Connection: Future<Output = hyper::Result<()>> {
    fn finish_soon(self: Pin<&mut Self>);
}

impl Connection for http1::Connection<TokioIo<Stream>, Edge> {
    fn finish_soon(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl Connection for http2::Connection<TokioIo<Stream>, Edge, Streams> {
    fn finish_soon(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Finished,
    Overdue,
    Cut,
}

/// Drives a connection until it finishes, is overdue, or is cut.
async fn watch<C: Connection>(
    mut connection: Pin<&mut C>,
    config: &Config,
    session: &Session,
) -> End {
    let mut alarm = Alarm::default();
    let mut told = false;
    poll_fn(|cx| {
        session.register(cx);
        if session.is_cut() {
            return Poll::Ready(End::Cut);
        }
        if session.is_draining() && !std::mem::replace(&mut told, true) {
            connection.as_mut().finish_soon();
        }
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                if let Err(error) = result {
                    tracing::debug!(%error, "connection ended early");
                }
                return Poll::Ready(End::Finished);
            }
            let (stuck, idle) = (session.stuck_at(config), session.idle_at(config));
            ready!(alarm.poll_at(stuck.min(idle), cx));
            if stuck <= idle || told {
                return Poll::Ready(End::Overdue);
            }
            // Idle for too long: said first, so that a client about to send knows that nothing was read.
            told = true;
            connection.as_mut().finish_soon();
            session.idle_again();
        }
    })
    .await
}

fn poll_draining(session: &Session, cx: &mut Context<'_>) -> Poll<()> {
    session.register(cx);
    if session.is_draining() {
        Poll::Ready(())
    } else {
        Poll::Pending
    }
}

/// Runs each HTTP/2 stream in a task of its own.
#[derive(Clone)]
struct Streams {
    session: Arc<Session>,
    patience: Duration,
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let exchange = self.session.take_for_executor();
        let patience = self.patience;
        tokio::spawn(async move {
            let mut stream = std::pin::pin!(stream);
            let mut alarm = Alarm::default();
            poll_fn(|cx| match stream.as_mut().poll(cx) {
                Poll::Ready(_) => Poll::Ready(()),
                Poll::Pending => poll_stalled(exchange.as_deref(), patience, &mut alarm, cx),
            })
            .await;
        });
    }
}

/// Ready when a client has not taken a piece of a response for too long: it holds its window shut. Dropping the stream then resets
/// it; the connection and its other streams go on.
fn poll_stalled(
    exchange: Option<&Exchange>,
    patience: Duration,
    alarm: &mut Alarm,
    cx: &mut Context<'_>,
) -> Poll<()> {
    while let Some(since) = exchange.and_then(Exchange::handed_since) {
        ready!(alarm.poll_at(since + patience, cx));
        if exchange.and_then(Exchange::handed_since) == Some(since) {
            return Poll::Ready(());
        }
    }
    Poll::Pending
}
