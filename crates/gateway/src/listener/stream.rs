//! The bytes of one connection on their way between the socket and hyper.
//!
//! In: a socket. Out: for HTTP/1.1, only bytes the inspector cleared; for HTTP/2, all. A read that holds whole messages, the usual
//! case, is inspected in hyper's own buffer and copied nowhere; an incomplete head is held back here until it is complete.
//!
//! A refused head is replaced by a plain one, for which the service then answers the refusal: so it is answered in turn, after
//! the requests that were pipelined before it, and observed like any other. Nothing is read afterwards.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{
    inspector::{End, Inspector},
    session::Session,
};
use crate::{config::Config, pace::Pace};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const READ_BYTES: usize = 8 * 1024;

/// Which protocol the first bytes of a connection speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

pub(super) struct Stream {
    tcp: TcpStream,
    session: Arc<Session>,
    /// None once the connection turned out to be HTTP/2.
    inspector: Option<Inspector>,
    held: Held,
    /// The client ended, or the body is malformed: told to hyper after everything cleared before.
    ended: Option<Ended>,
    taking: Pace,
    waiting: bool,
}

/// Who or what ended the reading.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Client,
    Refusal,
    Body,
}

/// Bytes read but not given to hyper: `bytes[given..cleared]` may go, what follows is an incomplete head.
#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    given: usize,
    cleared: usize,
}

impl Stream {
    pub(super) fn new(tcp: TcpStream, session: Arc<Session>, config: &Config) -> Self {
        Self {
            tcp,
            session,
            inspector: Some(Inspector::new(config)),
            held: Held::default(),
            ended: None,
            taking: Pace::new(config.taking),
            waiting: false,
        }
    }

    /// Reads until the protocol is known: a client with prior knowledge begins HTTP/2 with its connection preface (RFC 9113, 3.3
    /// and 3.4), which is no valid HTTP/1.1 request.
    pub(super) async fn sniff(&mut self) -> io::Result<Protocol> {
        loop {
            if poll_fn(|cx| self.poll_hold(cx)).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let compared = self.held.bytes.len().min(PREFACE.len());
            if self.held.bytes.get(..compared) != PREFACE.get(..compared) {
                self.inspect_held();
                return Ok(Protocol::Http1);
            }
            if compared == PREFACE.len() {
                self.inspector = None;
                self.held.cleared = self.held.bytes.len();
                return Ok(Protocol::Http2);
            }
        }
    }

    /// Closes without destroying the answer: a client that still sends would otherwise be reset, and lose what it has not read.
    ///
    /// > If a server performs an immediate close of a TCP connection, there is a significant risk that the client will not be able
    /// > to read the last HTTP response. [...] servers typically close a connection in stages. (RFC 9112, 9.6)
    pub(super) async fn linger(mut self) {
        const MOST: usize = 1024 * 1024;
        let mut discarded = 0;
        let mut bytes = vec![0; READ_BYTES];
        while discarded < MOST {
            match tokio::io::AsyncReadExt::read(&mut self.tcp, &mut bytes).await {
                Ok(0) | Err(_) => return,
                Ok(read) => discarded += read,
            }
        }
    }

    /// Whether the client may still be sending what nobody reads.
    pub(super) fn unread(&self) -> bool {
        self.ended != Some(Ended::Client)
            && (self.session.is_refused()
                || self.session.is_malformed()
                || self.inspector.as_ref().is_some_and(Inspector::in_body))
    }

    pub(super) fn reset(&self) {
        let _ = self.tcp.set_zero_linger();
    }

