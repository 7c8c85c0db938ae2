//! Bodies under way. In: a guest's body, an upstream's body. Out: the same with lengths, silence and the end watched.
//!
//! Nothing is buffered: a chunk is asked for when the other side has room. `Sent` and `Received` of one exchange share
//! a `Progress`, so that silence is blamed on whoever was silent and dropping the response stops the request.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    connection::error_of,
    contract::{Body, Error},
    head,
    pool::Lease,
};

/// How far the request body is.
#[derive(Debug)]
pub(super) struct Progress(Mutex<State>);

#[derive(Debug)]
struct State {
    /// When the last thing happened that the upstream has to follow.
    since: Instant,
    phase: Phase,
    waker: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The connection has a chunk to write, or has not asked for one.
    Writing,
    /// The connection asked and the guest has none yet.
    Guest,
    /// Everything is written, or need not be.
    Done,
    /// Nobody wants the response any more.
    Cancelled,
}

impl Progress {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            since: Instant::now(),
            phase: Phase::Writing,
            waker: None,
        })))
    }

    /// Waits for the response head: `first_byte` once the request is written, `between_bytes` for each chunk of it that
    /// the upstream is slow to take. The time in which the guest has nothing to send counts against nobody.
    pub(super) async fn watch<F: Future>(
        &self,
        response: F,
        first_byte: Duration,
        between_bytes: Duration,
    ) -> Result<F::Output, Error> {
        let mut response = std::pin::pin!(response);
        self.state().since = Instant::now();
        loop {
            let (since, phase) = self.now();
            let limit = if phase == Phase::Done {
                first_byte
            } else {
                between_bytes
            };
            let started = if phase == Phase::Guest {
                Instant::now()
            } else {
                since
            };
            if let Ok(output) = tokio::time::timeout_at(started + limit, &mut response).await {
                return Ok(output);
            }
            match self.now() {
                (_, Phase::Guest) => {}
                after if after != (since, phase) => {}
                (_, Phase::Writing) => return Err(Error::ConnectionWriteTimeout),
                (_, Phase::Done | Phase::Cancelled) => return Err(Error::ConnectionReadTimeout),
            }
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.now().1 == Phase::Done
    }

    /// Ends the request body with an error, which resets its stream, unless it is over.
    pub(super) fn cancel(&self) {
        let waker = {
            let mut state = self.state();
            if state.phase != Phase::Done {
                state.phase = Phase::Cancelled;
            }
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn enter(&self, phase: Phase) {
        let mut state = self.state();
        if state.phase != Phase::Cancelled {
            (state.phase, state.since) = (phase, Instant::now());
        }
    }

    fn now(&self) -> (Instant, Phase) {
        let state = self.state();
        (state.since, state.phase)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request body on its way out.
#[derive(Debug)]
pub(super) struct Sent {
    body: Body,
    progress: Arc<Progress>,
    declared: Option<u64>,
    max: Option<u64>,
    sent: u64,
}

impl Sent {
    /// `declared` is the `content-length`, which the body must match: a longer or shorter one would be read as part of
    /// whatever the connection carries next.
    pub(super) fn new(
        body: Body,
        progress: Arc<Progress>,
        declared: Option<u64>,
        max: Option<u64>,
    ) -> Self {
        Self {
            body,
            progress,
            declared,
            max,
            sent: 0,
        }
    }

    fn check(&mut self, frame: &Frame<Bytes>) -> Result<(), Error> {
        self.sent += frame.data_ref().map_or(0, |data| data.remaining() as u64);
        let limit = [self.declared, self.max].into_iter().flatten().min();
        if limit.is_some_and(|limit| self.sent > limit) {
            Err(Error::HttpRequestBodySize(limit))
        } else {
            Ok(())
        }
    }

    fn check_end(&self) -> Option<Error> {
        self.declared
            .filter(|declared| self.sent < *declared)
            .map(|declared| Error::HttpRequestBodySize(Some(declared)))
    }
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        {
            let mut state = this.progress.state();
            if state.phase == Phase::Cancelled {
                return Poll::Ready(Some(Err(Error::ConnectionTerminated)));
            }
            state.waker = Some(cx.waker().clone());
        }
        let Poll::Ready(polled) = Pin::new(&mut this.body).poll_frame(cx) else {
            this.progress.enter(Phase::Guest);
            return Poll::Pending;
        };
        this.progress.enter(Phase::Writing);
        Poll::Ready(match polled {
            Some(Ok(mut frame)) => {
                if let Some(fields) = frame.trailers_mut() {
                    head::trailers(fields);
                }
                Some(this.check(&frame).map(|()| frame))
            }
            Some(Err(error)) => Some(Err(error)),
            None => this.check_end().map(Err),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream() && self.check_end().is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.progress.enter(Phase::Done);
    }
}

/// A response body on its way in. Holds the connection until the end, and the app's place in the queue with it.
#[derive(Debug)]
pub(super) struct Received {
    /// `None` after the end and after an error.
    under_way: Option<(Incoming, Lease)>,
    between_bytes: Duration,
    silence: Option<Pin<Box<Sleep>>>,
    is_silent: bool,
    max: Option<u64>,
    received: u64,
}

impl Received {
    pub(super) fn new(
        body: Incoming,
        lease: Lease,
        between_bytes: Duration,
        max: Option<u64>,
    ) -> Self {
        let mut received = Self {
            under_way: Some((body, lease)),
            between_bytes,
            silence: None,
            is_silent: false,
            max,
            received: 0,
        };
        received.end_if_over();
        received
    }

    fn end_if_over(&mut self) {
        if let Some((body, lease)) = self.under_way.take_if(|(body, _)| body.is_end_stream()) {
            drop(body);
            lease.finish();
        }
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = Instant::now() + self.between_bytes;
        let silence = self
            .silence
            .get_or_insert_with(|| Box::pin(sleep_until(due)));
        if !std::mem::replace(&mut self.is_silent, true) {
            silence.as_mut().reset(due);
        }
        silence.as_mut().poll(cx)
    }

    fn fail(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.under_way = None;
        Poll::Ready(Some(Err(error)))
    }
}

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let Some((body, _)) = &mut this.under_way else {
            return Poll::Ready(None);
        };
        let Poll::Ready(polled) = Pin::new(body).poll_frame(cx) else {
            ready!(this.poll_silence(cx));
            return this.fail(Error::ConnectionReadTimeout);
        };
        this.is_silent = false;
        match polled {
            Some(Ok(mut frame)) => {
                this.received += frame.data_ref().map_or(0, |data| data.len() as u64);
                if this.max.is_some_and(|max| this.received > max) {
                    return this.fail(Error::HttpResponseBodySize(this.max));
                }
                if let Some(fields) = frame.trailers_mut() {
                    head::trailers(fields);
                }
                this.end_if_over();
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                let error = match error_of(&error) {
                    Error::ConnectionTerminated => Error::HttpResponseIncomplete,
                    other => other,
                };
                this.fail(error)
            }
            None => {
                if let Some((_, lease)) = this.under_way.take() {
                    lease.finish();
                }
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.under_way.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.under_way
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), |(body, _)| body.size_hint())
    }
}
