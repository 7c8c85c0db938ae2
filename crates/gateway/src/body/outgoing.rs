//! The response body: counted, checked against its declared length, and never completed by accident.
//!
//! An error of the destination, a panic in it, or too few or too many bytes end the *message* with an error: in HTTP/1.1 the
//! connection closes without the last chunk, in HTTP/2 the stream is reset. "A client that receives an incomplete response
//! message [...] MUST record the message as incomplete" (RFC 9112, 8): this is how it can.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use crate::{
    account::Account,
    exchange::{Body, BodyError, Ending},
    fields,
};

pub(crate) struct Outgoing {
    /// None once it ended, or if the message has none.
    body: Option<Body>,
    /// What `Content-Length` still promises.
    left: Option<u64>,
    /// Only the end of the connection ends this message, so that an early one must look like a failure.
    until_close: bool,
    account: Account,
}

impl Outgoing {
    /// A body that follows the head, with the length the head declares.
    pub(crate) fn new(body: Body, declared: Option<u64>, mut account: Account) -> Self {
        if body.is_end_stream() {
            account.settle(Ending::Complete);
            return Self {
                body: None,
                left: None,
                until_close: false,
                account,
            };
        }
        Self {
            body: Some(body),
            left: declared,
            until_close: false,
            account,
        }
    }

    /// The client speaks HTTP/1.0 and no length is known.
    pub(crate) fn until_close(mut self) -> Self {
        self.until_close = true;
        self
    }

    /// No body follows: `HEAD`, 204, 304.
    pub(crate) fn none(mut account: Account) -> Self {
        account.settle(Ending::Complete);
        Self {
            body: None,
            left: None,
            until_close: false,
            account,
        }
    }

    fn complete(&mut self) {
        self.body = None;
        self.account.settle(Ending::Complete);
    }

    fn abort(&mut self, error: BodyError) -> BodyError {
        tracing::debug!(request_id = %self.account.exchange.request_id, %error, "response aborted");
        self.body = None;
        self.account.exchange.set_reason("aborted");
        if self.until_close {
            self.account.session.reset_on_close();
        }
        self.account.settle(Ending::Aborted);
        error
    }

    fn sent(&mut self, bytes: usize) -> Result<(), BodyError> {
        self.account.exchange.add_response_bytes(bytes as u64);
        let Some(left) = &mut self.left else {
            return Ok(());
        };
        *left = left
            .checked_sub(bytes as u64)
            .ok_or("the response body is longer than its content-length")?;
        Ok(())
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        this.account.exchange.asked_for_more();
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        // A destination's panic ends its own response; the connection and everybody else's go on.
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(body).poll_frame(cx)));
        let polled =
            polled.unwrap_or_else(|_| Poll::Ready(Some(Err("the destination panicked".into()))));
        let frame = match ready!(polled) {
            None if this.left.is_some_and(|left| left > 0) => {
                let short = "the response body is shorter than its content-length";
                return Poll::Ready(Some(Err(this.abort(short.into()))));
            }
            None => {
                this.complete();
                return Poll::Ready(None);
            }
            Some(Err(error)) => return Poll::Ready(Some(Err(this.abort(error)))),
            Some(Ok(frame)) => frame,
        };
        let Some(data) = frame.data_ref() else {
            this.complete();
            return Poll::Ready(Some(Ok(clean(frame))));
        };
        if let Err(error) = this.sent(data.len()) {
            return Poll::Ready(Some(Err(this.abort(error))));
        }
        this.account.exchange.handed();
        if this.is_end_stream() {
            this.complete();
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            None => true,
            Some(body) => body.is_end_stream() && self.left.is_none_or(|left| left == 0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.body, self.left) {
            (None, _) => SizeHint::with_exact(0),
            (Some(_), Some(left)) => SizeHint::with_exact(left),
            (Some(body), None) => body.size_hint(),
        }
    }
}

fn clean(frame: Frame<Bytes>) -> Frame<Bytes> {
    let cleaned = frame.into_trailers().map(|mut trailers| {
        fields::clean_trailers(&mut trailers);
        Frame::trailers(trailers)
    });
    cleaned.unwrap_or_else(|other| other)
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        // HTTP/1.1 asks for nothing after the last byte of a declared length; HTTP/2 still asks for trailers.
        if self.body.is_some() && self.left == Some(0) {
            self.account.settle(Ending::Complete);
        }
    }
}
