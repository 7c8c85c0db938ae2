//! A connection that notices when the other side has gone silent.
//!
//! In: a stream. Out: the same stream, which fails once something was sent and nothing came back for the timeout. A peer that
//! is stopped, or gone without a word, is found by the calls that wait for it, however short their own deadlines are.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// A watched stream.
pub(crate) struct Watched<S> {
    stream: S,
    timeout: Duration,
    /// Since when something was sent and nothing received.
    silent_since: Option<Instant>,
    /// Runs while somebody waits, and is moved at most once in a timeout: a timer for every call would cost more than the call.
    alarm: Pin<Box<Sleep>>,
    armed: bool,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, timeout: Duration) -> Self {
        Self {
            stream,
            timeout,
            silent_since: None,
            alarm: Box::pin(sleep(timeout)),
            armed: false,
        }
    }

    fn watch(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while let Some(since) = self.silent_since {
            if !self.armed {
                self.alarm.as_mut().reset(since + self.timeout);
                self.armed = true;
            }
            if self.alarm.as_mut().poll(context).is_pending() {
                return Ok(());
            }
            self.armed = false;
            if since.elapsed() >= self.timeout {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Pending => match self.watch(context) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
            ready => {
                self.silent_since = None;
                ready
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.silent_since.get_or_insert_with(Instant::now);
        // Whoever drives a connection reads and writes in one task, so the alarm wakes the reader too.
        self.watch(context)?;
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
