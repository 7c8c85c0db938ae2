//! What a running process prints, line by line, while it runs.

use std::{
    io::{BufRead as _, BufReader, Read},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

/// The lines of one stream. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines(Arc<(Mutex<Collected>, Condvar)>);

#[derive(Debug, Default)]
struct Collected {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    /// Collects until the stream ends.
    pub(crate) fn of(stream: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let collecting = lines.clone();
        thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while matches!(reader.read_until(b'\n', &mut line), Ok(read) if read > 0) {
                let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line));
                collecting.change(|read| read.lines.push(text.into_owned()));
                line.clear();
            }
            collecting.change(|read| read.ended = true);
        });
        lines
    }

    /// What came so far.
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.0.lock().unwrap().lines.clone()
    }

    /// The first line that is wanted, also of those that came before; `None` when the stream ends or `limit` is over.
    pub(crate) fn wait_for(
        &self,
        limit: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let deadline = Instant::now() + limit;
        let (read, changed) = &*self.0;
        let mut read = read.lock().unwrap();
        let mut seen = 0;
        loop {
            if let Some(line) = read.lines[seen..].iter().find(|line| wanted(line)) {
                return Some(line.clone());
            }
            seen = read.lines.len();
            let left = deadline.saturating_duration_since(Instant::now());
            if read.ended || left.is_zero() {
                return None;
            }
            read = changed.wait_timeout(read, left).unwrap().0;
        }
    }

    /// Waits until the stream ended.
    pub(crate) fn wait_for_end(&self, limit: Duration) {
        self.wait_for(limit, |_| false);
    }

    fn change(&self, change: impl FnOnce(&mut Collected)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }
}
