//! What every log must do, as one suite.
//!
//! In: an empty log with room for 64 lines, how to look into it, and what its backend says it cannot do. Out: the row of the table, or a panic that
//! names the expectation. Run by the tests of each backend.
#![expect(
    clippy::panic,
    reason = "a failed expectation ends the test that runs the suite"
)]

use futures_util::FutureExt as _;

use super::{
    contract::{Error, Logging},
    line::{Level, Line, Source},
};
use crate::contract::{Shared, Support};

/// The columns of the table.
pub const ABILITIES: [&str; 2] = ["lines", "an error when it is full"];

/// Lines that an empty log of this suite has room for.
pub const ROOM: usize = 64;

/// Runs the suite and answers with the backend's row of the table under [`ABILITIES`].
pub fn run(log: &Shared<Logging>, kept: impl Fn() -> Vec<Line>, support: &Support) -> String {
    let said = lines();
    for line in &said {
        match log.call(line.clone()).now_or_never() {
            Some(Ok(_)) => {}
            other => panic!("a log takes {line:?} at once, and it was {other:?}"),
        }
    }
    let kept_lines = kept();
    if kept_lines != said {
        panic!("it was told {said:?} and kept {kept_lines:?}");
    }
    let mut full = None;
    for line in said.iter().cycle().take(2 * ROOM) {
        match log.call(line.clone()).now_or_never() {
            Some(Ok(_)) => {}
            Some(Err(error)) => full = Some(error),
            None => panic!("a log answers at once"),
        }
    }
    let refuses = full == Some(Error::Full);
    if refuses != support.has("an error when it is full") || kept().len() < said.len() {
        panic!("full, it answers {full:?}, and the backend says otherwise");
    }
    support.row(&ABILITIES)
}

/// Every source and level, and what a text may be.
fn lines() -> Vec<Line> {
    let levels = [
        Level::Trace,
        Level::Debug,
        Level::Info,
        Level::Warn,
        Level::Error,
        Level::Critical,
    ];
    let log = |level| Source::Log {
        level,
        context: "orders".into(),
    };
    let sources = [Source::Stdout, Source::Stderr].into_iter();
    let sources = sources.chain(levels.map(log));
    sources
        .flat_map(|source| {
            ["", "taken", "ein Maß ☃", "\u{1b}[31m"].map(|message| Line {
                source: source.clone(),
                message: message.into(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;
    use crate::logging::{Lines, Memory, Speaker, Spoken};

    #[test]
    fn the_log_in_memory_conforms() {
        let memory = Arc::new(Memory::holding(ROOM));
        let log: Shared<Logging> = Arc::clone(&memory) as _;
        run(&log, || memory.lines(), &Memory::SUPPORT);
    }

    #[derive(Default)]
    struct Kept(Mutex<Vec<(String, Line)>>);

    impl Lines for Kept {
        fn line(&self, speaker: &Speaker, line: Line) {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push((speaker.request_id.clone(), line));
        }

        fn dropped(&self, _: &Speaker, _: u32) {}
    }

    #[test]
    fn the_log_of_the_node_conforms_and_says_who_spoke() {
        let kept = Arc::new(Kept::default());
        let speaker = Speaker {
            app: "shop".into(),
            component: "orders".into(),
            request_id: "1".into(),
        };
        let spoken = Spoken::new(Arc::new(speaker), Arc::clone(&kept) as _);
        let log: Shared<Logging> = Arc::new(spoken);
        let lines = || {
            let kept = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
            assert!(kept.iter().all(|(request_id, _)| request_id == "1"));
            kept.iter().map(|(_, line)| line.clone()).collect()
        };
        run(&log, lines, &Spoken::SUPPORT);
    }
}
