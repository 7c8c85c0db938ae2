//! The load itself. In: a target, a pace, a time. Out: a tally.
//!
//! At a rate the loop is open: a request leaves when it is due and a connection is free, and its latency counts from the instant it was due.
//! So a service that stops for a while is charged with every request that should have been sent meanwhile, not only with the few that
//! were (no coordinated omission). Each thread has its connections, its share of the schedule and a tally of its own: no locks between.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{Arc, Barrier, OnceLock},
    thread,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};

use crate::{
    connection::Connection,
    pace::{Pace, Schedule, Timer},
    stop::Stop,
    tally::{Failure, Tally},
    target::Target,
};

/// More threads than this serve no load that one machine can make.
const MAX_THREADS: usize = 8;
/// In which nothing is tried again when there was no connection and no rate says when.
const AFTER_NO_CONNECTION: Duration = Duration::from_millis(10);

/// What is driven.
#[derive(Debug, Clone)]
pub struct Load {
    /// Kept connections.
    pub connections: u32,
    /// Requests at once on each; more than one takes HTTP/2.
    pub streams: u32,
    /// When requests leave.
    pub pace: Pace,
    /// Before it counts.
    pub warm_up: Duration,
    /// While it counts.
    pub duration: Duration,
    /// How long an answer may take once its request was sent, and for how long after the end requests are sent that were due before:
    /// a stall just before the end is still told.
    pub timeout: Duration,
}

/// Sends, until the time is over and the last answers came, or until it is stopped. `measuring` is called when the warm-up is over.
///
/// # Errors
/// When the machine has no more threads, descriptors or timers.
pub fn drive(
    target: &Target,
    load: &Load,
    stop: &Stop,
    measuring: impl FnOnce(),
) -> std::io::Result<Tally> {
    let threads = threads(load);
    let ready = Arc::new(Barrier::new(threads + 1));
    let begin = Arc::new(OnceLock::new());
    let mut running = Vec::new();
    for thread in 0..threads {
        let share = Share {
            target: target.clone(),
            load: load.clone(),
            stop: stop.clone(),
            thread,
            threads,
        };
        let (ready, begin) = (Arc::clone(&ready), Arc::clone(&begin));
        let work = move || share.run(&ready, &begin);
        running.push(thread::Builder::new().name("load".into()).spawn(work)?);
    }
    ready.wait();
    let measured_from = *begin.get_or_init(Instant::now) + load.warm_up;
    wait_until(measured_from, stop)?;
    measuring();
    let mut all = Tally::new();
    for thread in running {
        let tally = thread
            .join()
            .map_err(|_| std::io::Error::other("a thread of the load generator ended"))?;
        all.add(&tally?);
    }
    all.window = load
        .duration
        .min(Instant::now().saturating_duration_since(measured_from));
    Ok(all)
}

fn threads(load: &Load) -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let connections = usize::try_from(load.connections).unwrap_or(usize::MAX);
    cores.min(MAX_THREADS).min(connections).max(1)
}

fn wait_until(instant: Instant, stop: &Stop) -> std::io::Result<()> {
    one_thread()?.block_on(async {
        tokio::select! {
            () = tokio::time::sleep_until(instant.into()) => {}
            () = stop.stopped() => {}
        }
    });
    Ok(())
}

pub(crate) fn one_thread() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// What one thread does.
struct Share {
    target: Target,
    load: Load,
    stop: Stop,
    thread: usize,
    threads: usize,
}

impl Share {
    fn run(self, ready: &Barrier, begin: &OnceLock<Instant>) -> std::io::Result<Tally> {
        let runtime = one_thread();
        let tally = Rc::new(RefCell::new(Tally::new()));
        // Whatever happens, the others are not left waiting.
        let connections = match &runtime {
            Ok(runtime) => runtime.block_on(self.connect()),
            Err(_) => Vec::new(),
        };
        ready.wait();
        let begin = *begin.get_or_init(Instant::now);
        let ended = runtime?.block_on(self.work(begin, &connections, &tally));
        ended?;
        Ok(tally.take())
    }

