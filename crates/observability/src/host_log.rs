//! What the host's own code reports (`tracing` events), in the same log and form as everything else.
//!
//! In: events. Out: one escaped line each; an event may quote a client or a guest. Absent: spans, for now; filtering, which is
//! the subscriber's (`EnvFilter`).

use std::{
    fmt::{self, Write as _},
    time::SystemTime,
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::layer::{Context, Layer};

use crate::{
    escape::{Place, Room, escape},
    json::Object,
    timestamp::write_time,
    writer::{Format, LogWriter},
};

const LINE_BYTES: usize = 8 << 10;

/// A layer of `tracing-subscriber` that writes events to the log.
///
/// Human: time, level, message, fields, target. JSON keys: `time`, `kind` (`"host"`), `level`, `target`, `message`, and
/// `fields` (as text, only when there are some).
pub struct HostLog {
    writer: LogWriter,
}

impl HostLog {
    /// Writes to this writer, in its format.
    pub fn new(writer: LogWriter) -> Self {
        Self { writer }
    }
}

impl<S: Subscriber> Layer<S> for HostLog {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        self.writer.line(|line| match self.writer.format() {
            Format::Human => human(line, event.metadata(), &said, SystemTime::now()),
            Format::Json => json(line, event.metadata(), &said, SystemTime::now()),
        });
    }
}

#[derive(Default)]
struct Said {
    message: String,
    fields: String,
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(
                self.fields,
                "{}{name}={value:?}",
                if self.fields.is_empty() { "" } else { " " }
            ),
        };
    }
}

fn human(line: &mut String, event: &Metadata<'_>, said: &Said, at: SystemTime) {
    write_time(line, at);
    let _ = write!(line, " {:5}", event.level().as_str());
    for text in [said.message.as_str(), said.fields.as_str()] {
        if !text.is_empty() {
            line.push(' ');
            if escape(line, text.as_bytes(), Place::Text, LINE_BYTES) == Room::Cut {
                line.push('…');
            }
        }
    }
    let _ = write!(line, " ({})", event.target());
}

fn json(line: &mut String, event: &Metadata<'_>, said: &Said, at: SystemTime) {
    let mut object = Object::begin(line);
    object.time(at);
    object.word("kind", "host");
    object.word("level", level(*event.level()));
    object.text("target", event.target().as_bytes(), LINE_BYTES);
    object.text("message", said.message.as_bytes(), LINE_BYTES);
    if !said.fields.is_empty() {
        object.text("fields", said.fields.as_bytes(), LINE_BYTES);
    }
    object.end();
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tracing_subscriber::prelude::*;

    use super::*;

    #[test]
    fn an_event_that_quotes_a_guest_stays_one_escaped_line() {
        for (format, expected) in [
            (
                Format::Human,
                " WARN  refused \\x1b[31m field=\"a\\\\nb\" n=7 (room)",
            ),
            (
                Format::Json,
                ",\"kind\":\"host\",\"level\":\"warn\",\"target\":\"room\",\"message\":\"refused \\u001b[31m\",\"fields\":\"field=\\\"a\\\\nb\\\" n=7\"}",
            ),
        ] {
            let file = tempfile::NamedTempFile::new().unwrap();
            let writer = LogWriter::new(file.reopen().unwrap(), format).unwrap();
            let subscriber = tracing_subscriber::registry().with(HostLog::new(writer.clone()));
            tracing::subscriber::with_default(subscriber, || {
                tracing::warn!(target: "room", field = "a\nb", n = 7, "refused {}", "\x1b[31m");
            });
            assert!(writer.flush(Duration::from_secs(5)));
            let text = std::fs::read_to_string(file.path()).unwrap();
            assert!(text.ends_with(&format!("{expected}\n")), "{text}");
        }
    }
}
