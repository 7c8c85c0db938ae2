//! Writes down what one invocation asks and is told.
//!
//! In: calls on their way to a backend. Out: events in the order in which the calls were made. A call is written down when it is made
//! and its answer when it comes, so that concurrent calls keep the guest's order.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use ciborium::Value;
use serde::Serialize;

use super::{event::Event, value::pack};
use crate::{
    contract::{Answer, Backend, Contract, Shared},
    secrets::{Call, DigestKey, Reply, Revealed, SecretValue, Secrets},
};

/// Most events of one recording.
const MAX_EVENTS: usize = 100_000;

/// The events of one invocation.
pub struct Recorder {
    /// Revealed secrets are written down as digests under this key.
    key: DigestKey,
    events: Mutex<Vec<Event>>,
    revealed: Mutex<Vec<SecretValue>>,
    truncated: AtomicBool,
}

/// A call whose answer is still to come.
#[derive(Debug, Clone, Copy)]
pub struct Asked(usize);

impl Recorder {
    /// Nothing noted yet.
    pub fn new(key: DigestKey) -> Self {
        Self {
            key,
            events: Mutex::default(),
            revealed: Mutex::default(),
            truncated: AtomicBool::new(false),
        }
    }

    /// Notes a call.
    pub fn ask(&self, capability: &str, resource: &str, call: &impl Serialize) -> Asked {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        match self.key.during(|| pack(call)) {
            Ok(call) if events.len() < MAX_EVENTS => {
                events.push(Event {
                    capability: capability.into(),
                    resource: resource.into(),
                    call,
                    answer: Value::Null,
                });
                Asked(events.len() - 1)
            }
            _ => {
                self.truncated.store(true, Relaxed);
                Asked(usize::MAX)
            }
        }
    }

    /// Notes the answer to a call.
    pub fn answer(&self, asked: Asked, answer: &impl Serialize) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(event), Ok(answer)) =
            (events.get_mut(asked.0), self.key.during(|| pack(answer)))
        {
            event.answer = answer;
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

    /// What was noted so far, and whether something is missing.
    pub fn take(&self) -> (Vec<Event>, bool) {
        let events =
            std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner));
        (events, self.truncated.load(Relaxed))
    }
}

/// A backend whose calls are written down.
pub struct Record<C: Contract> {
    inner: Shared<C>,
    recorder: Arc<Recorder>,
    resource: String,
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
        Box::pin(async move {
            let asked = self.recorder.ask(C::NAME, &self.resource, &call);
            let answer = self.inner.call(call).await;
            self.recorder.answer(asked, &answer);
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
