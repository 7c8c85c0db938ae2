//! Runs a recorded invocation again.
//!
//! In: a recording and a revision linked without backends. Out: nothing when the guest did and answered the same, else the first
//! difference.

use std::sync::Arc;

use bytes::Bytes;
use coracle_capability::observe::{Cut, Difference, Message, Observation, Player, Recording};
use coracle_capability::secrets::{Fingerprint, SecretValue};
use coracle_gateway::{Body, Exchange, Observer, RequestId};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};

use super::{
    invocation,
    observed::{Watched, fields},
    revision::Revision,
};
use crate::admission::Admission;

/// Why a recording cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// A limit of the recorder was reached, and what is missing is needed.
    #[error("the recording is cut: {0} did not fit, and a replay needs all of it")]
    Cut(Cut),
    /// Its request is no request.
    #[error("the recorded request cannot be made again: {0}")]
    Request(String),
}

struct Nobody;

impl Observer for Nobody {
    fn finished(&self, _: &Exchange) {}
}

/// Runs a recording against this revision. `told` are the values of secrets that are known; for others the guest gets stand-ins.
///
/// # Errors
/// See [`ReplayError`].
pub async fn replay(
    revision: Arc<Revision>,
    recording: &Recording,
    told: Vec<(Fingerprint, SecretValue)>,
) -> Result<Option<Difference>, ReplayError> {
    if let Some(cut) = recording.cut.iter().find(|cut| cut.prevents_replay()) {
        return Err(ReplayError::Cut(*cut));
    }
    let request = request(recording).map_err(|error| ReplayError::Request(error.to_string()))?;
    let request_id = RequestId::parse(&recording.request_id).unwrap_or_else(RequestId::random);
    let path = request.uri().path().to_string();
    let exchange = Arc::new(Exchange::new(
        request_id,
        request.method().clone(),
        path,
        Arc::new(Nobody),
    ));
    let player = Player::new(recording.events.clone(), &recording.order);
    let player = Arc::new(player.telling(told));
    let gate = Admission::new(1, 0, std::time::Duration::ZERO);
    let Ok(place) = gate.enter().await else {
        return Err(ReplayError::Request("no place".into()));
    };
    let watched = Watched::replaying(Observation::Replay(Arc::clone(&player)));
    let environment = revision.template().environment.now().await;
    let background = tokio::runtime::Handle::current();
    let response = invocation::run(
        revision,
        place,
        Arc::clone(&exchange),
        request,
        environment,
        watched,
        background,
    )
    .await;

    let (head, mut body) = response.into_parts();
    let mut now = Message {
        headers: fields(&head.headers),
        ..Message::default()
    };
    let mut complete = true;
    while let Some(frame) = body.frame().await {
        match frame.map(|frame| (frame.data_ref().cloned(), frame.trailers_ref().map(fields))) {
            Ok((data, trailers)) => {
                now.body.extend_from_slice(&data.unwrap_or_default());
                now.trailers = trailers.unwrap_or(now.trailers);
            }
            Err(_) => {
                complete = false;
                break;
            }
        }
    }
    drop(body);
    player.concealing().in_message(&mut now);
    // Work after the response goes on until the exchange is nobody's but ours.
    // The same for bodies that are still compared.
    while Arc::strong_count(&exchange) > 1 || Arc::strong_count(&player) > 1 {
        tokio::task::yield_now().await;
    }
    Ok(player
        .difference(false)
        .or_else(|| answer(recording, head.status.as_u16(), &now, complete))
        .or_else(|| player.difference(true)))
}

fn request(recording: &Recording) -> Result<Request<Body>, http::Error> {
    let recorded = &recording.request;
    let mut request = Request::builder()
        .method(recorded.method.as_str())
        .uri(recorded.target.as_str());
    for (name, value) in &recorded.message.headers {
        request = request.header(name.as_str(), value.as_slice());
    }
    let mut frames = Vec::new();
    if !recorded.message.body.is_empty() {
        frames.push(Ok(Frame::data(Bytes::from(recorded.message.body.clone()))));
    }
    if !recorded.message.trailers.is_empty() {
        let mut trailers = HeaderMap::new();
        for (name, value) in &recorded.message.trailers {
            trailers.append(
                HeaderName::from_bytes(name.as_bytes())?,
                HeaderValue::from_bytes(value)?,
            );
        }
        frames.push(Ok(Frame::trailers(trailers)));
    }
    request.body(StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync())
}

fn answer(recording: &Recording, status: u16, now: &Message, complete: bool) -> Option<Difference> {
    let recorded = &recording.answered;
    let difference = |place: &str, recorded: String, now: String| {
        Some(Difference {
            place: place.into(),
            recorded,
            now,
        })
    };
    if status != recorded.status {
        return difference(
            "response status",
            recorded.status.to_string(),
            status.to_string(),
        );
    }
    if now.headers != recorded.message.headers {
        return difference(
            "response headers",
            shown(&recorded.message.headers),
            shown(&now.headers),
        );
    }
    if !recorded.complete || recording.cut.contains(&Cut::Response) {
        // The client left, or the recorder had no room: what there is by then is all there is to compare.
        let same = now.body.starts_with(&recorded.message.body);
        return if same {
            None
        } else {
            body(&recorded.message.body, &now.body)
        };
    }
    if now.body != recorded.message.body {
        return body(&recorded.message.body, &now.body);
    }
    if now.trailers != recorded.message.trailers {
        return difference(
            "response trailers",
            shown(&recorded.message.trailers),
            shown(&now.trailers),
        );
    }
    if !complete {
        return difference(
            "the end of the response",
            "complete".into(),
            "broken off".into(),
        );
    }
    None
}

fn body(recorded: &[u8], now: &[u8]) -> Option<Difference> {
    let at = recorded
        .iter()
        .zip(now)
        .take_while(|(recorded, now)| recorded == now)
        .count();
    let from = |bytes: &[u8]| match bytes.get(at..) {
        None | Some([]) => "the end".to_string(),
        Some(rest) => format!("\"{}\"", rest.get(..40).unwrap_or(rest).escape_ascii()),
    };
    Some(Difference {
        place: format!("response body, byte {at}"),
        recorded: from(recorded),
        now: from(now),
    })
}

fn shown(fields: &[(String, Vec<u8>)]) -> String {
    let fields = fields
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.escape_ascii()));
    fields.collect::<Vec<_>>().join(", ")
}