    /// The usual case: straight into hyper's buffer, inspected there.
    fn poll_through(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(cx, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        let Some(inspector) = &mut self.inspector else {
            return Poll::Ready(Ok(()));
        };
        if read.is_empty() {
            self.ended = Some(Ended::Client);
            return Poll::Ready(Ok(()));
        }
        let inspected = inspector.inspect(read);
        if inspected.cleared == read.len() && inspected.end.is_none() {
            self.session.head_complete();
            return Poll::Ready(Ok(()));
        }
        self.held
            .bytes
            .extend_from_slice(read.get(inspected.cleared..).unwrap_or_default());
        buffer.set_filled(before + inspected.cleared);
        self.note(inspected.end);
        Poll::Ready(Ok(()))
    }

    /// Reads more behind what is held.
    fn poll_hold(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let held = self.held.bytes.len();
        self.held.bytes.resize(held + READ_BYTES, 0);
        let mut space = ReadBuf::new(self.held.bytes.get_mut(held..).unwrap_or_default());
        let polled = Pin::new(&mut self.tcp).poll_read(cx, &mut space);
        let read = space.filled().len();
        self.held.bytes.truncate(held + read);
        ready!(polled)?;
        if read == 0 {
            self.ended = Some(Ended::Client);
        }
        Poll::Ready(Ok(read))
    }

    fn inspect_held(&mut self) {
        let Some(inspector) = &mut self.inspector else {
            self.held.cleared = self.held.bytes.len();
            return;
        };
        let inspected =
            inspector.inspect(self.held.bytes.get(self.held.cleared..).unwrap_or_default());
        self.held.cleared += inspected.cleared;
        self.note(inspected.end);
    }

    /// After each inspection: starts or stops the clock of an incomplete head, or carries out a refusal.
    fn note(&mut self, end: Option<End>) {
        match end {
            None if self.held.bytes.len() > self.held.cleared => self.session.head_incomplete(),
            None => self.session.head_complete(),
            Some(End::Body) => {
                self.held.bytes.truncate(self.held.cleared);
                self.session.set_malformed();
                self.ended = Some(Ended::Body);
            }
            Some(End::Head(index, refusal)) => {
                self.session.head_complete();
                self.session.refuse_head(index, refusal);
                let stand_in =
                    stand_in(self.held.bytes.get(self.held.cleared..).unwrap_or_default());
                self.held.bytes.truncate(self.held.cleared);
                self.held.bytes.extend_from_slice(&stand_in);
                self.held.cleared = self.held.bytes.len();
                self.ended = Some(Ended::Refusal);
            }
        }
    }
}

impl Held {
    /// Moves cleared bytes into the buffer; false if there are none.
    fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let cleared = self.bytes.get(self.given..self.cleared).unwrap_or_default();
        let given = cleared.len().min(buffer.remaining());
        buffer.put_slice(cleared.get(..given).unwrap_or_default());
        self.given += given;
        if self.given == self.bytes.len() {
            // Frees the memory too: most connections hold nothing ever again.
            *self = Self::default();
        } else if self.given == self.cleared {
            self.bytes.drain(..self.given);
            (self.given, self.cleared) = (0, 0);
        }
        given > 0
    }
}

/// A head that hyper accepts in place of the refused one, with its method and path as far as they are sound, for the log.
fn stand_in(refused: &[u8]) -> Vec<u8> {
    let line = refused
        .trim_ascii_start()
        .split(|byte| matches!(byte, b'\r' | b'\n'))
        .next()
        .unwrap_or_default();
    let mut parts = line.split(|byte| *byte == b' ');
    let method = parts.next().filter(|method| {
        matches!(
            *method,
            b"HEAD" | b"POST" | b"PUT" | b"DELETE" | b"PATCH" | b"OPTIONS"
        )
    });
    let path = parts.next().unwrap_or_default();
    let sound = path
        .iter()
        .take(256)
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"/-._~%".contains(byte))
        .count();
    let path = path
        .get(..sound)
        .filter(|path| path.starts_with(b"/"))
        .unwrap_or(b"/");
    [method.unwrap_or(b"GET"), b" ", path, b" HTTP/1.1\r\n\r\n"].concat()
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.held.given < this.held.cleared && this.held.give(buffer) {
                return Poll::Ready(Ok(()));
            }
            match this.ended {
                None => {}
                Some(Ended::Client) => return Poll::Ready(Ok(())),
                // The answer closes the connection.
                Some(Ended::Refusal) => return Poll::Pending,
                Some(Ended::Body) => {
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "malformed chunked body",
                    )));
                }
            }
            if !this.held.bytes.is_empty() {
                if ready!(this.poll_hold(cx))? > 0 {
                    this.inspect_held();
                }
                continue;
            }
            let before = buffer.filled().len();
            ready!(this.poll_through(cx, buffer))?;
            if buffer.filled().len() > before || this.inspector.is_none() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl Stream {
    fn wrote(&mut self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &polled {
            Poll::Pending => {
                self.waiting = true;
                let until = self.taking.waiting();
                self.session.write_waits_until(until);
            }
            Poll::Ready(Ok(bytes)) => {
                self.taking.moved(*bytes);
                if std::mem::take(&mut self.waiting) {
                    self.session.write_moved();
                }
            }
            Poll::Ready(Err(_)) => {}
        }
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tcp).poll_write(cx, bytes);
        self.wrote(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tcp).poll_write_vectored(cx, slices);
        self.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
