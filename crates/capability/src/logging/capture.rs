//! Standard output and standard error of a guest, cut into lines.
//!
//! In: writes of any size. Out: whole lines to the guest's voice; what has no end of line is said when the invocation ends.
//! A guest may keep the stream for its next invocation: whose lines they are is the voice's to know.
//! Never blocks and never fails: a guest cannot be slowed by its own log.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use super::line::{MAX_LINE_BYTES, Source, Voice};

/// One captured stream. Clones share what is buffered.
#[derive(Clone)]
pub struct Captured(Arc<Buffer>);

struct Buffer {
    voice: Voice,
    source: Source,
    begun: Mutex<Vec<u8>>,
}

impl Captured {
    /// Captures a stream for this voice.
    pub fn new(voice: Voice, source: Source) -> Self {
        Self(Arc::new(Buffer {
            voice,
            source,
            begun: Mutex::default(),
        }))
    }

    /// The invocation is over: what it began and did not end is said as its own.
    pub(crate) fn end_line(&self) {
        self.0.end_line();
    }

    fn take(&self, bytes: &[u8]) {
        let mut begun = self.0.begun.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            begun.extend_from_slice(piece);
            let ended = begun.last() == Some(&b'\n');
            if ended {
                begun.pop();
            }
            if ended || begun.len() > MAX_LINE_BYTES {
                self.0
                    .voice
                    .say(self.0.source.clone(), &String::from_utf8_lossy(&begun));
                begun.clear();
            }
        }
    }
}

impl Buffer {
    fn end_line(&self) {
        let begun = std::mem::take(&mut *self.begun.lock().unwrap_or_else(PoisonError::into_inner));
        if !begun.is_empty() {
            self.voice
                .say(self.source.clone(), &String::from_utf8_lossy(&begun));
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.end_line();
    }
}

impl IsTerminal for Captured {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Captured {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

/// WASI 0.3 writes through this.
impl AsyncWrite for Captured {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// WASI 0.2 writes through this.
#[wasmtime_wasi::async_trait]
impl Pollable for Captured {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Captured {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}
