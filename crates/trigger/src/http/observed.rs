//! Invocations that are watched: recorded into a file each, or with their writes held back and listed.
//!
//! In: a request and who wants to know. Out: the same answer, and a [`Recording`] or a list of effects when everything is over:
//! the last byte sent and the guest gone.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use coracle_capability::config::Variables;
use coracle_capability::observe::{
    Cut, Effect, Effects, Message, Observation, Recorder, Recording, Share, recorder::Taken,
};
use coracle_capability::secrets::{DigestKey, SecretValue};
use coracle_gateway::{Body, BodyError, Exchange};
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;

/// Who wants to know what the invocations of a component do.
#[derive(Clone, Default)]
pub enum Watching {
    /// Nobody.
    #[default]
    Nobody,
    /// Every invocation becomes a recording.
    Recording(Arc<dyn Recordings>),
    /// Writes are held back and listed.
    Holding(Arc<dyn Holdings>),
}

/// Takes recordings.
pub trait Recordings: Send + Sync {
    /// What every recording of this component begins with.
    ///
    /// # Errors
    /// Why there can be no recording now; the request is then answered unrecorded.
    fn begin(&self) -> Result<(Recording, Share), String>;
    /// Under which key revealed secrets are written down.
    fn key(&self) -> DigestKey;
    /// Takes a finished recording. Must not block for long: it runs where the invocation ended.
    fn finished(&self, finished: Finished);
}

/// A recording of an invocation that is over.
pub struct Finished {
    /// What it asked and was told, with the values of revealed secrets wherever the guest put them.
    pub recording: Recording,
    /// These values, each with what a replay will hand out for it.
    pub revealed: Vec<(SecretValue, SecretValue)>,
    /// The room that the recording takes until it is written.
    pub share: Option<Share>,
}

/// Takes lists of effects.
pub trait Holdings: Send + Sync {
    /// Told once per invocation.
    fn held(&self, exchange: &Exchange, effects: Vec<Effect>);
}

impl Watching {
    /// Begins to watch one invocation.
    pub(super) fn begin(
        &self,
        exchange: &Arc<Exchange>,
        request: Request<Body>,
        environment: &Variables,
    ) -> (Watched, Request<Body>) {
        match self {
            Watching::Nobody => (Watched::default(), request),
            Watching::Recording(recordings) => match recordings.begin() {
                Ok((mut recording, share)) => {
                    recording.environment = BTreeMap::clone(environment);
                    record(
                        Arc::clone(recordings),
                        (recording, share),
                        exchange,
                        request,
                    )
                }
                Err(why) => {
                    tracing::warn!(request_id = %exchange.request_id, "not recorded: {why}");
                    (Watched::default(), request)
                }
            },
            Watching::Holding(holdings) => {
                let effects = Arc::new(Effects::default());
                let held = Held {
                    holdings: Arc::clone(holdings),
                    effects: Arc::clone(&effects),
                    exchange: Arc::clone(exchange),
                };
                (
                    Watched {
                        observation: Observation::Hold(effects),
                        capture: None,
                        _held: Some(Arc::new(held)),
                    },
                    request,
                )
            }
        }
    }
}

/// How one invocation is watched. Dropped when nothing of it is left.
#[derive(Clone, Default)]
pub(super) struct Watched {
    pub(super) observation: Observation,
    capture: Option<Arc<Capture>>,
    _held: Option<Arc<Held>>,
}

impl Watched {
    /// Answers from a player and captures nothing.
    pub(super) fn replaying(observation: Observation) -> Self {
        Self {
            observation,
            capture: None,
            _held: None,
        }
    }

    /// Watches the response on its way out.
    pub(super) fn answer(self, response: Response<Body>) -> Response<Body> {
        let Some(capture) = self.capture else {
            return response;
        };
        let (head, body) = response.into_parts();
        capture.note(|recording| {
            recording.answered.status = head.status.as_u16();
            recording.answered.message.headers = fields(&head.headers);
        });
        let tee = Tee {
            body,
            capture,
            side: Side::Response,
        };
        Response::from_parts(head, tee.boxed_unsync())
    }
}

struct Held {
    holdings: Arc<dyn Holdings>,
    effects: Arc<Effects>,
    exchange: Arc<Exchange>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.holdings.held(&self.exchange, self.effects.list());
    }
}

fn record(
    recordings: Arc<dyn Recordings>,
    (mut recording, share): (Recording, Share),
    exchange: &Arc<Exchange>,
    request: Request<Body>,
) -> (Watched, Request<Body>) {
    let (head, body) = request.into_parts();
    recording.request_id = exchange.request_id.to_string();
    recording.request.method = head.method.to_string();
    recording.request.target = head.uri.to_string();
    recording.request.message.headers = fields(&head.headers);
    let recorder = Arc::new(Recorder::new(recordings.key(), share));
    let capture = Arc::new(Capture {
        recordings,
        recorder: Arc::clone(&recorder),
        exchange: Arc::clone(exchange),
        recording: Mutex::new(recording),
    });
    let tee = Tee {
        body,
        capture: Arc::clone(&capture),
        side: Side::Request,
    };
    let watched = Watched {
        observation: Observation::Record(recorder),
        capture: Some(capture),
        _held: None,
    };
    (watched, Request::from_parts(head, tee.boxed_unsync()))
}

/// A recording in the making. Finished when the last reference is gone.
struct Capture {
    recordings: Arc<dyn Recordings>,
    recorder: Arc<Recorder>,
    exchange: Arc<Exchange>,
    recording: Mutex<Recording>,
}

impl Capture {
    fn note(&self, change: impl FnOnce(&mut Recording)) {
        change(
            &mut self
                .recording
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let Taken {
            events,
            order,
            cut,
            share,
        } = self.recorder.take();
        let mut recording = std::mem::take(
            self.recording
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner),
        );
        (recording.events, recording.order, recording.cut) = (events, order, cut);
        recording.answered.reason = self.exchange.reason().map(str::to_string);
        self.recordings.finished(Finished {
            recording,
            revealed: self.recorder.revealed(),
            share,
        });
    }
}

#[derive(Clone, Copy)]
enum Side {
    Request,
    Response,
}

impl Side {
    fn cut(self) -> Cut {
        match self {
            Side::Request => Cut::Request,
            Side::Response => Cut::Response,
        }
    }
}

/// A body whose bytes are noted as they pass.
struct Tee {
    body: Body,
    capture: Arc<Capture>,
    side: Side,
}

impl http_body::Body for Tee {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        let ended = self.body.is_end_stream();
        let side = self.side;
        let fits = |bytes| self.capture.recorder.fits(bytes, side.cut());
        self.capture.note(|recording| match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                let noted = message(recording, side);
                if let Some(data) = frame.data_ref().filter(|data| fits(data.len())) {
                    noted.body.extend_from_slice(data);
                }
                if let Some(trailers) = frame.trailers_ref() {
                    noted.trailers = fields(trailers);
                }
                if let (Side::Response, true) = (side, ended) {
                    recording.answered.complete = true;
                }
            }
            Poll::Ready(None) => {
                if let Side::Response = side {
                    recording.answered.complete = true;
                }
            }
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        });
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn message(recording: &mut Recording, side: Side) -> &mut Message {
    match side {
        Side::Request => &mut recording.request.message,
        Side::Response => &mut recording.answered.message,
    }
}

pub(super) fn fields(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect()
}
