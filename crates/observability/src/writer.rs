//! Takes whole log lines and writes them elsewhere, on a thread of its own.
//!
//! In: lines, from any thread. Out: the same lines to one sink, many per write. Whoever logs never waits for the sink: when it
//! does not keep up, lines are lost and counted, and the loss is told in the log itself as soon as it flows again. Absent:
//! rotation; rename the file and restart, or log to a pipe.

use std::{
    cell::Cell,
    fmt::Write as _,
    io::{self, Write},
    os::fd::AsFd as _,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use crate::{json::Object, timestamp::write_time};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For a person at a terminal.
    Human,
    /// One JSON object per line.
    Json,
}

/// What waits for the sink is bounded by this.
const CAPACITY_BYTES: usize = 4 << 20;
/// How long a first line waits for others. A wake-up costs a system call; this way there are at most 200 per second.
const LINGER: Duration = Duration::from_millis(5);
/// How soon a sink in non-blocking mode is tried again (a terminal that another process set so).
const RETRY: Duration = Duration::from_millis(5);
/// A thread's line buffer above this size is given back.
const SCRATCH_BYTES: usize = 32 << 10;

thread_local! {
    /// The line a thread is composing: its memory is used again, so that logging allocates nothing.
    static SCRATCH: Cell<String> = const { Cell::new(String::new()) };
}

/// A handle to the writer; clones share it. When the last one is dropped, the thread writes what is left and ends.
#[derive(Clone)]
pub struct LogWriter(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    format: Format,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// To the thread: there is something to do.
    wake: Condvar,
    /// From the thread: everything is written.
    drained: Condvar,
    lost: AtomicU64,
    capacity_bytes: usize,
}

#[derive(Default)]
struct State {
    queue: Vec<u8>,
    /// Lines lost and not yet told.
    lost: u64,
    writing: bool,
    /// Somebody waits for the queue to drain.
    hurry: bool,
    closed: bool,
}

impl LogWriter {
    /// Writes to standard error, past the lock of the standard library: that one would be held while the sink blocks.
    ///
    /// # Errors
    /// When the descriptor cannot be duplicated or the thread cannot be started.
    pub fn stderr(format: Format) -> io::Result<Self> {
        Self::new(
            std::fs::File::from(io::stderr().as_fd().try_clone_to_owned()?),
            format,
        )
    }

