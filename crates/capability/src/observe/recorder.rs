//! Writes down what one invocation asks and is told.
//!
//! In: calls on their way to a backend. Out: events in the order in which the calls were made, and the order in which the guest was given the
//! answers. All of it goes into one buffer, within the room that the node has for recordings; what no longer fits is cut, and marked.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use serde::Serialize;

use super::{
    encode::encode,
    event::{Cut, Event, Step, Streams},
    turns::{Seen, Ticket, Turns},
    value::Encoded,
};
use crate::{
    contract::{Answer, Backend, Contract, Shared},
    secrets::{Call, DigestKey, Reply, Revealed, SecretValue, Secrets},
};

/// Most events of one recording.
const MAX_EVENTS: usize = 100_000;
/// Most bytes of one recording.
const MAX_BYTES: usize = 64 << 20;
/// What an event and a step occupy beside what was written.
const EVENT_BYTES: usize = size_of::<Noted>();
const STEP_BYTES: usize = size_of::<(usize, Step)>();

/// The memory that all recordings of a node may take together, those that wait to be written included.
#[derive(Debug)]
pub struct Room(AtomicUsize);

impl Room {
    /// So many bytes.
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(bytes)))
    }

    /// Begins a recording.
    pub fn share(self: &Arc<Self>) -> Share {
        Share {
            room: Arc::clone(self),
            taken: 0,
        }
    }
}

/// The room that one recording has taken. Dropped, it is free again.
#[derive(Debug)]
pub struct Share {
    room: Arc<Room>,
    taken: usize,
}

impl Share {
    /// Takes so many bytes more, unless the recording or the node has no room for them.
    #[must_use]
    pub fn take(&mut self, bytes: usize) -> bool {
        if self.taken.saturating_add(bytes) > MAX_BYTES {
            return false;
        }
        let left = self
            .room
            .0
            .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes));
        if left.is_ok() {
            self.taken += bytes;
        }
        left.is_ok()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.room.0.fetch_add(self.taken, Relaxed);
    }
}

/// What one invocation asked and was told.
pub struct Recorder {
    /// Revealed secrets are written down as digests under this key.
    key: DigestKey,
    turns: Arc<Turns>,
    tape: Mutex<Tape>,
    revealed: Mutex<Vec<SecretValue>>,
}

struct Tape {
    written: Vec<u8>,
    events: Vec<Noted>,
    order: Vec<(usize, Step)>,
    cut: Vec<Cut>,
    share: Option<Share>,
}

/// An event whose values are in the buffer.
struct Noted {
    capability: &'static str,
    resource: Arc<str>,
    call: Range<usize>,
    answer: Option<Range<usize>>,
    streams: Option<Box<Streams>>,
}

/// A call whose answer is still to come.
#[derive(Debug)]
pub struct Asked {
    number: usize,
    ticket: Ticket,
}

/// What was noted.
#[derive(Debug)]
pub struct Taken {
    /// The calls.
    pub events: Vec<Event>,
    /// What the guest was given, in order.
    pub order: Vec<(usize, Step)>,
    /// What is missing.
    pub cut: Vec<Cut>,
    /// The room that all this takes.
    pub share: Option<Share>,
}

/// Stands for an event that there was no room for.
const NONE: usize = usize::MAX;

impl Recorder {
    /// Nothing noted yet.
    pub fn new(key: DigestKey, share: Share) -> Self {
        Self {
            key,
            turns: Turns::as_they_arrive(),
            tape: Mutex::new(Tape {
                written: Vec::new(),
                events: Vec::new(),
                order: Vec::new(),
                cut: Vec::new(),
                share: Some(share),
            }),
            revealed: Mutex::default(),
        }
    }

    /// In which order the guest is given what it waits for.
    pub fn turns(&self) -> &Arc<Turns> {
        &self.turns
    }

    /// Notes a call that is answered later.
    pub fn ask(
        &self,
        capability: &'static str,
        resource: &Arc<str>,
        call: &impl Serialize,
    ) -> Asked {
        let ticket = self.turns.begin(None);
        let mut tape = self.tape();
        let number = self.event(&mut tape, capability, resource, call);
        Asked { number, ticket }
    }

    /// Notes a call that was answered at once: nobody waited.
    pub fn note(
        &self,
        capability: &'static str,
        resource: &Arc<str>,
        call: &impl Serialize,
        answer: &impl Serialize,
    ) {
        let mut tape = self.tape();
        let number = self.event(&mut tape, capability, resource, call);
        self.answered(&mut tape, number, answer);
    }

    /// Notes the answer to a call, and waits until the guest may have it.
    pub async fn answer(&self, asked: Asked, answer: &impl Serialize, seen: Seen) {
        let Asked { number, ticket } = asked;
        self.answered(&mut self.tape(), number, answer);
        ticket.turn(seen).await;
        self.given(number, Step::Answer);
    }

