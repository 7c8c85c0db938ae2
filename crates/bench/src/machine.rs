//! On what it was measured, and what else ran meanwhile. In: /proc and the programs' own words. Out: lines for a document, without names of
//! hosts or paths.

use std::{fs, process::Command, time::Duration};

use crate::document::repository;

/// What a figure depends on.
pub(crate) fn facts() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory_gib = field("/proc/meminfo", "MemTotal:")
        .and_then(|kib| kib.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kib| kib.div_ceil(1 << 20));
    let scan = if coracle_engine::Engines::scans_pagemap() {
        "on"
    } else {
        "off"
    };
    format!(
        "Machine: {cores} cores of {}, {memory_gib} GiB, Linux {}; `pagemap_scan` {scan}.",
        field("/proc/cpuinfo", "model name").unwrap_or_default(),
        kernel(),
    )
}

/// Version numbers only: what follows them names a build.
fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release.split('-').next().unwrap_or_default().trim().into()
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    let value = line
        .strip_prefix(name)?
        .trim_start_matches([' ', '\t', ':']);
    Some(value.trim().to_owned())
}

/// The versions of the crates on which the figures stand.
pub(crate) fn crates(names: &[&str]) -> String {
    let lock = fs::read_to_string(repository().join("Cargo.lock")).unwrap_or_default();
    let version = |name: &str| {
        let entry = lock
            .split_once(&format!("name = \"{name}\"\nversion = \""))?
            .1;
        Some(format!("{name} {}", entry.split('"').next()?))
    };
    let known: Vec<String> = names.iter().filter_map(|name| version(name)).collect();
    known.join(", ")
}

/// The first line of what a program says of itself.
pub(crate) fn version(program: &str, argument: &str) -> String {
    let said = Command::new(program).arg(argument).output();
    let text = said.map_or_else(
        |_| "not there".into(),
        |said| {
            String::from_utf8_lossy(if said.stdout.is_empty() {
                &said.stderr
            } else {
                &said.stdout
            })
            .into_owned()
        },
    );
    let line = text.lines().next().unwrap_or_default();
    line.split([',', '(', '['])
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// Processor time of the whole machine and of the children this program waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    busy_ticks: u64,
    stolen_ticks: u64,
    ours_ticks: u64,
}

/// What a stretch of time held.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    /// User and system time of everybody.
    pub(crate) busy: Duration,
    /// What the hypervisor gave to others.
    pub(crate) stolen: Duration,
    /// This program and the children it waited for: the load generator.
    pub(crate) ours: Duration,
}

impl Usage {
    pub(crate) fn now() -> Self {
        let machine = numbers("/proc/stat", "cpu ");
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let ours = stat.rsplit_once(')').map_or(0, |(_, fields)| {
            let times = fields.split_whitespace().skip(11).take(4);
            times.filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
        });
        let at = |index: usize| machine.get(index).copied().unwrap_or(0);
        Self {
            // user, nice, system; interrupts belong to nobody in particular.
            busy_ticks: at(0) + at(1) + at(2),
            stolen_ticks: at(7),
            ours_ticks: ours,
        }
    }

    pub(crate) fn since(self) -> Used {
        let now = Self::now();
        Used {
            busy: ticks(now.busy_ticks.saturating_sub(self.busy_ticks)),
            stolen: ticks(now.stolen_ticks.saturating_sub(self.stolen_ticks)),
            ours: ticks(now.ours_ticks.saturating_sub(self.ours_ticks)),
        }
    }
}

/// Waits until others use less than this share of one core, for at most so long. Says how much they used at last.
pub(crate) fn wait_for_quiet(share: f64, at_most: Duration) -> f64 {
    const LOOK: Duration = Duration::from_millis(500);
    let mut waited = Duration::ZERO;
    loop {
        let before = Usage::now();
        std::thread::sleep(LOOK);
        waited += LOOK;
        let used = before.since();
        let others = used.busy.saturating_sub(used.ours).as_secs_f64() / LOOK.as_secs_f64();
        if others <= share || waited >= at_most {
            return others;
        }
    }
}

fn numbers(file: &str, line: &str) -> Vec<u64> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let found = text
        .lines()
        .find_map(|candidate| candidate.strip_prefix(line));
    let fields = found.unwrap_or_default().split_whitespace();
    fields.filter_map(|field| field.parse().ok()).collect()
}

fn ticks(ticks: u64) -> Duration {
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}
