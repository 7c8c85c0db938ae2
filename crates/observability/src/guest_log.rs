//! What guests print and log, labelled with who said it.
//!
//! In: lines of any bytes from any guest. Out: one log line per line, escaped, bounded in length and in number per second and
//! component. The label comes first (human) or in keys of its own (JSON), so no guest can speak for another.

use std::{
    fmt::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

use crate::{
    escape::{Place, Room, escape},
    json::Object,
    per_component::PerComponent,
    rate::TokenBucket,
    timestamp::write_time,
    writer::{Format, LogWriter},
};

const LINE_BYTES: usize = 8 << 10;
const CONTEXT_BYTES: usize = 128;
const NAME_BYTES: usize = 256;
/// Components with a rate of their own; those beyond share one.
const COMPONENTS: usize = 16_384;
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// Something a guest said.
#[derive(Debug, Clone, Copy)]
pub struct GuestLine<'a> {
    /// The app it belongs to.
    pub app: &'a str,
    /// The component that spoke.
    pub component: &'a str,
    /// The request it worked on, 32 hexadecimal digits; empty when there was none.
    pub request_id: &'a str,
    /// Through what.
    pub source: Source<'a>,
    /// What, of any bytes. Line ends separate lines of standard output and error; a message of `wasi:logging` is one line.
    pub message: &'a [u8],
}

/// Through what a guest speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'a> {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// `wasi:logging`.
    Log {
        /// Severity.
        level: Level,
        /// What the guest calls its context.
        context: &'a str,
    },
}

/// Severity, as in `wasi:logging`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the levels of wasi:logging")]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Critical,
}

/// How many lines a component may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineRate {
    /// On average.
    pub per_second: u32,
    /// At once.
    pub burst: u32,
}

impl Default for LineRate {
    fn default() -> Self {
        Self {
            per_second: 1_000,
            burst: 2_000,
        }
    }
}

/// Writes what guests say.
pub struct GuestLog {
    writer: LogWriter,
    rate: LineRate,
    meters: PerComponent<Meter>,
    dropped: AtomicU64,
}

/// What one component has left to say, and what it was not allowed to.
struct Meter {
    bucket: Mutex<Option<TokenBucket>>,
    unreported: AtomicU64,
}

impl GuestLog {
    /// Writes to this writer, in its format.
    pub fn new(writer: LogWriter, rate: LineRate) -> Self {
        let meters = PerComponent::new(COMPONENTS, || Meter {
            bucket: Mutex::default(),
            unreported: AtomicU64::new(0),
        });
        Self {
            writer,
            rate,
            meters,
            dropped: AtomicU64::new(0),
        }
    }

    /// Writes what was said, or counts it as dropped. Never blocks.
    pub fn write(&self, line: &GuestLine<'_>) {
        self.write_at(line, Instant::now(), SystemTime::now());
    }

    /// Writes a line of the host about a guest: it is not counted among the guest's.
    pub fn write_unbounded(&self, line: &GuestLine<'_>) {
        self.writer
            .line(|into| compose(into, self.writer.format(), line, SystemTime::now()));
    }

    /// Counts lines that were dropped before they came here (the limit per invocation).
    pub fn add_dropped(&self, app: &str, component: &str, lines: u64) {
        self.dropped.fetch_add(lines, Relaxed);
        self.meters.with(app, component, |meter| {
            meter.unreported.fetch_add(lines, Relaxed)
        });
    }

    /// Lines dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Tells once per second, in one line per component, how many of its lines were dropped. Runs until it is dropped.
    pub async fn report_every_second(&self) {
        loop {
            tokio::time::sleep(REPORT_EVERY).await;
            self.report_dropped();
        }
    }

    /// Tells what was dropped since the last time; also before the end, so that nothing goes untold.
    pub fn report_dropped(&self) {
        if self.dropped() > 0 {
            self.report_dropped_at(SystemTime::now());
        }
    }

