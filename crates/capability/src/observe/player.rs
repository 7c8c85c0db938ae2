//! Answers an invocation from a recording.
//!
//! In: calls. Out: the recorded answers, per capability and resource in their recorded order, each when it was given; and the first call that
//! differs. No backend is reached. After the first difference every call fails: what follows is a consequence.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    event::{Event, Step, Streams},
    redact::Concealing,
    turns::{Seen, Ticket, Turns},
    value::Encoded,
};
use crate::{
    contract::{Answer, Backend, CallError, Contract},
    secrets::{Call, Fingerprint, Reply, Revealed, SecretValue, Secrets},
};

/// The first thing a replayed invocation did otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where: `call 3, keyvalue bucket "default"`, `response body, byte 17`.
    pub place: String,
    /// What the recording holds there.
    pub recorded: String,
    /// What was done now.
    pub now: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\n  recorded: {}\n  now:      {}",
            self.place, self.recorded, self.now
        )
    }
}

/// The recording of one invocation, being consumed.
pub struct Player {
    turns: Arc<Turns>,
    told: Vec<(Fingerprint, SecretValue)>,
    concealing: Concealing,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    expected: HashMap<(String, String), VecDeque<Expected>>,
    difference: Option<Difference>,
}

#[derive(Debug)]
struct Expected {
    number: usize,
    event: Event,
    given: Given,
}

/// Where in the order of a recording its guest was given what belongs to one call.
#[derive(Debug, Default)]
struct Given {
    answer: Option<u64>,
    pieces: VecDeque<(u64, usize)>,
    end: Option<u64>,
}

/// A recorded call that is being answered.
pub struct Playing {
    answer: Option<Encoded>,
    ticket: Ticket,
    /// What goes and comes beside the answer.
    pub streams: PlayingStreams,
}

/// The recorded bytes of one call.
#[derive(Debug)]
pub struct PlayingStreams {
    turns: Arc<Turns>,
    recorded: Streams,
    given: Given,
    read: usize,
    /// Where the last that was given stands.
    last: Option<u64>,
    next: Option<(Ticket, Next)>,
}

/// What a guest reads of a recorded stream.
#[derive(Debug, Clone, Copy)]
enum Next {
    Piece(usize),
    End,
}

/// What a guest read of a recorded stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Read {
    /// The next piece.
    Piece(Vec<u8>),
    /// How it ended.
    End(Encoded),
}

impl Player {
    /// Answers from these events, in this order.
    pub fn new(events: Vec<Event>, order: &[(usize, Step)]) -> Self {
        let mut given: HashMap<usize, Given> = HashMap::new();
        for (place, (number, step)) in (0..).zip(order) {
            let given = given.entry(*number).or_default();
            match step {
                Step::Answer => given.answer = Some(place),
                Step::Piece(bytes) => given.pieces.push_back((place, *bytes)),
                Step::End => given.end = Some(place),
            }
        }
        let mut expected: HashMap<_, VecDeque<_>> = HashMap::new();
        for (number, event) in events.into_iter().enumerate() {
            let place = (event.capability.clone(), event.resource.clone());
            expected.entry(place).or_default().push_back(Expected {
                number,
                event,
                given: given.remove(&number).unwrap_or_default(),
            });
        }
        Self {
            turns: Turns::as_recorded(),
            told: Vec::new(),
            concealing: Concealing::new(&[]),
            state: Mutex::new(State {
                expected,
                difference: None,
            }),
        }
    }

    /// Tells the guest these values where the recording holds their fingerprints, and looks for their stand-ins where it uses them.
    #[must_use]
    pub fn telling(self, told: Vec<(Fingerprint, SecretValue)>) -> Self {
        let revealed: Vec<_> = told
            .iter()
            .map(|(fingerprint, value)| (value.clone(), fingerprint.stand_in()))
            .collect();
        Self {
            concealing: Concealing::new(&revealed),
            told,
            ..self
        }
    }

    /// Puts stand-ins where the guest put values that it was told.
    pub fn concealing(&self) -> &Concealing {
        &self.concealing
    }

    /// In which order the guest is given what it waits for.
    pub fn turns(&self) -> &Arc<Turns> {
        &self.turns
    }

    /// The recorded answer to a call that is answered at once, if this call is the next one recorded.
    pub fn play<A: DeserializeOwned>(
        &self,
        capability: &str,
        resource: &str,
        call: &impl Serialize,
    ) -> Option<A> {
        let expected = self.expect(capability, resource, call)?;
        expected.event.answer?.read().ok()
    }

