//! The same requests at a fixed rate, open loop, by the driver of `coracle bench`: what a request costs when caches are cold, and how late answers
//! are when the machine is half idle. In: servers that run, a rate. Out: processor time per request and latency.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Context as _, ensure};
use coracle_load::{Load, Pace, Stop, Tally, Target, drive};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::{Measured, QUIET, WARM};
use crate::{
    load::{AUTHORIZATION, PATH},
    machine,
    process::Server,
    statistics::Rounds,
};

/// One rate, and whoever was measured at it.
pub(super) struct Paced {
    pub(super) what: &'static str,
    rate: f64,
    duration: Duration,
    pub(super) rows: Vec<Row>,
}

/// One server at that rate.
pub(super) struct Row {
    pub(super) key: &'static str,
    label: &'static str,
    pub(super) cpu_us: Rounds,
    p50_us: Rounds,
    pub(super) p99_us: Rounds,
    errors: u64,
}

/// How the load is made.
pub(super) struct How<'a> {
    pub(super) connections: u32,
    pub(super) rounds: u32,
    pub(super) duration: Duration,
    pub(super) cores: Option<&'a str>,
    pub(super) quiet: Duration,
}

impl Paced {
    /// Those of these keys that run, in turns.
    pub(super) fn measure(
        what: &'static str,
        rate: f64,
        keys: &[&str],
        all: &[Measured],
        how: &How<'_>,
    ) -> anyhow::Result<Self> {
        let there = || all.iter().filter(|one| keys.contains(&one.contender.key));
        let mut rows: Vec<Row> = there().map(Row::new).collect();
        for round in 0..how.rounds {
            for (row, measured) in rows.iter_mut().zip(there()) {
                machine::wait_for_quiet(QUIET, how.quiet);
                row.round(rate, &measured.server, how)?;
                eprintln!(
                    "{what}, round {}: {:<18} {:6.1} µs",
                    round + 1,
                    row.key,
                    row.cpu_us.last()
                );
            }
        }
        Ok(Self {
            what,
            rate,
            duration: how.duration,
            rows,
        })
    }

    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "\n{}: {:.0} requests / s, {} s a round, open loop; latency from the instant a request was due.\n\n\
             | server | CPU µs / request | p50 µs | p99 µs | errors |\n|---|---|---|---|---|\n",
            self.what,
            self.rate,
            self.duration.as_secs()
        );
        for row in &self.rows {
            let _ = writeln!(
                text,
                "| {} | {:.1} | {:.0} | {:.0} | {} |",
                row.label, row.cpu_us, row.p50_us, row.p99_us, row.errors
            );
        }
        text
    }
}

impl Row {
    fn new(measured: &Measured) -> Self {
        Self {
            key: measured.contender.key,
            label: measured.contender.label,
            cpu_us: Rounds::default(),
            p50_us: Rounds::default(),
            p99_us: Rounds::default(),
            errors: 0,
        }
    }

    fn round(&mut self, rate: f64, server: &Server, how: &How<'_>) -> anyhow::Result<()> {
        server.resume()?;
        let mut before = Duration::ZERO;
        let tally = on_cores(how.cores, || {
            load(server, rate, how, || before = server.cpu())
        })?;
        let cpu = server.cpu().saturating_sub(before);
        server.pause()?;
        let answers = tally.succeeded();
        ensure!(
            answers > 0,
            "{} at {rate:.0} / s: no answers, and {:?}",
            self.label,
            tally.failures()
        );
        self.errors += tally.failed();
        self.cpu_us.push(cpu.as_secs_f64() * 1e6 / answers as f64);
        self.p50_us.push(tally.latency_ms(0.5) * 1e3);
        self.p99_us.push(tally.latency_ms(0.99) * 1e3);
        Ok(())
    }
}

fn load(
    server: &Server,
    rate: f64,
    how: &How<'_>,
    measuring: impl FnOnce(),
) -> anyhow::Result<Tally> {
    let target = Target::new(&format!("http://{}{PATH}", server.address()))?
        .header(&format!("Authorization: {AUTHORIZATION}"))?;
    let load = Load {
        connections: how.connections,
        streams: 1,
        pace: Pace::PerSecond(rate),
        warm_up: WARM,
        duration: how.duration,
        timeout: Duration::from_secs(10),
    };
    drive(&target, &load, &Stop::new(), measuring).context("making the load")
}

/// Runs this on these cores, or on all. Threads that it starts stay there too; those of others do not move.
fn on_cores<T: Send>(
    cores: Option<&str>,
    run: impl FnOnce() -> anyhow::Result<T> + Send,
) -> anyhow::Result<T> {
    let Some(cores) = cores else { return run() };
    let mut set = CpuSet::new();
    for core in listed(cores).with_context(|| format!("{cores} is no list of cores"))? {
        set.set(core);
    }
    let on_them = || {
        sched_setaffinity(None, &set).with_context(|| format!("running on cores {cores}"))?;
        run()
    };
    std::thread::scope(|scope| {
        let ended = scope.spawn(on_them).join();
        ended.map_err(|_| anyhow::anyhow!("the load generator ended"))?
    })
}

/// `0,2-3`, as `taskset -c` takes it.
fn listed(cores: &str) -> Option<Vec<usize>> {
    let ranges = cores.split(',').map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last && last < CpuSet::MAX_CPU).then_some(first..=last)
    });
    let ranges: Option<Vec<_>> = ranges.collect();
    Some(ranges?.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_list_of_cores_as_taskset_does() {
        assert_eq!(listed("0,2-3"), Some(vec![0, 2, 3]));
        for wrong in ["", "a", "3-2", "0,", "99999"] {
            assert_eq!(listed(wrong), None, "{wrong:?}");
        }
    }
}