    /// Writes to `sink`: a file opened for appending, a pipe. Only the writer's thread touches it, so it may block.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn new(sink: impl Write + Send + 'static, format: Format) -> io::Result<Self> {
        Self::with_capacity(sink, format, CAPACITY_BYTES)
    }

    pub(crate) fn with_capacity(
        sink: impl Write + Send + 'static,
        format: Format,
        capacity_bytes: usize,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            capacity_bytes,
            ..Shared::default()
        });
        let drain = Drain {
            shared: Arc::clone(&shared),
            sink,
            format,
            torn: false,
        };
        thread::Builder::new()
            .name("log".into())
            .spawn(move || drain.run())?;
        Ok(Self(Arc::new(Handle { shared, format })))
    }

    /// How lines for this writer are to look.
    pub fn format(&self) -> Format {
        self.0.format
    }

    /// Queues one line, which `compose` appends to an empty string without a line end. Never blocks on the sink.
    pub fn line(&self, compose: impl FnOnce(&mut String)) {
        let mut line = SCRATCH.try_with(Cell::take).unwrap_or_default();
        line.clear();
        compose(&mut line);
        debug_assert!(
            !line.contains('\n'),
            "whoever composes a line escapes it: {line:?}"
        );
        line.push('\n');
        self.0.shared.push(line.as_bytes());
        if line.capacity() <= SCRATCH_BYTES {
            let _ = SCRATCH.try_with(|scratch| scratch.set(line));
        }
    }

    /// Lines lost since the start because the sink was blocked or failed.
    pub fn lost(&self) -> u64 {
        self.0.shared.lost.load(Relaxed)
    }

    /// Waits until everything queued is written, at most this long. Says whether it is.
    pub fn flush(&self, within: Duration) -> bool {
        let shared = &self.0.shared;
        let deadline = Instant::now() + within;
        let mut state = shared.lock();
        while state.writing || !state.queue.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state.hurry = true;
            shared.wake.notify_one();
            state = shared
                .drained
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        let (before, after) = (state.queue.len(), state.queue.len() + line.len());
        if after > self.capacity_bytes {
            state.lost += 1;
            drop(state);
            self.lost.fetch_add(1, Relaxed);
            return;
        }
        state.queue.extend_from_slice(line);
        drop(state);
        // The thread sleeps on an empty queue, and dozes until it is half full.
        let half = self.capacity_bytes / 2;
        if before == 0 || (before < half && after >= half) {
            self.wake.notify_one();
        }
    }

    /// Waits for lines and swaps them for the empty `batch`. `None` is the end; a number is how many were lost before.
    fn take(&self, batch: &mut Vec<u8>) -> Option<u64> {
        let mut state = self.lock();
        state.writing = false;
        if state.queue.is_empty() {
            state.hurry = false;
            self.drained.notify_all();
        }
        let idle = |state: &mut State| state.queue.is_empty() && !state.closed;
        state = self
            .wake
            .wait_while(state, idle)
            .unwrap_or_else(PoisonError::into_inner);
        let half = self.capacity_bytes / 2;
        let dozes = |state: &mut State| !state.hurry && !state.closed && state.queue.len() < half;
        state = self
            .wake
            .wait_timeout_while(state, LINGER, dozes)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        if state.queue.is_empty() {
            return None;
        }
        std::mem::swap(&mut state.queue, batch);
        state.writing = true;
        Some(std::mem::take(&mut state.lost))
    }

    fn lose(&self, lines: u64) {
        self.lock().lost += lines;
        self.lost.fetch_add(lines, Relaxed);
    }
}

/// The thread's side.
struct Drain<W> {
    shared: Arc<Shared>,
    sink: W,
    format: Format,
    /// The sink failed in the middle of a line.
    torn: bool,
}

impl<W: Write> Drain<W> {
    fn run(mut self) {
        let mut batch = Vec::new();
        while let Some(lost) = self.shared.take(&mut batch) {
            if lost > 0 {
                batch.extend_from_slice(loss(self.format, lost, SystemTime::now()).as_bytes());
            }
            self.write(&batch);
            batch.clear();
        }
        let _ = self.sink.flush();
    }

    /// Writes a batch. A full disk or a closed pipe costs its lines, never the node.
    fn write(&mut self, batch: &[u8]) {
        if self.torn && self.write_all(b"\n").is_ok() {
            self.torn = false;
        }
        if let Err(unwritten) = self.write_all(batch) {
            let written = batch.len() - unwritten.len();
            self.torn = batch
                .get(..written)
                .and_then(<[u8]>::last)
                .map_or(self.torn, |&last| last != b'\n');
            let lines = unwritten.iter().filter(|&&byte| byte == b'\n').count();
            self.shared.lose(u64::try_from(lines).unwrap_or(u64::MAX));
        }
    }

    /// Like the standard library's, but says what was not written, and waits where the sink does not.
    fn write_all<'a>(&mut self, mut bytes: &'a [u8]) -> Result<(), &'a [u8]> {
        while !bytes.is_empty() {
            match self.sink.write(bytes) {
                Ok(written @ 1..) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(RETRY),
                Ok(0) | Err(_) => return Err(bytes),
            }
        }
        Ok(())
    }
}

fn loss(format: Format, lines: u64, at: SystemTime) -> String {
    let mut line = String::new();
    match format {
        Format::Human => {
            write_time(&mut line, at);
            let _ = write!(
                line,
                " WARN {lines} lines lost: the log was written faster than it was taken"
            );
        }
        Format::Json => {
            let mut object = Object::begin(&mut line);
            object.time(at);
            object.word("kind", "host");
            object.word("level", "warn");
            object.word(
                "message",
                "lines lost: the log was written faster than it was taken",
            );
            object.value("lines_lost", lines);
            object.end();
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests;