    /// A call that is answered later, if it is the next one recorded.
    pub fn begin(
        &self,
        capability: &str,
        resource: &str,
        call: &impl Serialize,
    ) -> Option<Playing> {
        let Expected { event, given, .. } = self.expect(capability, resource, call)?;
        Some(Playing {
            answer: event.answer,
            ticket: self.turns.begin(given.answer),
            streams: PlayingStreams {
                turns: Arc::clone(&self.turns),
                recorded: event.streams.unwrap_or_default(),
                last: given.answer,
                given,
                read: 0,
                next: None,
            },
        })
    }

    fn expect(&self, capability: &str, resource: &str, call: &impl Serialize) -> Option<Expected> {
        let mut call = Encoded::of(call).ok()?;
        self.concealing.in_value(&mut call);
        let mut state = self.state();
        if state.difference.is_some() {
            return None;
        }
        let next = state
            .expected
            .get_mut(&(capability.to_string(), resource.to_string()))
            .and_then(VecDeque::pop_front);
        let named = named(capability, resource);
        match next {
            Some(expected) if expected.event.call == call => Some(expected),
            Some(Expected { number, event, .. }) => {
                let place = format!("call {} ({named})", number + 1);
                state.difference = Some(Difference {
                    place,
                    recorded: event.call.show(),
                    now: call.show(),
                });
                None
            }
            None => {
                let place = format!("a call after the last recorded one of {named}");
                state.difference = Some(Difference {
                    place,
                    recorded: "nothing".into(),
                    now: call.show(),
                });
                None
            }
        }
    }

    /// Notes a difference found elsewhere, unless there was one before.
    pub fn differs(&self, difference: Difference) {
        self.state().difference.get_or_insert(difference);
    }

