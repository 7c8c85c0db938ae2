//! The guest's body on its way to the client.
//!
//! In: a body that the running guest fills. Out: one complete message when the guest was quick, else a stream that ends in an error
//! when the guest fails, and that ends the guest when it is dropped before its end.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use coracle_gateway::{Body, BodyError};
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::task::AbortHandle;
use wasmtime_wasi_http::WasiBody;

use super::{failure::Failure, invocation::Failed, work::Work};

/// What is buffered before the head is sent.
const MAX_BUFFERED_BYTES: usize = 64 << 10;

/// A body that can be sent.
pub(super) enum Streaming {
    /// All of it is here, and the guest is done.
    Complete(Body),
    /// The guest goes on.
    Running(Body),
}

/// Runs the guest until its body is complete or has begun, and hands a guest that is still running to a task of its own.
///
/// # Errors
/// When the guest failed before a byte of its answer was sent.
pub(super) async fn first_frames(
    mut body: WasiBody,
    mut work: Work,
    mut ended: Option<Result<(), Failure>>,
    failed: &Failed,
    declared: Option<u64>,
) -> Result<Streaming, Failure> {
    let mut begun = Begun::default();
    let (mut body_ended, mut came_back) = (false, false);
    std::future::poll_fn(|context| {
        loop {
            if ended.is_none()
                && let Poll::Ready(end) = Pin::new(&mut work).poll(context)
            {
                ended = Some(end);
            }
            if body_ended {
                if ended.is_none() && !came_back && !work.is_away() {
                    // What is left is mostly little: one more turn, and then the answer leaves.
                    came_back = true;
                    continue;
                }
                let over = ended.is_some() || (came_back && !failed.load(Relaxed));
                return if over { Poll::Ready(()) } else { Poll::Pending };
            }
            match begun.take_ready(&mut body, context) {
                Taken::End => {
                    body_ended = true;
                    // Its end may be all that the work waited for; and an instance that rests now is there for the next request.
                    if ended.is_none()
                        && let Poll::Ready(end) = Pin::new(&mut work).poll(context)
                    {
                        ended = Some(end);
                    }
                    // One that computes is asked to come back for that, or to say why it failed.
                    if ended.is_some() || !work.is_away() {
                        return Poll::Ready(());
                    }
                    work.call_back();
                }
                // The guest may have waited for room: it runs once more before anything is sent.
                Taken::Some if ended.is_none() => {}
                Taken::Nothing if ended.is_none() && (begun.is_empty() || work.computes()) => {
                    return Poll::Pending;
                }
                Taken::Some | Taken::Nothing | Taken::Enough => return Poll::Ready(()),
            }
        }
    })
    .await;

    // Nothing was sent yet: the caller may still be told what happened instead of a part of an answer.
    if let Some(Err(failure)) = ended {
        return Err(failure);
    }
    if declared.is_some_and(|declared| begun.bytes.len() as u64 > declared) {
        return Err(Failure::InvalidResponse(
            "its body is longer than it declared".into(),
        ));
    }
    if let Some(error) = begun.error {
        return Err(Failure::InvalidResponse(error.to_string().into()));
    }
    let running = match ended {
        None => Some(tokio::spawn(async move { _ = work.await }).abort_handle()),
        Some(_) => None,
    };
    if body_ended {
        let complete = Complete {
            bytes: begun.bytes.freeze(),
            trailers: begun.trailers,
        };
        return Ok(Streaming::Complete(match running {
            None => complete.map_err(|never| match never {}).boxed_unsync(),
            // Work after the response: it runs on when the last byte is sent, and ends when the client leaves before.
            Some(_) => Stream {
                begun: complete.into_begun(),
                rest: None,
                failed: Arc::clone(failed),
                running,
            }
            .boxed_unsync(),
        }));
    }
    let rest = (!body_ended).then_some(body);
    Ok(Streaming::Running(
        Stream {
            begun,
            rest,
            failed: Arc::clone(failed),
            running,
        }
        .boxed_unsync(),
    ))
}

/// What the guest wrote before the head was sent.
#[derive(Default)]
struct Begun {
    bytes: BytesMut,
    trailers: Option<HeaderMap>,
    error: Option<wasmtime_wasi_http::Error>,
}

enum Taken {
    Nothing,
    Some,
    Enough,
    End,
}

impl Begun {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.trailers.is_none() && self.error.is_none()
    }

    /// Takes what is there without waiting.
    fn take_ready(&mut self, body: &mut WasiBody, context: &mut Context<'_>) -> Taken {
        let before = self.bytes.len();
        loop {
            match Pin::new(&mut *body).poll_frame(context) {
                Poll::Pending if self.bytes.len() > before => return Taken::Some,
                Poll::Pending => return Taken::Nothing,
                Poll::Ready(None) => return Taken::End,
                Poll::Ready(Some(Err(error))) => {
                    self.error = Some(error);
                    return Taken::End;
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        self.bytes.extend_from_slice(&data);
                        if self.bytes.len() >= MAX_BUFFERED_BYTES {
                            return Taken::Enough;
                        }
                    }
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
            }
        }
    }
}

/// A whole body: its size is known, so it leaves with its length.
struct Complete {
    bytes: Bytes,
    trailers: Option<HeaderMap>,
}

impl Complete {
    fn into_begun(self) -> Begun {
        Begun {
            bytes: self.bytes.into(),
            trailers: self.trailers,
            error: None,
        }
    }
}

impl http_body::Body for Complete {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if !self.bytes.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.bytes)))));
        }
        Poll::Ready(
            self.trailers
                .take()
                .map(|trailers| Ok(Frame::trailers(trailers))),
        )
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        exact_without(&self.trailers, self.bytes.len())
    }
}

/// A message whose length is announced cannot carry trailers in HTTP/1.1.
fn exact_without(trailers: &Option<HeaderMap>, bytes: usize) -> SizeHint {
    if trailers.is_some() {
        SizeHint::default()
    } else {
        SizeHint::with_exact(bytes as u64)
    }
}

/// A body of which a part is still to come.
struct Stream {
    begun: Begun,
    rest: Option<WasiBody>,
    failed: Failed,
    running: Option<AbortHandle>,
}

impl Stream {
    /// The last byte was taken: from here on the client cannot leave too early.
    fn release(&mut self) {
        self.running = None;
    }
}

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if !self.begun.bytes.is_empty() {
            let bytes = self.begun.bytes.split().freeze();
            if self.is_end_stream() {
                // An announced length is reached: nobody will poll again.
                self.release();
            }
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if let Some(rest) = &mut self.rest {
            match Pin::new(rest).poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => return Poll::Ready(Some(Ok(frame))),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
                Poll::Ready(None) => self.rest = None,
            }
        }
        // A store that is dropped ends its bodies as if they were complete; a truncated answer must not look so.
        if self.failed.load(Relaxed) {
            return Poll::Ready(Some(Err(
                "the service failed before the end of its answer".into()
            )));
        }
        let trailers = self.begun.trailers.take();
        self.release();
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.begun.is_empty() && !self.failed.load(Relaxed)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.rest {
            None => exact_without(&self.begun.trailers, self.begun.bytes.len()),
            Some(_) => SizeHint::default(),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
        }
    }
}
