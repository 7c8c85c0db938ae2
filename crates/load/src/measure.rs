//! One service, or two beside each other. In: what is loaded, how, and whose processes are watched. Out: rounds.
//!
//! Two are measured in turns, the other first each time, so that what changes on the machine changes for both.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use thiserror::Error;

use crate::{
    drive::{Load, drive, one_thread},
    start::{Kept, StartError},
    stop::Stop,
    subject::{Subject, SubjectError},
    tally::Tally,
    target::{ProbeError, Target},
};

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// A service that just started finishes what it does first; then it is idle.
const SETTLE: Duration = Duration::from_secs(1);
/// How long the first probe of a service that starts may take, and the pause after one that failed.
const PROBE: Duration = Duration::from_secs(1);
const PROBE_PAUSE: Duration = Duration::from_millis(1);

/// What is measured, and how.
#[derive(Debug)]
pub struct Plan {
    /// The load of each round.
    pub load: Load,
    /// Rounds of each side.
    pub rounds: u32,
    /// How long a started service may take until it answers.
    pub ready_within: Duration,
}

/// A service and whose processes are watched.
#[derive(Debug)]
pub struct Side {
    /// What is asked.
    pub target: Target,
    /// Who answers.
    pub watched: Watched,
}

/// Whose processor time and memory is measured.
#[derive(Debug)]
pub enum Watched {
    /// Nobody's.
    Nobody,
    /// Of something that runs.
    Running(Subject),
    /// Of what this command starts.
    Started(String),
}

/// A side, measured.
#[derive(Debug)]
pub struct Measured {
    /// What was asked.
    pub target: Target,
    /// From the start of the process to the first answer.
    pub first_answer: Option<Duration>,
    /// Memory before the load.
    pub idle_bytes: Option<u64>,
    /// One after another.
    pub rounds: Vec<Round>,
}

/// One round of one side.
#[derive(Debug)]
pub struct Round {
    /// What came of the requests.
    pub tally: Tally,
    /// User and system time of the processes watched.
    pub cpu: Option<Duration>,
    /// Memory over time, since the load began.
    pub memory: Vec<(Duration, u64)>,
}

/// There is nothing to tell.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum MeasureError {
    #[error(transparent)]
    Probe(#[from] ProbeError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Subject(#[from] SubjectError),
    #[error("making the load")]
    Drive(#[source] std::io::Error),
    #[error("stopped before anything was measured")]
    Stopped,
}

impl MeasureError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Probe(error) => error.hint(),
            Self::Subject(error) => error.hint(),
            _ => None,
        }
    }
}

impl Round {
    /// The most memory seen.
    pub fn peak_bytes(&self) -> Option<u64> {
        self.memory.iter().map(|(_, bytes)| *bytes).max()
    }

    /// Processor time over answers, in microseconds; every request counts that reached the service.
    pub fn cpu_us(&self) -> Option<f64> {
        let answered = self.tally.answered_at_all();
        let cpu = self.cpu.filter(|_| answered > 0)?;
        Some(cpu.as_secs_f64() * 1e6 / answered as f64)
    }
}

/// Measures, until all rounds are over or somebody stops it; `say` is told what begins. `keeper` is the program that is the keeper of
/// what is started: [`crate::KEEPER`].
///
/// # Errors
/// When a side does not answer, cannot be started or watched, or nothing was measured when it was stopped.
pub fn measure(
    sides: Vec<Side>,
    plan: &Plan,
    keeper: &Path,
    stop: &Stop,
    mut say: impl FnMut(String),
) -> Result<Vec<Measured>, MeasureError> {
    let mut all = Vec::new();
    for side in sides {
        all.push(Prepared::new(side, plan, keeper, stop, &mut say)?);
    }
    'rounds: for round in 0..plan.rounds {
        let first = round as usize % all.len().max(1);
        let (later, earlier) = all.split_at_mut(first);
        for side in earlier.iter_mut().chain(later) {
            if stop.is_stopped() {
                break 'rounds;
            }
            let (number, of) = (round + 1, plan.rounds);
            say(format!(
                "round {number} of {of}: {}",
                side.measured.target.url
            ));
            side.round(plan, stop)?;
        }
    }
    if all.iter().all(|side| side.measured.rounds.is_empty()) {
        return Err(MeasureError::Stopped);
    }
    Ok(all.into_iter().map(|side| side.measured).collect())
}

