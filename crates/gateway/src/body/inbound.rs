//! The request body: counted against its cap, timed against the client's slowness, its trailers cleaned.
//!
//! Nothing is read ahead: a chunk is taken from the connection when the destination asks for one.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;

use super::BodyFault;
use crate::{
    account::Account,
    config::Config,
    exchange::{Body, BodyError, Exchange},
    fields,
    listener::Session,
    pace::{Alarm, Pace},
};

/// Wraps what the connection delivers. A request without a body costs no allocation.
pub(crate) fn inbound(incoming: Incoming, account: &Account, config: &Config) -> Body {
    if incoming.is_end_stream() {
        return Empty::new().map_err(|never| match never {}).boxed_unsync();
    }
    Body::new(Inbound {
        incoming,
        exchange: Arc::clone(&account.exchange),
        session: Arc::clone(&account.session),
        left: config.max_body_bytes,
        pace: Pace::new(config.sending),
        alarm: Alarm::default(),
        over: false,
    })
}

struct Inbound {
    incoming: Incoming,
    exchange: Arc<Exchange>,
    session: Arc<Session>,
    left: Option<u64>,
    pace: Pace,
    alarm: Alarm,
    over: bool,
}

impl Inbound {
    fn fail(&mut self, fault: BodyFault) -> BodyError {
        self.over = true;
        self.exchange.set_body_fault(fault);
        Box::new(fault)
    }

    fn received(&mut self, bytes: usize) -> Result<(), BodyError> {
        self.pace.moved(bytes);
        let Some(left) = &mut self.left else {
            return Ok(());
        };
        match left.checked_sub(bytes as u64) {
            Some(rest) => {
                *left = rest;
                Ok(())
            }
            None => Err(self.fail(BodyFault::TooLarge)),
        }
    }

    /// Waiting ends at the deadline, unless the response has begun: then both sides converse, and how long the client may be
    /// silent is the destination's to decide.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        if self.exchange.status() != 0 {
            return Poll::Pending;
        }
        let deadline = self.pace.waiting();
        ready!(self.alarm.poll_at(deadline, cx));
        Poll::Ready(self.fail(BodyFault::TooSlow))
    }
}

impl http_body::Body for Inbound {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        let frame = match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Pending => return this.wait(cx).map(|error| Some(Err(error))),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(Err(_))) if this.session.is_malformed() => {
                return Poll::Ready(Some(Err(this.fail(BodyFault::Malformed))));
            }
            Poll::Ready(Some(Err(error))) => {
                this.over = true;
                return Poll::Ready(Some(Err(error.into())));
            }
            Poll::Ready(Some(Ok(frame))) => frame,
        };
        if let Some(data) = frame.data_ref() {
            let received = this.received(data.len());
            return Poll::Ready(Some(received.map(|()| frame)));
        }
        let frame = frame.into_trailers().map(|mut trailers| {
            fields::clean_trailers(&mut trailers);
            Frame::trailers(trailers)
        });
        Poll::Ready(Some(Ok(frame.unwrap_or_else(|other| other))))
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
