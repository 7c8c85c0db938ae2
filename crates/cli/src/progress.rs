//! What a person waits for, told on stderr. In: steps as they begin, what they say meanwhile, how they end. Out: one line per finished
//! step, and on a terminal a spinner per running one. Failures are not told here: a step that is dropped disappears.

use std::{
    fmt,
    io::{self, IsTerminal as _, Write},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Where progress is told. Cheap to clone; clones share the terminal.
#[derive(Clone)]
pub(crate) struct Progress {
    output: Output,
}

#[derive(Clone)]
enum Output {
    Terminal(MultiProgress),
    Lines(Arc<Mutex<dyn Write + Send>>),
}

impl Progress {
    /// Spinners when stderr is a terminal, lines otherwise.
    pub(crate) fn stderr() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if io::stderr().is_terminal() && !dumb {
            Self {
                output: Output::Terminal(MultiProgress::new()),
            }
        } else {
            Self::lines()
        }
    }

    /// Lines only, also on a terminal: once log lines appear there, a spinner would overwrite them.
    pub(crate) fn lines() -> Self {
        Self::lines_to(io::stderr())
    }

    /// Lines only, to somewhere else than stderr.
    pub(crate) fn lines_to(writer: impl Write + Send + 'static) -> Self {
        Self {
            output: Output::Lines(Arc::new(Mutex::new(writer))),
        }
    }

    /// Begins a step; `doing` is what a person reads while it runs: `building auth`.
    pub(crate) fn step(&self, doing: impl Into<String>) -> Step {
        let bar = match &self.output {
            Output::Terminal(all) => Some(all.add(spinner(doing.into()))),
            Output::Lines(_) => None,
        };
        Step {
            progress: self.clone(),
            began: Instant::now(),
            bar,
        }
    }

    /// One line above the spinners.
    pub(crate) fn say(&self, line: impl fmt::Display) {
        // Nobody is left to be told when stderr is closed.
        let _ = match &self.output {
            Output::Terminal(all) => all.println(line.to_string()),
            Output::Lines(writer) => {
                let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                writeln!(writer, "{line}")
            }
        };
    }
}

/// A step that runs. Dropped without [`Step::finish`], it failed or was given up, and leaves no line.
pub(crate) struct Step {
    progress: Progress,
    began: Instant,
    bar: Option<ProgressBar>,
}

impl Step {
    /// The last thing it said; shown beside the spinner.
    pub(crate) fn note(&self, line: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(line.to_owned());
        }
    }

    /// Ends it well; `done` is what a person reads afterwards: `built auth` becomes `built auth in 2.3 s`.
    pub(crate) fn finish(self, done: impl fmt::Display) {
        self.clear();
        let took = Took(self.began.elapsed());
        self.progress.say(format_args!("{done} in {took}"));
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.clear();
    }
}

fn spinner(doing: String) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_prefix(doing);
    if let Ok(style) =
        ProgressStyle::with_template("{spinner} {prefix} ({elapsed}) {wide_msg:.dim}")
    {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

struct Took(Duration);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        if seconds < 60.0 {
            write!(f, "{seconds:.1} s")
        } else {
            write!(
                f,
                "{} min {} s",
                self.0.as_secs() / 60,
                self.0.as_secs() % 60
            )
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What progress told, kept.
    #[derive(Clone, Default)]
    pub(crate) struct Told(Arc<Mutex<Vec<u8>>>);

    impl Told {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn away_from_a_terminal_only_finished_steps_leave_a_line() {
        let told = Told::default();
        let progress = Progress::lines_to(told.clone());
        let given_up = progress.step("compiling orders");
        let step = progress.step("compiling auth");
        step.note("half way");
        step.finish("compiled auth");
        drop(given_up);
        assert_eq!(told.text(), "compiled auth in 0.0 s\n");
    }

    #[test]
    fn a_long_time_is_told_in_minutes() {
        assert_eq!(Took(Duration::from_millis(2345)).to_string(), "2.3 s");
        assert_eq!(Took(Duration::from_secs(63)).to_string(), "1 min 3 s");
    }
}
