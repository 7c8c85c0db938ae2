//! One line of a guest and where it goes.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use serde::{Deserialize, Serialize};

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
    speaker: Mutex<Arc<Speaker>>,
    lines: Arc<dyn Lines>,
    spoken: AtomicU32,
}

impl Voice {
    /// A voice that passes lines on.
    pub fn new(speaker: Arc<Speaker>, lines: Arc<dyn Lines>) -> Self {
        Self(Arc::new(VoiceState {
            speaker: Mutex::new(speaker),
            lines,
            spoken: AtomicU32::new(0),
        }))
    }

    /// The invocation is over: what it said beyond its measure is told, and the next one has a measure of its own.
    pub(crate) fn fall_silent(&self) {
        self.0.tell_dropped();
        self.0.spoken.store(0, Relaxed);
    }

    /// Speaks from here on for another invocation of the same component.
    pub(crate) fn speak_for(&self, request_id: String) {
        let mut speaker = self.0.speaker();
        *speaker = Arc::new(Speaker {
            app: Arc::clone(&speaker.app),
            component: Arc::clone(&speaker.component),
            request_id,
        });
    }

    /// Passes on what was said, one line per line.
    pub fn say(&self, source: Source, text: &str) {
        let speaker = Arc::clone(&self.0.speaker());
        for line in text.split('\n') {
            if self.0.spoken.fetch_add(1, Relaxed) < MAX_LINES {
                self.0.lines.line(
                    &speaker,
                    Line {
                        source: source.clone(),
                        message: cut(line.strip_suffix('\r').unwrap_or(line)),
                    },
                );
            }
        }
    }
}

impl VoiceState {
    fn speaker(&self) -> std::sync::MutexGuard<'_, Arc<Speaker>> {
        self.speaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_dropped(&self) {
        let dropped = self.spoken.load(Relaxed).saturating_sub(MAX_LINES);
        if dropped > 0 {
            let speaker = Arc::clone(&self.speaker());
            self.lines.dropped(&speaker, dropped);
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
