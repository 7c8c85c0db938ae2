//! One line of a guest and where it goes.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};

use super::{contract::Logging, node::Spoken};
use crate::{contract::Shared, observe::Observation};

/// Longest line in bytes; the rest is cut and marked.
pub const MAX_LINE_BYTES: usize = 8 << 10;
/// Most lines of one invocation; the rest is dropped and counted.
pub const MAX_LINES: u32 = 1_000;

/// Severity, as in `wasi:logging`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the levels of wasi:logging")]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Critical,
}

/// Through what the guest spoke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// `wasi:logging`.
    Log {
        /// Severity.
        level: Level,
        /// What the guest calls its context.
        context: String,
    },
}

/// One line, without its end. Not escaped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Through what.
    pub source: Source,
    /// What.
    pub message: String,
}

/// Who speaks.
#[derive(Debug)]
pub struct Speaker {
    /// The app.
    pub app: Arc<str>,
    /// The component.
    pub component: Arc<str>,
    /// The request, 32 hexadecimal digits; empty when several share the instance, so that none is named for another's line.
    pub request_id: String,
}

/// Where lines go. Must not block.
pub trait Lines: Send + Sync {
    /// Takes one line.
    fn line(&self, speaker: &Speaker, line: Line);
    /// Told once per invocation that said more than it may.
    fn dropped(&self, speaker: &Speaker, lines: u32);
}

/// The voice of one component in one invocation, and then in the next of the same instance: bounded, then passed on.
#[derive(Clone)]
pub struct Voice(Arc<VoiceState>);

struct VoiceState {
    spoken: Arc<Spoken>,
    log: Shared<Logging>,
    count: AtomicU32,
}

impl Voice {
    /// A voice that passes lines on, and lets this observation look on.
    pub fn new(speaker: Arc<Speaker>, lines: Arc<dyn Lines>, observation: &Observation) -> Self {
        let spoken = Arc::new(Spoken::new(speaker, lines));
        let log = observation.around("", Arc::clone(&spoken) as Shared<Logging>);
        Self(Arc::new(VoiceState {
            spoken,
            log,
            count: AtomicU32::new(0),
        }))
    }

    /// The invocation is over: what it said beyond its measure is told, and the next one has a measure of its own.
    pub(crate) fn fall_silent(&self) {
        self.0.tell_dropped();
        self.0.count.store(0, Relaxed);
    }

    /// Speaks from here on for another invocation of the same component.
    pub(crate) fn speak_for(&self, request_id: String) {
        self.0.spoken.speak_for(request_id);
    }

    /// Passes on what was said, one line per line.
    pub fn say(&self, source: Source, text: &str) {
        for line in text.split('\n') {
            if self.0.count.fetch_add(1, Relaxed) < MAX_LINES {
                let line = Line {
                    source: source.clone(),
                    message: cut(line.strip_suffix('\r').unwrap_or(line)),
                };
                // Taken at once or not at all; a guest is not told.
                let _ = self.0.log.call(line).now_or_never();
            }
        }
    }
}

impl VoiceState {
    fn tell_dropped(&self) {
        let dropped = self.count.load(Relaxed).saturating_sub(MAX_LINES);
        if dropped > 0 {
            self.spoken.dropped(dropped);
        }
    }
}

impl Drop for VoiceState {
    fn drop(&mut self) {
        self.tell_dropped();
    }
}

fn cut(line: &str) -> String {
    if line.len() <= MAX_LINE_BYTES {
        return line.to_string();
    }
    let end = (0..=MAX_LINE_BYTES)
        .rev()
        .find(|&end| line.is_char_boundary(end))
        .unwrap_or(0);
    format!(
        "{} … ({} bytes cut)",
        line.get(..end).unwrap_or_default(),
        line.len() - end
    )
}