    fn write_at(&self, line: &GuestLine<'_>, now: Instant, at: SystemTime) {
        let written_as_one = matches!(line.source, Source::Log { .. });
        self.meters.with(line.app, line.component, |meter| {
            let message = line.message.strip_suffix(b"\n").unwrap_or(line.message);
            for message in message.split(|&byte| byte == b'\n' && !written_as_one) {
                if meter.lets_through(now, self.rate) {
                    let message = message.strip_suffix(b"\r").unwrap_or(message);
                    self.writer.line(|into| {
                        compose(
                            into,
                            self.writer.format(),
                            &GuestLine { message, ..*line },
                            at,
                        )
                    });
                } else {
                    meter.unreported.fetch_add(1, Relaxed);
                    self.dropped.fetch_add(1, Relaxed);
                }
            }
        });
    }

    fn report_dropped_at(&self, at: SystemTime) {
        for (app, component, meter) in self.meters.all() {
            let lines = meter.unreported.swap(0, Relaxed);
            if lines > 0 {
                self.writer.line(|into| {
                    compose_dropped(into, self.writer.format(), (&app, &component), lines, at)
                });
            }
        }
    }
}

impl Meter {
    fn lets_through(&self, now: Instant, rate: LineRate) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = bucket.get_or_insert_with(|| TokenBucket::full(rate.burst));
        bucket.take(now, rate.per_second, rate.burst)
    }
}

/// Human: time, app/component, request id, source, message. JSON: `time`, `kind` (`"guest"`), `app`, `component`,
/// `request_id`, `source` (`stdout`, `stderr`, `log`), `level` and `context` (of `log`), `message`, `cut_from_bytes`.
fn compose(into: &mut String, format: Format, line: &GuestLine<'_>, at: SystemTime) {
    match format {
        Format::Human => human(into, line, at),
        Format::Json => json(into, line, at),
    }
}

fn human(into: &mut String, line: &GuestLine<'_>, at: SystemTime) {
    write_time(into, at);
    label(into, line.app, line.component);
    into.push(' ');
    escape(into, or_dash(line.request_id), Place::Word, NAME_BYTES);
    into.push(' ');
    into.push_str(line.source.word());
    if let Source::Log { level, context } = line.source {
        into.push_str(level.word());
        if !context.is_empty() {
            into.push(' ');
            escape(into, context.as_bytes(), Place::Word, CONTEXT_BYTES);
        }
    }
    into.push_str(": ");
    if escape(into, line.message, Place::Text, LINE_BYTES) == Room::Cut {
        let _ = write!(into, "… (cut from {} bytes)", line.message.len());
    }
}

fn json(into: &mut String, line: &GuestLine<'_>, at: SystemTime) {
    let mut object = begin(into, line.app, line.component, at);
    if !line.request_id.is_empty() {
        object.text("request_id", line.request_id.as_bytes(), NAME_BYTES);
    }
    if let Source::Log { level, context } = line.source {
        object.word("source", "log");
        object.word("level", level.word());
        object.text("context", context.as_bytes(), CONTEXT_BYTES);
    } else {
        object.word("source", line.source.word());
    }
    if object.text("message", line.message, LINE_BYTES) == Room::Cut {
        object.value("cut_from_bytes", line.message.len());
    }
    object.end();
}

/// JSON: `lines_dropped` instead of a message.
fn compose_dropped(
    into: &mut String,
    format: Format,
    (app, component): (&str, &str),
    lines: u64,
    at: SystemTime,
) {
    match format {
        Format::Human => {
            write_time(into, at);
            label(into, app, component);
            let _ = write!(into, " {lines} lines dropped: it says more than it may");
        }
        Format::Json => {
            let mut object = begin(into, app, component, at);
            object.value("lines_dropped", lines);
            object.end();
        }
    }
}

fn begin<'a>(into: &'a mut String, app: &str, component: &str, at: SystemTime) -> Object<'a> {
    let mut object = Object::begin(into);
    object.time(at);
    object.word("kind", "guest");
    object.text("app", app.as_bytes(), NAME_BYTES);
    object.text("component", component.as_bytes(), NAME_BYTES);
    object
}

fn label(into: &mut String, app: &str, component: &str) {
    into.push(' ');
    escape(into, or_dash(app), Place::Word, NAME_BYTES);
    into.push('/');
    escape(into, or_dash(component), Place::Word, NAME_BYTES);
}

fn or_dash(name: &str) -> &[u8] {
    if name.is_empty() {
        b"-"
    } else {
        name.as_bytes()
    }
}

impl Source<'_> {
    fn word(&self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Log { .. } => "",
        }
    }
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

#[cfg(test)]
mod tests;
