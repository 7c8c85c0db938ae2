//! Outbound HTTP as an observed invocation sees it.
//!
//! In: a request, and how it would be sent. Out: the response; written down with both bodies, answered from a recording, or refused
//! because its effect is held back.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};

use super::{
    contract::{Body, Call, Error, Reply, Timeouts, fields},
    target::Target,
};
use crate::observe::{
    Difference, Observation, Player, Recorder,
    recorder::Asked,
    value::{pack, show},
};

const NAME: &str = "http";

/// The answer to one request as a recording holds it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Answer {
    reply: Option<Result<Reply, Error>>,
    /// The request body, as far as it was taken.
    sent: Vec<u8>,
    /// Whether all of it was taken.
    sent_whole: bool,
    /// The response body, as far as it was read.
    received: Vec<u8>,
    trailers: Vec<(String, Vec<u8>)>,
    /// How the response body ended, when not well.
    broken: Option<Error>,
}

/// Sends a request the way this observation asks for.
pub(super) async fn send<S, F>(
    observation: &Observation,
    request: Request<Body>,
    timeouts: Timeouts,
    permits: impl FnOnce(&Target) -> Result<(), Error>,
    send: S,
) -> Result<Response<Body>, Error>
where
    S: FnOnce(Request<Body>) -> F,
    F: Future<Output = Result<Response<Body>, Error>>,
{
    match observation {
        Observation::None => send(request).await,
        Observation::Hold(effects) if !request.method().is_safe() => {
            // What no grant covers is refused, and is no effect.
            let (head, _) = request.into_parts();
            permits(&Target::of(&head)?)?;
            effects.http(head.method.as_str(), &head.uri.to_string());
            Err(Error::HttpRequestDenied("its effect is held back".into()))
        }
        Observation::Hold(_) => send(request).await,
        Observation::Record(recorder) => record(recorder, request, timeouts, send).await,
        Observation::Replay(player) => replay(player, request, timeouts),
    }
}

async fn record<S, F>(
    recorder: &Arc<Recorder>,
    request: Request<Body>,
    timeouts: Timeouts,
    send: S,
) -> Result<Response<Body>, Error>
where
    S: FnOnce(Request<Body>) -> F,
    F: Future<Output = Result<Response<Body>, Error>>,
{
    let (head, body) = request.into_parts();
    let asked = recorder.ask(NAME, "", &Call::of(&head, timeouts)?);
    let noted = Arc::new(Noted {
        recorder: Arc::clone(recorder),
        asked,
        answer: Mutex::default(),
    });
    let body = Tee {
        body,
        noted: Arc::clone(&noted),
        side: Side::Sent,
    }
    .boxed_unsync();
    let sent = send(Request::from_parts(head, body)).await;
    let (reply, response) = match sent {
        Ok(response) => {
            let (head, body) = response.into_parts();
            (Ok(Reply::of(&head)), Ok((head, body)))
        }
        Err(error) => (Err(error.clone()), Err(error)),
    };
    noted.note(|answer| answer.reply = Some(reply));
    let (head, body) = response?;
    Ok(Response::from_parts(
        head,
        Tee {
            body,
            noted,
            side: Side::Received,
        }
        .boxed_unsync(),
    ))
}

fn replay(
    player: &Arc<Player>,
    request: Request<Body>,
    timeouts: Timeouts,
) -> Result<Response<Body>, Error> {
    let (head, body) = request.into_parts();
    let unanswered = || Error::Internal("the recording holds no answer to this request".into());
    let answer: Answer = player
        .play(NAME, "", &Call::of(&head, timeouts)?)
        .ok_or_else(unanswered)?;
    let Answer {
        reply,
        sent,
        received,
        sent_whole,
        trailers,
        broken,
    } = answer;
    // The guest may write its request while it reads the response.
    tokio::spawn(compare(
        Arc::clone(player),
        body,
        (sent, sent_whole),
        head.uri.to_string(),
    ));
    let reply = reply.ok_or_else(unanswered)??;
    let trailers = Reply {
        status: 200,
        headers: trailers,
    }
    .head()
    .map(|head| head.headers)?;
    let mut frames = vec![Ok(Frame::data(Bytes::from(received)))];
    frames.extend((!trailers.is_empty()).then(|| Ok(Frame::trailers(trailers))));
    frames.extend(broken.map(Err));
    let body = http_body_util::StreamBody::new(futures_util::stream::iter(frames));
    Ok(Response::from_parts(reply.head()?, body.boxed_unsync()))
}

async fn compare(player: Arc<Player>, body: Body, (sent, whole): (Vec<u8>, bool), url: String) {
    let now = match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(_) => return,
    };
    // A server that answered early had not taken all of it.
    let same = if whole {
        now == sent
    } else {
        now.starts_with(&sent)
    };
    if !same {
        let shown = |bytes: &[u8]| {
            pack(&bytes).map_or_else(|error| error.to_string(), |value| show(&value))
        };
        let place = format!("the body sent to {url}");
        player.differs(Difference {
            place,
            recorded: shown(&sent),
            now: shown(&now),
        });
    }
}

/// The answer of one request while its bodies still move. Written down whenever it changed.
struct Noted {
    recorder: Arc<Recorder>,
    asked: Asked,
    answer: Mutex<Answer>,
}

impl Noted {
    fn note(&self, change: impl FnOnce(&mut Answer)) {
        change(&mut self.answer.lock().unwrap_or_else(PoisonError::into_inner));
        self.write();
    }

    fn write(&self) {
        self.recorder.answer(
            self.asked,
            &*self.answer.lock().unwrap_or_else(PoisonError::into_inner),
        );
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Sent,
    Received,
}

/// A body whose bytes are noted as they pass.
struct Tee {
    body: Body,
    noted: Arc<Noted>,
    side: Side,
}

impl http_body::Body for Tee {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        let ended = matches!(frame, Poll::Ready(None)) || self.body.is_end_stream();
        let mut answer = self
            .noted
            .answer
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        answer.sent_whole |= self.side == Side::Sent && ended;
        if let Poll::Ready(Some(frame)) = &frame {
            match (frame, self.side) {
                (Ok(frame), Side::Sent) => answer
                    .sent
                    .extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new())),
                (Ok(frame), Side::Received) => {
                    answer
                        .received
                        .extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
                    answer.trailers = frame.trailers_ref().map_or_else(Vec::new, fields);
                }
                (Err(error), Side::Received) => answer.broken = Some(error.clone()),
                (Err(_), Side::Sent) => {}
            }
        }
        drop(answer);
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        self.noted.write();
    }
}
