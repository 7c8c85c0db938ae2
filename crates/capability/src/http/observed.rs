//! Outbound HTTP as an observed invocation sees it.
//!
//! In: a request, and how it would be sent. Out: the response; written down with both bodies, answered from a recording, or refused
//! because its effect is held back.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};

use super::{
    contract::{Body, Call, Error, Reply, Timeouts, fields},
    target::Target,
};
use crate::observe::{
    Difference, Observation, Player, Recorder, Turns,
    player::{Playing, PlayingStreams, Read},
    recorder::Asked,
    turns::{Seen, Ticket},
    value::show_bytes,
};

const NAME: &str = "http";

/// How a response body ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct End {
    trailers: Vec<(String, Vec<u8>)>,
    /// Not well.
    broken: Option<Error>,
}

/// A request as an observation saw it when the guest sent it: from here on others may be under way too.
pub(super) enum Sending {
    Plain,
    Refused(Error),
    Record(Arc<Recorder>, Asked),
    Replay(Arc<Player>, Option<Box<Playing>>),
}

/// Sees a request that the guest is sending; `permits` tells whether it might.
pub(super) fn begin(
    observation: &Observation,
    head: &Parts,
    timeouts: Timeouts,
    permits: impl FnOnce(&Target) -> Result<(), Error>,
) -> Sending {
    match observation {
        Observation::None => Sending::Plain,
        Observation::Hold(effects) if !head.method.is_safe() => {
            // What no grant covers is refused, and is no effect.
            let permitted = Target::of(head).and_then(|target| permits(&target));
            Sending::Refused(permitted.err().unwrap_or_else(|| {
                effects.http(head.method.as_str(), &head.uri.to_string());
                Error::HttpRequestDenied("its effect is held back".into())
            }))
        }
        Observation::Hold(_) => Sending::Plain,
        Observation::Record(recorder) => match Call::of(head, timeouts) {
            Ok(call) => {
                let asked = recorder.ask(NAME, &"".into(), &call);
                Sending::Record(Arc::clone(recorder), asked)
            }
            Err(error) => Sending::Refused(error),
        },
        Observation::Replay(player) => match Call::of(head, timeouts) {
            Ok(call) => {
                let playing = player.begin(NAME, "", &call).map(Box::new);
                Sending::Replay(Arc::clone(player), playing)
            }
            Err(error) => Sending::Refused(error),
        },
    }
}

impl Sending {
    /// Sends the request, or does what stands in for that.
    pub(super) async fn send<S, F>(
        self,
        request: Request<Body>,
        send: S,
    ) -> Result<Response<Body>, Error>
    where
        S: FnOnce(Request<Body>) -> F,
        F: Future<Output = Result<Response<Body>, Error>>,
    {
        match self {
            Sending::Plain => send(request).await,
            Sending::Refused(error) => Err(error),
            Sending::Record(recorder, asked) => record(recorder, asked, request, send).await,
            Sending::Replay(player, playing) => replay(player, playing, request).await,
        }
    }
}

async fn record<S, F>(
    recorder: Arc<Recorder>,
    asked: Asked,
    request: Request<Body>,
    send: S,
) -> Result<Response<Body>, Error>
where
    S: FnOnce(Request<Body>) -> F,
    F: Future<Output = Result<Response<Body>, Error>>,
{
    let event = recorder.streams(&asked);
    let request = request.map(|body| {
        let recorder = Arc::clone(&recorder);
        Sent {
            body,
            recorder,
            event,
        }
        .boxed_unsync()
    });
    let sent = send(request).await;
    let reply = match &sent {
        Ok(response) => Ok(Reply {
            status: response.status().as_u16(),
            headers: fields(response.headers()),
        }),
        Err(error) => Err(error.clone()),
    };
    recorder.answer(asked, &reply, Seen::Later).await;
    let turns = Arc::clone(recorder.turns());
    Ok(sent?.map(|body| {
        let empty = body.is_end_stream();
        if empty {
            recorder.ended(event, &End::default());
        }
        Received {
            body: (!empty).then_some(body),
            recorder,
            turns,
            event,
            waiting: None,
            trailers: Vec::new(),
        }
        .boxed_unsync()
    }))
}

