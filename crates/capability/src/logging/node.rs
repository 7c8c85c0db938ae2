//! The log of the node as a backend: a line is passed on with the name of whoever speaks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    contract::{Logging, Reply},
    line::{Line, Lines, Speaker},
};
use crate::contract::{Answer, Backend, Support};

/// What one component says to the log of the node.
pub struct Spoken {
    speaker: Mutex<Arc<Speaker>>,
    lines: Arc<dyn Lines>,
}

impl Spoken {
    /// It takes every line; what it has no room for, it counts.
    pub const SUPPORT: Support = Support {
        backend: "node",
        unsupported: &["an error when it is full"],
    };

    /// Lines of this speaker.
    pub fn new(speaker: Arc<Speaker>, lines: Arc<dyn Lines>) -> Self {
        Self {
            speaker: Mutex::new(speaker),
            lines,
        }
    }

    fn guard(&self) -> MutexGuard<'_, Arc<Speaker>> {
        self.speaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next lines are of another invocation of the same component.
    pub(crate) fn speak_for(&self, request_id: String) {
        let mut speaker = self.guard();
        *speaker = Arc::new(Speaker {
            app: Arc::clone(&speaker.app),
            component: Arc::clone(&speaker.component),
            request_id,
        });
    }

    /// So many lines were not passed on.
    pub(crate) fn dropped(&self, lines: u32) {
        let speaker = Arc::clone(&self.guard());
        self.lines.dropped(&speaker, lines);
    }
}

impl Backend<Logging> for Spoken {
    fn call(&self, line: Line) -> Answer<'_, Logging> {
        let speaker = Arc::clone(&self.guard());
        self.lines.line(&speaker, line);
        Box::pin(async { Ok(Reply::Taken) })
    }
}