/// A side that answers.
struct Prepared {
    measured: Measured,
    subject: Option<Subject>,
    started: Option<Kept>,
}

impl Prepared {
    fn new(
        side: Side,
        plan: &Plan,
        keeper: &Path,
        stop: &Stop,
        say: &mut impl FnMut(String),
    ) -> Result<Self, MeasureError> {
        let mut target = side.target;
        let runtime = one_thread().map_err(MeasureError::Drive)?;
        let mut first_answer = None;
        let mut started = None;
        let subject = match side.watched {
            Watched::Started(command) => {
                if runtime.block_on(is_there(&target)) {
                    return Err(StartError::AlreadyThere(target.url).into());
                }
                say(format!("starting {command}"));
                let kept = Kept::start(keeper, &command)?;
                let answers = until_it_answers(&mut target, &kept, plan.ready_within, stop);
                first_answer = Some(runtime.block_on(answers)?);
                runtime.block_on(pause(SETTLE, stop));
                Some(started.insert(kept).subject())
            }
            watched => {
                runtime.block_on(target.probe(plan.load.timeout))?;
                match watched {
                    Watched::Running(subject) => Some(subject),
                    _ => None,
                }
            }
        };
        let idle_bytes = subject.as_ref().map(Subject::memory_bytes).transpose()?;
        Ok(Self {
            measured: Measured {
                target,
                first_answer,
                idle_bytes,
                rounds: Vec::new(),
            },
            subject,
            started,
        })
    }

    fn round(&mut self, plan: &Plan, stop: &Stop) -> Result<(), MeasureError> {
        let watch = self.subject.clone().map(Watch::start);
        let mut before = None;
        let tally = drive(&self.measured.target, &plan.load, stop, || {
            before = self.subject.as_ref().map(Subject::cpu);
        });
        let tally = tally.map_err(MeasureError::Drive)?;
        let after = self.subject.as_ref().map(Subject::cpu);
        let memory = watch.map(Watch::end).unwrap_or_default();
        if let Some(ended) = self.started.as_ref().and_then(Kept::ended) {
            return Err(ended.into());
        }
        let cpu = match (before.transpose()?, after.transpose()?) {
            (Some(before), Some(after)) => Some(after.saturating_sub(before)),
            _ => None,
        };
        // A round in which nothing was due yet says nothing.
        if !tally.is_empty() {
            self.measured.rounds.push(Round { tally, cpu, memory });
        }
        Ok(())
    }
}

async fn is_there(target: &Target) -> bool {
    let connecting = tokio::net::TcpStream::connect(target.addresses.as_slice());
    matches!(tokio::time::timeout(PROBE, connecting).await, Ok(Ok(_)))
}

async fn pause(time: Duration, stop: &Stop) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = stop.stopped() => {}
    }
}

/// Asks until the answer is an expected one. Says how long that took since the process was started.
async fn until_it_answers(
    target: &mut Target,
    kept: &Kept,
    within: Duration,
    stop: &Stop,
) -> Result<Duration, MeasureError> {
    let addresses = target.addresses.clone();
    loop {
        target.addresses.clone_from(&addresses);
        let left = within.saturating_sub(kept.started.elapsed());
        let failed = match target.probe(PROBE.min(left)).await {
            Ok(()) => return Ok(kept.started.elapsed()),
            Err(failed) => failed,
        };
        if let Some(ended) = kept.ended() {
            return Err(ended.into());
        }
        if stop.is_stopped() {
            return Err(MeasureError::Stopped);
        }
        if kept.started.elapsed() >= within {
            return Err(kept.no_answer(whole(&failed)).into());
        }
        pause(PROBE_PAUSE, stop).await;
    }
}

/// With its cause.
fn whole(error: &ProbeError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Looks at memory again and again, on a thread of its own.
struct Watch {
    end: Sender<()>,
    looking: JoinHandle<()>,
    seen: Arc<Mutex<Vec<(Duration, u64)>>>,
}

impl Watch {
    fn start(subject: Subject) -> Self {
        let (end, ended) = channel();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        let looking = thread::spawn(move || {
            let began = Instant::now();
            loop {
                if let Ok(bytes) = subject.memory_bytes() {
                    let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
                    noted.push((began.elapsed(), bytes));
                }
                if ended.recv_timeout(LOOK) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        Self { end, looking, seen }
    }

    fn end(self) -> Vec<(Duration, u64)> {
        let _ = self.end.send(());
        let _ = self.looking.join();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut seen)
    }
}