async fn replay(
    player: Arc<Player>,
    playing: Option<Box<Playing>>,
    request: Request<Body>,
) -> Result<Response<Body>, Error> {
    let unanswered = || Error::Internal("the recording holds no answer to this request".into());
    let mut playing = playing.ok_or_else(unanswered)?;
    let (head, body) = request.into_parts();
    // The guest may write its request while it reads the response.
    tokio::spawn(compare(player, body, playing.sent(), head.uri.to_string()));
    let (reply, streams) = playing.answer::<Result<Reply, Error>>(Seen::Later).await;
    let reply = reply.ok_or_else(unanswered)??;
    let mut body = Played {
        streams: Some(streams),
    };
    body.end_here();
    Ok(Response::from_parts(reply.head()?, body.boxed_unsync()))
}

async fn compare(player: Arc<Player>, body: Body, (sent, whole): (Vec<u8>, bool), url: String) {
    let now = match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(_) => return,
    };
    let mut now = now.to_vec();
    player.concealing().in_bytes(&mut now);
    // A server that answered early had not taken all of it.
    let same = if whole {
        now == sent
    } else {
        now.starts_with(&sent)
    };
    if !same {
        player.differs(Difference {
            place: format!("the body sent to {url}"),
            recorded: show_bytes(&sent),
            now: show_bytes(&now),
        });
    }
}

/// A request body whose bytes are noted as they are taken.
struct Sent {
    body: Body,
    recorder: Arc<Recorder>,
    event: usize,
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.recorder.sent(self.event, Some(data));
        }
        if matches!(frame, Poll::Ready(None)) || self.body.is_end_stream() {
            self.recorder.sent(self.event, None);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

type Piece = Option<Result<Frame<Bytes>, Error>>;

/// A response body whose pieces are noted as the guest is given them.
struct Received {
    /// `None` after its end.
    body: Option<Body>,
    recorder: Arc<Recorder>,
    turns: Arc<Turns>,
    event: usize,
    /// What the guest waits for, and what of it is there.
    waiting: Option<(Ticket, Option<Piece>)>,
    trailers: Vec<(String, Vec<u8>)>,
}

impl Received {
    fn note(&mut self, piece: &Piece) {
        let mut end = End {
            trailers: Vec::new(),
            broken: None,
        };
        match piece {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.recorder.received(self.event, data);
                }
                if let Some(trailers) = frame.trailers_ref() {
                    self.trailers = fields(trailers);
                }
                if !self.body.as_ref().is_some_and(|body| body.is_end_stream()) {
                    return;
                }
            }
            Some(Err(error)) => end.broken = Some(error.clone()),
            None => {}
        }
        if self.body.take().is_some() {
            end.trailers = std::mem::take(&mut self.trailers);
            self.recorder.ended(self.event, &end);
        }
    }
}

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Piece> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        let (ticket, piece) = this
            .waiting
            .get_or_insert_with(|| (this.turns.begin(None), None));
        if piece.is_none() {
            *piece = Some(ready!(Pin::new(body).poll_frame(context)));
        }
        ready!(ticket.poll_turn(Seen::Later, context));
        let piece = this.waiting.take().and_then(|(_, piece)| piece).flatten();
        this.note(&piece);
        Poll::Ready(piece)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> http_body::SizeHint {
        let body = self.body.as_ref();
        body.map_or_else(
            || http_body::SizeHint::with_exact(0),
            |body| body.size_hint(),
        )
    }
}

/// A recorded response body.
struct Played {
    /// `None` after its end.
    streams: Option<PlayingStreams>,
}

impl Played {
    /// Nothing follows that the guest would have to wait for.
    fn end_here(&mut self) {
        let end = self.streams.as_ref().and_then(PlayingStreams::ends_here);
        if end.is_some_and(|end| end.read::<End>().is_ok_and(|end| end == End::default())) {
            self.streams = None;
        }
    }
}

impl http_body::Body for Played {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Piece> {
        let Some(streams) = &mut self.streams else {
            return Poll::Ready(None);
        };
        let end = match ready!(streams.poll_read(context)) {
            Read::Piece(bytes) => {
                self.end_here();
                return Poll::Ready(Some(Ok(Frame::data(bytes.into()))));
            }
            Read::End(end) => end.read::<End>(),
        };
        self.streams = None;
        let End { trailers, broken } = end.unwrap_or_default();
        if let Some(error) = broken {
            return Poll::Ready(Some(Err(error)));
        }
        if trailers.is_empty() {
            return Poll::Ready(None);
        }
        let head = Reply {
            status: 200,
            headers: trailers,
        }
        .head();
        Poll::Ready(Some(head.map(|head| Frame::trailers(head.headers))))
    }

    fn is_end_stream(&self) -> bool {
        self.streams.is_none()
    }
}
