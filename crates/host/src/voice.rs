//! Joins the guests' lines to the log.

use std::sync::Arc;

use coracle_capability::logging::{Level, Line, Lines, Source, Speaker};
use coracle_observability::{GuestLine, GuestLog, Level as LogLevel, Source as LogSource};

/// Passes guests' lines to the log of guests.
pub struct Voices(pub Arc<GuestLog>);

impl Lines for Voices {
    fn line(&self, speaker: &Speaker, line: Line) {
        self.0.write(&GuestLine {
            app: &speaker.app,
            component: &speaker.component,
            request_id: &speaker.request_id,
            source: source(&line.source),
            message: line.message.as_bytes(),
        });
    }

    fn dropped(&self, speaker: &Speaker, lines: u32) {
        self.0
            .add_dropped(&speaker.app, &speaker.component, u64::from(lines));
    }
}

fn source(source: &Source) -> LogSource<'_> {
    match source {
        Source::Stdout => LogSource::Stdout,
        Source::Stderr => LogSource::Stderr,
        Source::Log { level, context } => LogSource::Log {
            level: self::level(*level),
            context,
        },
    }
}

fn level(level: Level) -> LogLevel {
    match level {
        Level::Trace => LogLevel::Trace,
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
        Level::Critical => LogLevel::Critical,
    }
}