    /// Connects before it begins; what fails now is tried again, and counted, with the first request.
    async fn connect(&self) -> Vec<Rc<Connection>> {
        let all = self.load.connections as usize;
        let ours = all / self.threads + usize::from(self.thread < all % self.threads);
        let connections: Vec<Rc<Connection>> = (0..ours)
            .map(|_| Rc::new(Connection::new(&self.target)))
            .collect();
        for connection in &connections {
            let open = tokio::time::timeout(self.load.timeout, connection.open());
            if self.stop.is_stopped() || !matches!(open.await, Ok(Ok(()))) {
                break;
            }
        }
        connections
    }

    async fn work(
        &self,
        begin: Instant,
        connections: &[Rc<Connection>],
        tally: &Rc<RefCell<Tally>>,
    ) -> std::io::Result<()> {
        let measured_from = begin + self.load.warm_up;
        let end = measured_from + self.load.duration;
        let schedule = match self.load.pace {
            Pace::Max => None,
            Pace::PerSecond(rate) => {
                let (first, step) = (self.thread as u64, self.threads as u64);
                Some(Rc::new(RefCell::new(Schedule::new(
                    begin, rate, first, step,
                ))))
            }
        };
        let mut workers = FuturesUnordered::new();
        for connection in connections {
            for _ in 0..self.load.streams {
                let worker = Worker {
                    connection: Rc::clone(connection),
                    schedule: schedule.clone(),
                    timer: Timer::new()?,
                    tally: Rc::clone(tally),
                    timeout: self.load.timeout,
                    measured_from,
                    end,
                };
                workers.push(worker.run());
            }
        }
        tokio::select! {
            ended = async {
                while let Some(ended) = workers.next().await {
                    ended?;
                }
                Ok(())
            } => ended,
            () = self.stop.stopped() => Ok(()),
        }
    }
}

/// One request at a time: whichever worker is free takes the next that is due.
struct Worker {
    connection: Rc<Connection>,
    schedule: Option<Rc<RefCell<Schedule>>>,
    timer: Timer,
    tally: Rc<RefCell<Tally>>,
    timeout: Duration,
    measured_from: Instant,
    end: Instant,
}

impl Worker {
    async fn run(self) -> std::io::Result<()> {
        while let Some(due) = self.next_due() {
            let counts = due >= self.measured_from;
            let now = Instant::now();
            if now >= self.end + self.timeout {
                if counts {
                    self.tally.borrow_mut().fail(Failure::NotSent);
                }
                continue;
            }
            if now < due {
                self.timer.until(due).await?;
                if counts {
                    self.tally.borrow_mut().late(due.elapsed());
                }
            }
            let exchange = tokio::time::timeout(self.timeout, self.connection.exchange());
            let outcome = exchange.await.unwrap_or(Err(Failure::TimedOut));
            if counts {
                self.count(due, outcome);
            }
            if outcome == Err(Failure::Connect) && self.schedule.is_none() {
                tokio::time::sleep(AFTER_NO_CONNECTION).await;
            }
        }
        Ok(())
    }

    /// When the next request is due; none when that is after the end.
    fn next_due(&self) -> Option<Instant> {
        let due = match &self.schedule {
            None => Some(Instant::now()),
            Some(schedule) => schedule.borrow_mut().next(),
        };
        due.filter(|due| *due < self.end)
    }

    fn count(&self, due: Instant, outcome: Result<u64, Failure>) {
        let now = Instant::now();
        let mut tally = self.tally.borrow_mut();
        match outcome {
            Ok(bytes) => tally.answer(
                now.saturating_duration_since(due),
                now.saturating_duration_since(self.measured_from),
                bytes,
            ),
            Err(failure) => tally.fail(failure),
        }
    }
}