    /// A call whose bytes go and come beside it.
    pub fn streams(&self, asked: &Asked) -> usize {
        if let Some(event) = self.tape().events.get_mut(asked.number) {
            event.streams = Some(Box::default());
        }
        asked.number
    }

    /// Notes bytes that were taken of what the guest sends with this call, or with `None` that all was.
    pub fn sent(&self, event: usize, bytes: Option<&[u8]>) {
        let mut tape = self.tape();
        let fits = tape.fits(bytes.map_or(0, <[u8]>::len), Cut::Sent);
        let Some(streams) = tape.streams(event) else {
            return;
        };
        match bytes {
            Some(bytes) if fits => streams.sent.extend_from_slice(bytes),
            Some(_) => {}
            // What is cut is compared as far as it goes.
            None => streams.sent_whole = fits,
        }
    }

    /// Notes bytes that the guest was given of what this call receives.
    pub fn received(&self, event: usize, bytes: &[u8]) {
        let mut tape = self.tape();
        if !tape.fits(bytes.len() + STEP_BYTES, Cut::Received) {
            return;
        }
        if let Some(streams) = tape.streams(event) {
            streams.received.extend_from_slice(bytes);
            tape.order.push((event, Step::Piece(bytes.len())));
        }
    }

    /// Notes that the guest was given the end of what this call receives.
    pub fn ended(&self, event: usize, end: &impl Serialize) {
        let end = self.key.during(|| Encoded::of(end));
        let mut tape = self.tape();
        if let (Some(streams), Ok(end)) = (tape.streams(event), end) {
            streams.end = Some(end);
            tape.order.push((event, Step::End));
        }
    }

    /// Notes that the guest knows this value from now on: it may write it anywhere.
    pub fn reveal(&self, value: &SecretValue) {
        self.revealed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(value.clone());
    }

    /// Every revealed value with what a replay will hand out for it.
    pub fn revealed(&self) -> Vec<(SecretValue, SecretValue)> {
        let revealed = self.revealed.lock().unwrap_or_else(PoisonError::into_inner);
        revealed
            .iter()
            .map(|value| (value.clone(), value.fingerprint(&self.key).stand_in()))
            .collect()
    }

    /// Takes room for something of the recording that is kept elsewhere; `false` when it is cut from here on.
    pub fn fits(&self, bytes: usize, part: Cut) -> bool {
        self.tape().fits(bytes, part)
    }

    /// What was noted so far.
    pub fn take(&self) -> Taken {
        let mut tape = self.tape();
        let written = Bytes::from(std::mem::take(&mut tape.written));
        let value = |range: Range<usize>| Encoded::written(written.slice(range));
        let events = std::mem::take(&mut tape.events);
        Taken {
            events: events
                .into_iter()
                .map(|noted| Event {
                    capability: noted.capability.into(),
                    resource: noted.resource.as_ref().into(),
                    call: value(noted.call),
                    answer: noted.answer.map(value),
                    streams: noted.streams.map(|streams| *streams),
                })
                .collect(),
            order: std::mem::take(&mut tape.order),
            cut: std::mem::take(&mut tape.cut),
            share: tape.share.take(),
        }
    }

    fn event(
        &self,
        tape: &mut Tape,
        capability: &'static str,
        resource: &Arc<str>,
        call: &impl Serialize,
    ) -> usize {
        // What is there is a beginning: nothing after the first that is missing.
        if tape.cut.contains(&Cut::Calls) || tape.events.len() >= MAX_EVENTS {
            tape.mark(Cut::Calls);
            return NONE;
        }
        let Some(call) = self.write(tape, call, EVENT_BYTES) else {
            return NONE;
        };
        tape.events.push(Noted {
            capability,
            resource: Arc::clone(resource),
            call,
            answer: None,
            streams: None,
        });
        tape.events.len() - 1
    }

    fn answered(&self, tape: &mut Tape, number: usize, answer: &impl Serialize) {
        if number >= tape.events.len() {
            return;
        }
        let answer = self.write(tape, answer, 0);
        if let Some(event) = tape.events.get_mut(number) {
            event.answer = answer;
        }
    }

    fn given(&self, number: usize, step: Step) {
        let mut tape = self.tape();
        if number < tape.events.len() && tape.fits(STEP_BYTES, Cut::Calls) {
            tape.order.push((number, step));
        }
    }

