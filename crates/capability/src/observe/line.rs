//! What a guest says, as calls without an answer.

use std::sync::Arc;

use super::Observation;
use crate::logging::{Line, Lines, Speaker};

/// Passes lines on, and writes them down or compares them.
pub struct Observed {
    observation: Observation,
    inner: Arc<dyn Lines>,
    resource: Arc<str>,
}

impl Observed {
    /// Observes the lines of one invocation.
    pub fn new(observation: Observation, inner: Arc<dyn Lines>) -> Self {
        Self {
            observation,
            inner,
            resource: "".into(),
        }
    }
}

impl Lines for Observed {
    fn line(&self, speaker: &Speaker, line: Line) {
        match &self.observation {
            Observation::Record(recorder) => recorder.note("log", &self.resource, &line, &true),
            Observation::Replay(player) => _ = player.play::<bool>("log", "", &line),
            Observation::None | Observation::Hold(_) => {}
        }
        self.inner.line(speaker, line);
    }

    fn dropped(&self, speaker: &Speaker, lines: u32) {
        self.inner.dropped(speaker, lines);
    }
}
