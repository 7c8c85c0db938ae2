//! The figures of a report. In: a side. Out: one number a round, none where nothing was measured.

use crate::{
    measure::{Measured, Round},
    rounds::Rounds,
    tally::Tally,
};

/// One row.
pub(super) struct Figure {
    /// Its name in JSON, with the unit.
    pub(super) key: &'static str,
    pub(super) label: &'static str,
    pub(super) unit: &'static str,
    pub(super) of: fn(&Measured) -> Rounds,
}

pub(super) const FIGURES: &[Figure] = &[
    figure("answers_per_second", "answers / s", "", per_second),
    figure("latency_p50_ms", "latency p50", "ms", |side| {
        latency(side, 0.5)
    }),
    figure("latency_p90_ms", "latency p90", "ms", |side| {
        latency(side, 0.9)
    }),
    figure("latency_p99_ms", "latency p99", "ms", |side| {
        latency(side, 0.99)
    }),
    figure("latency_p99_9_ms", "latency p99.9", "ms", |side| {
        latency(side, 0.999)
    }),
    figure("latency_max_ms", "latency max", "ms", |side| {
        latency(side, 1.0)
    }),
    figure("cpu_us_per_request", "CPU / request", "µs", |side| {
        side.rounds.iter().filter_map(Round::cpu_us).collect()
    }),
    figure("memory_idle_mb", "memory, idle", "MB", |side| {
        side.idle_bytes.into_iter().map(megabytes).collect()
    }),
    figure("memory_peak_mb", "memory, peak", "MB", |side| {
        let peaks = side.rounds.iter().filter_map(Round::peak_bytes);
        peaks.map(megabytes).collect()
    }),
    figure("first_answer_ms", "start to first answer", "ms", |side| {
        let first = side.first_answer.iter();
        first.map(|took| took.as_secs_f64() * 1e3).collect()
    }),
];

const fn figure(
    key: &'static str,
    label: &'static str,
    unit: &'static str,
    of: fn(&Measured) -> Rounds,
) -> Figure {
    Figure {
        key,
        label,
        unit,
        of,
    }
}

pub(super) fn per_second(side: &Measured) -> Rounds {
    let rounds = side.rounds.iter();
    rounds.map(|round| round.tally.per_second()).collect()
}

pub(super) fn late_p99_ms(side: &Measured) -> Rounds {
    let rounds = side.rounds.iter();
    rounds
        .map(|round| round.tally.late_ns.value_at_quantile(0.99) as f64 / 1e6)
        .collect()
}

fn latency(side: &Measured, quantile: f64) -> Rounds {
    let rounds = side.rounds.iter();
    rounds
        .filter(|round| round.tally.succeeded() > 0)
        .map(|round| round.tally.latency_ms(quantile))
        .collect()
}

pub(super) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// All rounds together.
pub(super) fn total(side: &Measured) -> Tally {
    let mut all = Tally::new();
    for round in &side.rounds {
        all.add(&round.tally);
    }
    all
}

/// Three digits that mean something.
pub(super) fn number(value: f64) -> String {
    let digits = match value.abs() {
        large if large >= 100.0 => 0,
        large if large >= 10.0 => 1,
        middle if middle >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

/// The median, and the range when there were several.
pub(super) fn spread(rounds: &Rounds, unit: &str) -> String {
    if rounds.is_empty() {
        return "not measured".into();
    }
    let [median, min, max] = [rounds.median(), rounds.min(), rounds.max()].map(number);
    let unit = if unit.is_empty() {
        String::new()
    } else {
        format!(" {unit}")
    };
    if rounds.count() == 1 {
        format!("{median}{unit}")
    } else {
        format!("{median}{unit} ({min}–{max})")
    }
}
