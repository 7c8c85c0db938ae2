//! A service that is started to be measured, and leaves nothing behind, however whoever measures it ends.
//!
//! Between the two stands a keeper, a process of this same program: it starts the command in a process group of its own and reads from a
//! pipe that nobody writes to. When the pipe closes, because the measurement is over or because its process was killed, the keeper ends the
//! group, and with it whatever left the group: as subreaper it inherits them. How the command ended by itself is a line among what it said,
//! so that nothing it said before is still on its way.

use std::{
    collections::VecDeque,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::{fd::AsFd as _, unix::process::CommandExt as _},
    path::Path,
    process::{Child, ChildStdin, Command, ExitCode, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{
        Pid, Signal, getpid, kill_process, kill_process_group, set_child_subreaper,
        test_kill_process_group,
    },
};
use thiserror::Error;

use crate::subject::{Subject, process::Tree};

/// The hidden subcommand that is [`keep`].
pub const KEEPER: &str = "keep-process";
/// Between asking a service to end and ending it.
const GRACE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(10);
/// What it said last is told when it fails.
const LINES_KEPT: usize = 20;
/// Before how it ended; no service says this.
const ENDED: &str = "\0ended: ";

/// It could not be started, or ended.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum StartError {
    #[error("starting `{command}`")]
    Spawn {
        command: String,
        #[source]
        cause: io::Error,
    },
    #[error("`{command}` ended: {how}{said}")]
    Ended {
        command: String,
        how: String,
        said: String,
    },
    #[error("`{command}` was started {} s ago and does not answer: {why}{said}", after.as_secs_f64())]
    NoAnswer {
        command: String,
        after: Duration,
        why: String,
        said: String,
    },
    #[error(
        "something answers at {0} already, and would be measured instead of what --start starts"
    )]
    AlreadyThere(String),
}

/// A command that runs until this is dropped.
#[derive(Debug)]
pub struct Kept {
    command: String,
    keeper: Child,
    /// Closed, it ends the command.
    pipe: Option<ChildStdin>,
    /// When its process was started.
    pub(crate) started: Instant,
    told: Arc<Mutex<Told>>,
}

#[derive(Debug, Default)]
struct Told {
    ended: Option<String>,
    lines: VecDeque<String>,
}

impl Kept {
    /// Starts `sh -c COMMAND` under a keeper, which is `program` with the subcommand [`KEEPER`].
    ///
    /// # Errors
    /// When there is no such program.
    pub fn start(program: &Path, command: &str) -> Result<Self, StartError> {
        let failed = |cause| StartError::Spawn {
            command: command.into(),
            cause,
        };
        let started = Instant::now();
        let mut keeper = Command::new(program)
            .args([KEEPER, command])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C is for the measurement, which ends this when it has told what it measured.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let told = Arc::default();
        if let Some(output) = keeper.stderr.take() {
            let told = Arc::clone(&told);
            thread::spawn(move || listen(output, &told));
        }
        Ok(Self {
            command: command.into(),
            pipe: keeper.stdin.take(),
            keeper,
            started,
            told,
        })
    }

    /// Its processes.
    pub(crate) fn subject(&self) -> Subject {
        Subject::Tree(Tree::below(Pid::from_child(&self.keeper)))
    }

    /// Nothing while it runs.
    pub(crate) fn ended(&self) -> Option<StartError> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.ended.as_ref().map(|how| StartError::Ended {
            command: self.command.clone(),
            how: how.clone(),
            said: told.said(),
        })
    }

    pub(crate) fn no_answer(&self, why: String) -> StartError {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        StartError::NoAnswer {
            command: self.command.clone(),
            after: self.started.elapsed(),
            why,
            said: told.said(),
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _ = self.keeper.wait();
    }
}

impl Told {
    fn note(&mut self, line: &str) {
        if self.lines.len() == LINES_KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_owned());
    }

    fn said(&self) -> String {
        let lines = self.lines.iter().map(|line| format!("\n  {line}"));
        lines.collect()
    }
}

/// Reads to the end, so that a full pipe never stops the service.
fn listen(output: impl io::Read, told: &Mutex<Told>) {
    let lock = || told.lock().unwrap_or_else(PoisonError::into_inner);
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line), Ok(read) if read > 0) {
        let text = String::from_utf8_lossy(&line);
        // Its last line may have no end of its own.
        match text.trim_end().split_once(ENDED) {
            None => lock().note(text.trim_end()),
            Some((said, how)) => {
                let mut told = lock();
                if !said.is_empty() {
                    told.note(said);
                }
                told.ended = Some(how.to_owned());
            }
        }
        line.clear();
    }
    lock()
        .ended
        .get_or_insert_with(|| "its keeper was killed".into());
}

/// The keeper: runs `sh -c COMMAND` until standard input ends, then ends it and everything it started. Standard error is the command's,
/// and says at last how it ended by itself.
pub fn keep(command: &str) -> ExitCode {
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{ENDED}it was not started: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &str) -> io::Result<()> {
    set_child_subreaper(Some(getpid()))?;
    let output = io::stderr().as_fd().try_clone_to_owned()?;
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(output)
        .process_group(0)
        .spawn()?;
    let group = Pid::from_child(&child);
    let waiting = thread::spawn(move || {
        let how = match child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        // Nobody may be left to read it.
        let _ = writeln!(io::stderr(), "{ENDED}{how}");
    });
    let _ = io::stdin().read_to_end(&mut Vec::new());
    end(group);
    let _ = waiting.join();
    Ok(())
}

fn end(group: Pid) {
    let below = Tree::below(getpid());
    let _ = kill_process_group(group, Signal::TERM);
    for pid in below.pids() {
        let _ = kill_process(pid, Signal::TERM);
    }
    let until = Instant::now() + GRACE;
    while Instant::now() < until {
        if test_kill_process_group(group) == Err(Errno::SRCH) && below.pids().is_empty() {
            return;
        }
        thread::sleep(PAUSE);
    }
    let _ = kill_process_group(group, Signal::KILL);
    // Those that left the group too; what one of them starts meanwhile is found in the next look.
    loop {
        let left = below.pids();
        if left.is_empty() {
            return;
        }
        for pid in left {
            let _ = kill_process(pid, Signal::KILL);
        }
        thread::sleep(PAUSE);
    }
}
