//! One line per finished request.
//!
//! In: the outcome of an exchange. Out: a human line, or a JSON object with the keys of [`AccessLog`]. Everything a client chose
//! is escaped and bounded; query, fields and bodies are never logged.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime},
};

use coracle_gateway::Ending;

use crate::{
    escape::{Place, Room, escape},
    json::Object,
    outcome::{Outcome, ending_word},
    timestamp::write_time,
    writer::{Format, LogWriter},
};

const PATH_BYTES: usize = 512;
const METHOD_BYTES: usize = 32;
/// Reasons are words of ours; a longer one is a mistake and is cut.
const REASON_BYTES: usize = 128;
/// Names and routes come from the manifest, which bounds them.
const NAME_BYTES: usize = 1_024;

/// Writes a line for every finished exchange.
///
/// Human: time, status, duration, CPU time, peak memory, method, path, app/component, route, request id, then `reason=…` and
/// how it ended if not well; `-` where there is nothing.
///
/// JSON keys, stable and always in this order: `time` (RFC 3339, UTC, when it finished), `kind` (`"access"`), `status` (0 when
/// none was sent), `method`, `path`, `path_cut` (only when `true`), `app`, `component`, `route`, `duration_us`, `cpu_us`,
/// `memory_peak_bytes`, `response_bytes`, `request_id`, `ending` (`complete`, `client-left`, `aborted`), `reason`. `app`,
/// `component`, `route` and `reason` are left out where there is none.
#[derive(Clone)]
pub struct AccessLog {
    writer: LogWriter,
}

impl AccessLog {
    /// Logs to this writer, in its format.
    pub fn new(writer: LogWriter) -> Self {
        Self { writer }
    }

    pub(crate) fn write(&self, outcome: &Outcome<'_>) {
        self.writer.line(|line| match self.writer.format() {
            Format::Human => human(line, outcome, SystemTime::now()),
            Format::Json => json(line, outcome, SystemTime::now()),
        });
    }
}

fn human(line: &mut String, outcome: &Outcome<'_>, at: SystemTime) {
    write_time(line, at);
    match outcome.status {
        0 => line.push_str("   -"),
        status => _ = write!(line, " {status:3}"),
    }
    right_aligned(line, 8, |line| duration(line, outcome.duration));
    line.push_str(" cpu");
    right_aligned(line, 8, |line| duration(line, outcome.cpu));
    line.push_str(" mem");
    right_aligned(line, 8, |line| memory(line, outcome.peak_memory_bytes));
    word(line, Some(outcome.method), METHOD_BYTES);
    word(line, Some(outcome.path), PATH_BYTES);
    word(line, outcome.app, NAME_BYTES);
    if let Some(component) = outcome.component {
        line.push('/');
        escape(line, component.as_bytes(), Place::Word, NAME_BYTES);
    }
    word(line, outcome.route, NAME_BYTES);
    let _ = write!(line, " {}", outcome.request_id);
    if let Some(reason) = outcome.reason {
        line.push_str(" reason=");
        escape(line, reason.as_bytes(), Place::Word, REASON_BYTES);
    }
    if outcome.ending != Ending::Complete {
        line.push(' ');
        line.push_str(ending_word(outcome.ending));
    }
}

fn json(line: &mut String, outcome: &Outcome<'_>, at: SystemTime) {
    let mut object = Object::begin(line);
    object.time(at);
    object.word("kind", "access");
    object.value("status", outcome.status);
    object.text("method", outcome.method.as_bytes(), METHOD_BYTES);
    if object.text("path", outcome.path.as_bytes(), PATH_BYTES) == Room::Cut {
        object.value("path_cut", true);
    }
    for (key, name) in [
        ("app", outcome.app),
        ("component", outcome.component),
        ("route", outcome.route),
    ] {
        if let Some(name) = name {
            object.text(key, name.as_bytes(), NAME_BYTES);
        }
    }
    object.value("duration_us", outcome.duration.as_micros());
    object.value("cpu_us", outcome.cpu.as_micros());
    object.value("memory_peak_bytes", outcome.peak_memory_bytes);
    object.value("response_bytes", outcome.response_bytes);
    object.word("request_id", outcome.request_id);
    object.word("ending", ending_word(outcome.ending));
    if let Some(reason) = outcome.reason {
        object.text("reason", reason.as_bytes(), REASON_BYTES);
    }
    object.end();
}

/// A space and a word that cannot be taken for two; `-` for none.
fn word(line: &mut String, word: Option<&str>, limit_bytes: usize) {
    line.push(' ');
    let word = word.filter(|word| !word.is_empty()).unwrap_or("-");
    if escape(line, word.as_bytes(), Place::Word, limit_bytes) == Room::Cut {
        line.push('…');
    }
}

/// Three significant digits: `0µs`, `950µs`, `1.21ms`, `30.0s`.
fn duration(line: &mut String, duration: Duration) {
    let micros = duration.as_micros();
    let _ = match micros {
        0..1_000 => write!(line, "{micros}µs"),
        1_000..1_000_000 => three_digits(line, duration.as_secs_f64() * 1e3, "ms"),
        _ => three_digits(line, duration.as_secs_f64(), "s"),
    };
}

fn three_digits(line: &mut String, value: f64, unit: &str) -> std::fmt::Result {
    let decimals = match value {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    write!(line, "{value:.decimals$}{unit}")
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn memory(line: &mut String, bytes: u64) {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    const HUNDRED_MIB: u64 = 100 * MIB;
    const GIB: u64 = 1 << 30;
    let _ = match bytes {
        0 => write!(line, "-"),
        1..MIB => write!(line, "{}KiB", bytes.div_ceil(KIB)),
        MIB..HUNDRED_MIB => write!(line, "{:.1}MiB", bytes as f64 / MIB as f64),
        HUNDRED_MIB..GIB => write!(line, "{}MiB", bytes / MIB),
        _ => write!(line, "{:.1}GiB", bytes as f64 / GIB as f64),
    };
}

fn right_aligned(line: &mut String, width: usize, write: impl FnOnce(&mut String)) {
    let start = line.len();
    write(line);
    let written = line.get(start..).map_or(0, |text| text.chars().count());
    for _ in written..width {
        line.insert(start, ' ');
    }
}

#[cfg(test)]
mod tests;