    fn write(&self, tape: &mut Tape, value: &impl Serialize, more: usize) -> Option<Range<usize>> {
        let from = tape.written.len();
        let written = self.key.during(|| encode(value, &mut tape.written));
        let to = tape.written.len();
        if written.is_ok() && tape.fits(to - from + more, Cut::Calls) {
            return Some(from..to);
        }
        tape.mark(Cut::Calls);
        tape.written.truncate(from);
        None
    }

    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tape {
    fn fits(&mut self, bytes: usize, part: Cut) -> bool {
        let fits =
            !self.cut.contains(&part) && self.share.as_mut().is_none_or(|share| share.take(bytes));
        if !fits {
            self.mark(part);
        }
        fits
    }

    fn mark(&mut self, part: Cut) {
        if !self.cut.contains(&part) {
            self.cut.push(part);
        }
    }

    fn streams(&mut self, event: usize) -> Option<&mut Streams> {
        self.events.get_mut(event)?.streams.as_deref_mut()
    }
}

/// A backend whose calls are written down.
pub struct Record<C: Contract> {
    inner: Shared<C>,
    recorder: Arc<Recorder>,
    resource: Arc<str>,
}

impl<C: Contract> Record<C> {
    /// Writes down every call of `inner` under this name.
    pub fn new(inner: Shared<C>, recorder: Arc<Recorder>, resource: &str) -> Self {
        Self {
            inner,
            recorder,
            resource: resource.into(),
        }
    }
}

impl<C: Contract> Backend<C> for Record<C> {
    fn call(&self, call: C::Call) -> Answer<'_, C> {
        if C::AT_ONCE {
            return Box::pin(async move {
                let answer = self.inner.call(call.clone()).await;
                let (recorder, resource) = (&self.recorder, &self.resource);
                recorder.note(C::NAME, resource, &call, &answer);
                answer
            });
        }
        let asked = self.recorder.ask(C::NAME, &self.resource, &call);
        Box::pin(async move {
            let answer = self.inner.call(call).await;
            self.recorder.answer(asked, &answer, Seen::AtOnce).await;
            answer
        })
    }
}

/// A secret whose revealed values are noted.
pub struct Revealing {
    inner: Shared<Secrets>,
    recorder: Arc<Recorder>,
}

impl Revealing {
    /// Notes every value that `inner` reveals.
    pub fn new(inner: Shared<Secrets>, recorder: Arc<Recorder>) -> Self {
        Self { inner, recorder }
    }
}

impl Backend<Secrets> for Revealing {
    fn call(&self, call: Call) -> Answer<'_, Secrets> {
        Box::pin(async move {
            let answer = self.inner.call(call).await;
            if let Ok(Reply::Revealed(Revealed::Value(value))) = &answer {
                self.recorder.reveal(value);
            }
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder(room: usize) -> Recorder {
        Recorder::new(DigestKey::new([7; 32]), Room::new(room).share())
    }

    fn note(recorder: &Recorder, call: &str) {
        recorder.note("log", &"".into(), &call, &true);
    }

    #[test]
    fn what_no_longer_fits_is_cut_and_marked_and_what_is_there_is_a_beginning() {
        let recorder = recorder(1_000);
        for number in 0..100 {
            note(
                &recorder,
                &format!("a line of some length, number {number}"),
            );
        }
        note(&recorder, "short");
        let taken = recorder.take();
        assert!(
            (1..20).contains(&taken.events.len()),
            "{}",
            taken.events.len()
        );
        assert_eq!(taken.cut, [Cut::Calls]);
        for (number, event) in taken.events.iter().enumerate() {
            let call: String = event.call.read().unwrap();
            assert!(call.ends_with(&format!(" {number}")), "{call}");
        }
    }

    #[test]
    fn all_recordings_of_a_node_share_its_room_and_give_it_back() {
        let room = Room::new(10_000);
        let recorder = || Recorder::new(DigestKey::new([7; 32]), room.share());
        let (first, second) = (recorder(), recorder());
        note(&first, &"x".repeat(8_000));
        note(&second, &"x".repeat(8_000));
        assert_eq!(second.take().cut, [Cut::Calls]);
        let written = first.take();
        assert!(written.cut.is_empty());
        drop(written);
        let third = recorder();
        note(&third, &"x".repeat(8_000));
        assert!(third.take().cut.is_empty());
    }

    #[test]
    fn a_body_that_does_not_fit_keeps_its_beginning() {
        let recorder = recorder(2_000);
        let asked = recorder.ask("http", &"".into(), &"GET");
        let event = recorder.streams(&asked);
        for _ in 0..10 {
            recorder.sent(event, Some(&[1; 400]));
        }
        recorder.sent(event, None);
        let taken = recorder.take();
        let streams = taken.events[0].streams.as_ref().unwrap();
        assert_eq!(streams.sent.len() % 400, 0);
        assert!((400..2_000).contains(&streams.sent.len()));
        assert!(!streams.sent_whole);
        assert_eq!(taken.cut, [Cut::Sent]);
        assert!(!Cut::Sent.prevents_replay() && Cut::Received.prevents_replay());
    }
}
