//! Watching one invocation from the layer of values: recording what it asked and was told, answering from a recording, holding its
//! writes back.
//!
//! In: calls and answers of any contract. Out: a [`Recording`] that can be stored and replayed, the first call that differs, or the
//! list of effects. An invocation that nobody observes carries none of this: it is attached per request, where a guest opens a
//! resource or where its clocks are made.

mod encode;
pub mod event;
pub mod file;
pub mod hold;
pub mod player;
pub mod recorder;
pub mod redact;
pub mod snapshot;
pub mod turns;
pub mod value;

use std::sync::Arc;

pub use event::{Answered, Cut, Event, Message, Recording, Request, Step, Streams};
pub use hold::{Effect, Effects};
pub use player::{Difference, Player};
pub use recorder::{Recorder, Room, Share};
pub use turns::Turns;

use crate::{
    contract::{Contract, Shared},
    keyvalue::{Door, KeyValue, overlay::Overlay},
    secrets::Secrets,
};

/// What is done with the calls of one invocation.
#[derive(Clone, Default)]
pub enum Observation {
    /// Nothing: the plain path.
    #[default]
    None,
    /// Every call and answer is written down.
    Record(Arc<Recorder>),
    /// Every call is answered from a recording; no backend is reached.
    Replay(Arc<Player>),
    /// Reads pass; writes stay in this invocation and are listed.
    Hold(Arc<Effects>),
}

impl Observation {
    /// In which order an invocation is given what it waits for, when that matters.
    pub fn turns(&self) -> Option<&Arc<Turns>> {
        match self {
            Observation::None | Observation::Hold(_) => None,
            Observation::Record(recorder) => Some(recorder.turns()),
            Observation::Replay(player) => Some(player.turns()),
        }
    }

    /// Puts the layer of this observation around a bucket that is being opened.
    pub fn bucket(&self, name: &str, door: &Door) -> Shared<KeyValue> {
        match self {
            Observation::None => door.open(),
            Observation::Record(recorder) => recorded(recorder, name, door.open()),
            Observation::Replay(player) => {
                Arc::new(player::Replay::<KeyValue>::new(Arc::clone(player), name))
            }
            // Below the grant: what it refuses is refused, and is no effect.
            Observation::Hold(effects) => {
                door.open_over(|backend| effects.bucket(name, || Overlay::new(backend)))
            }
        }
    }

    /// Puts the layer of this observation around something that is no named resource, as a clock is; `name` tells it from others of its kind.
    pub fn around<C: Contract>(&self, name: &str, inner: Shared<C>) -> Shared<C> {
        match self {
            Observation::None | Observation::Hold(_) => inner,
            Observation::Record(recorder) => recorded(recorder, name, inner),
            Observation::Replay(player) => {
                Arc::new(player::Replay::<C>::new(Arc::clone(player), name))
            }
        }
    }

    /// Puts the layer of this observation around a secret that is being got.
    pub fn secret(&self, name: &str, secret: Shared<Secrets>) -> Shared<Secrets> {
        match self {
            Observation::None | Observation::Hold(_) => secret,
            Observation::Record(recorder) => {
                let noted = Arc::new(recorder::Revealing::new(secret, Arc::clone(recorder)));
                recorded::<Secrets>(recorder, name, noted)
            }
            Observation::Replay(player) => Arc::new(player::Telling::new(Arc::clone(player), name)),
        }
    }
}

fn recorded<C: Contract>(recorder: &Arc<Recorder>, name: &str, inner: Shared<C>) -> Shared<C> {
    Arc::new(recorder::Record::new(inner, Arc::clone(recorder), name))
}