    /// The first difference; at the end of an invocation also calls that were recorded and not made.
    pub fn difference(&self, ended: bool) -> Option<Difference> {
        let state = self.state();
        if state.difference.is_some() || !ended {
            return state.difference.clone();
        }
        let left = state
            .expected
            .values()
            .filter_map(VecDeque::front)
            .min_by_key(|expected| expected.number);
        left.map(|Expected { number, event, .. }| Difference {
            place: format!(
                "call {} ({})",
                number + 1,
                named(&event.capability, &event.resource)
            ),
            recorded: event.call.show(),
            now: "not made".into(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn named(capability: &str, resource: &str) -> String {
    if resource.is_empty() {
        capability.to_string()
    } else {
        format!("{capability} {resource:?}")
    }
}

impl Playing {
    /// The recorded answer, when its turn has come. Never, when the recorded guest did not wait for it to the end.
    pub async fn answer<A: DeserializeOwned>(self, seen: Seen) -> (Option<A>, PlayingStreams) {
        self.ticket.turn(seen).await;
        let answer = self.answer.and_then(|answer| answer.read().ok());
        (answer, self.streams)
    }

    /// What the recorded call sent, and whether that was all.
    pub fn sent(&mut self) -> (Vec<u8>, bool) {
        let recorded = &mut self.streams.recorded;
        (std::mem::take(&mut recorded.sent), recorded.sent_whole)
    }
}

impl PlayingStreams {
    /// The end, when the guest was given it together with what it read last.
    pub fn ends_here(&self) -> Option<Encoded> {
        let last = self.last? + 1;
        let ends = self.given.pieces.is_empty() && self.given.end == Some(last);
        self.recorded.end.clone().filter(|_| ends)
    }

    /// The next that was received, when its turn has come. Never, when the recorded guest read no further.
    pub fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Read> {
        let (ticket, next) = match &mut self.next {
            Some(next) => next,
            none => {
                let (place, next) = match self.given.pieces.pop_front() {
                    Some((place, bytes)) => {
                        self.last = Some(place);
                        (Some(place), Next::Piece(bytes))
                    }
                    None => (self.given.end, Next::End),
                };
                none.insert((self.turns.begin(place), next))
            }
        };
        ready!(ticket.poll_turn(Seen::Later, context));
        let next = *next;
        match (next, &self.recorded.end) {
            (Next::Piece(bytes), _) => {
                self.next = None;
                let from = self.recorded.received.get(self.read..).unwrap_or_default();
                let piece = from.get(..bytes).unwrap_or(from).to_vec();
                self.read += piece.len();
                Poll::Ready(Read::Piece(piece))
            }
            (Next::End, Some(end)) => Poll::Ready(Read::End(end.clone())),
            (Next::End, None) => Poll::Pending,
        }
    }
}

/// A backend that answers from a recording.
pub struct Replay<C: Contract> {
    player: Arc<Player>,
    resource: String,
    contract: std::marker::PhantomData<fn() -> C>,
}

impl<C: Contract> Replay<C> {
    /// Answers the calls recorded under this name.
    pub fn new(player: Arc<Player>, resource: &str) -> Self {
        Self {
            player,
            resource: resource.into(),
            contract: std::marker::PhantomData,
        }
    }
}

impl<C: Contract> Backend<C> for Replay<C> {
    fn call(&self, call: C::Call) -> Answer<'_, C> {
        let nothing = || Err(C::Error::deadline(std::time::Duration::ZERO));
        if C::AT_ONCE {
            let answer = self.player.play(C::NAME, &self.resource, &call);
            return Box::pin(async move { answer.unwrap_or_else(nothing) });
        }
        let playing = self.player.begin(C::NAME, &self.resource, &call);
        // The guest sees a failing backend; whoever replays sees the difference.
        Box::pin(async move {
            let answer = match playing {
                Some(playing) => playing.answer(Seen::AtOnce).await.0,
                None => None,
            };
            answer.unwrap_or_else(nothing)
        })
    }
}

/// A recorded secret whose values the guest is told, where they are known.
pub struct Telling {
    recorded: Replay<Secrets>,
}

impl Telling {
    /// Answers the calls recorded under this name.
    pub fn new(player: Arc<Player>, name: &str) -> Self {
        Self {
            recorded: Replay::new(player, name),
        }
    }
}

impl Backend<Secrets> for Telling {
    fn call(&self, call: Call) -> Answer<'_, Secrets> {
        Box::pin(async move {
            let answer = self.recorded.call(call).await?;
            let Reply::Revealed(Revealed::Recorded(fingerprint)) = &answer else {
                return Ok(answer);
            };
            let told = &self.recorded.player.told;
            let known = told.iter().find(|(known, _)| known == fingerprint);
            Ok(known.map_or(answer.clone(), |(_, value)| {
                Reply::Revealed(Revealed::Value(value.clone()))
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::Shared,
        keyvalue::{Call, KeyValue, Memory, Reply},
        observe::{
            Recorder,
            recorder::{Record, Room},
        },
        secrets::DigestKey,
    };

    async fn recorded(calls: &[Call]) -> Player {
        let share = Room::new(1 << 20).share();
        let recorder = Arc::new(Recorder::new(DigestKey::new([7; 32]), share));
        let bucket = Record::<KeyValue>::new(
            Arc::new(Memory::default()),
            Arc::clone(&recorder),
            "default",
        );
        for call in calls {
            let _ = bucket.call(call.clone()).await;
        }
        let taken = recorder.take();
        Player::new(taken.events, &taken.order)
    }

    fn replay(player: Player) -> (Arc<Player>, Shared<KeyValue>) {
        let player = Arc::new(player);
        (
            Arc::clone(&player),
            Arc::new(Replay::new(player, "default")),
        )
    }

    #[tokio::test]
    async fn answers_as_recorded_without_a_backend() {
        let set = Call::Set {
            key: "k".into(),
            value: b"v".to_vec(),
        };
        let get = Call::Get { key: "k".into() };
        let (player, bucket) = replay(recorded(&[set.clone(), get.clone()]).await);
        assert_eq!(bucket.call(set).await, Ok(Reply::Done));
        assert_eq!(
            bucket.call(get).await,
            Ok(Reply::Value(Some(b"v".to_vec())))
        );
        assert_eq!(player.difference(true), None);
    }

    #[tokio::test]
    async fn reports_the_first_call_that_differs() {
        let get = |key: &str| Call::Get { key: key.into() };
        let (player, bucket) = replay(recorded(&[get("a"), get("b")]).await);
        bucket.call(get("a")).await.unwrap();
        bucket.call(get("x")).await.unwrap_err();
        bucket.call(get("y")).await.unwrap_err();
        let difference = player.difference(true).unwrap();
        assert_eq!(difference.place, "call 2 (keyvalue \"default\")");
        assert!(difference.now.contains("\"x\""), "{difference}");
    }

    #[tokio::test]
    async fn reports_calls_that_were_not_made_and_calls_too_many() {
        let get = |key: &str| Call::Get { key: key.into() };
        let (player, _) = replay(recorded(&[get("a")]).await);
        assert_eq!(player.difference(true).unwrap().now, "not made");
        let (player, bucket) = replay(recorded(&[]).await);
        bucket.call(get("a")).await.unwrap_err();
        assert_eq!(player.difference(true).unwrap().recorded, "nothing");
    }
}
