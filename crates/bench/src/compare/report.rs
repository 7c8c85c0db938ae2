//! What the rounds say: a table, the commands, and the promises that follow.

use std::fmt::Write as _;

use super::Measured;
use crate::verdict::{self, Promise};

pub(super) fn table(all: &[Measured]) -> String {
    let native = all
        .iter()
        .find(|measured| measured.contender.key == "native");
    let mut text = String::from(
        "| server | CPU µs / request | × native | requests / s | p50 µs | p99 µs | memory MB: idle, after |\n|---|---|---|---|---|---|---|\n",
    );
    for measured in all {
        let ratio = native.map_or_else(String::new, |native| {
            format!(
                "{:.2}",
                measured.cpu_us.with(&native.cpu_us, |a, b| a / b).median()
            )
        });
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let _ = writeln!(
            text,
            "| {} | {:.1} | {ratio} | {:.0} | {:.0} | {:.0} | {:.1}, {:.1} |",
            measured.contender.label,
            measured.cpu_us,
            measured.per_second,
            measured.p50_us,
            measured.p99_us,
            megabytes(measured.idle_bytes),
            megabytes(measured.after_bytes),
        );
    }
    text.push_str("\nCommands:\n\n");
    for Measured {
        contender,
        requests,
        others,
        stolen,
        ..
    } in all
    {
        let _ = writeln!(
            text,
            "- {}: `{}`; {requests} requests; other processes used up to {:.2} cores, the hypervisor {:.2}",
            contender.label,
            contender.shown,
            others.max(),
            stolen.max()
        );
    }
    text
}

type Figure = (Promise, &'static str, &'static str, How);

/// How two servers are compared.
#[derive(Clone, Copy)]
enum How {
    CpuRatio,
    CpuDifference,
    RateRatio,
}

const PROMISES: &[Figure] = &[
    (
        Promise::at_most(
            "CPU per request, fresh instance, WASI 0.2, over native hyper",
            3.5,
            2.6,
            " ×",
        ),
        "coracle-p2",
        "native",
        How::CpuRatio,
    ),
    (
        Promise::at_most("the same, over Node.js, one process", 1.25, 0.95, " ×"),
        "coracle-p2",
        "node",
        How::CpuRatio,
    ),
    (
        Promise::at_most(
            "the same, over `wasmtime serve`, defaults",
            0.17,
            0.13,
            " ×",
        ),
        "coracle-p2",
        "wasmtime",
        How::CpuRatio,
    ),
    (
        Promise::at_most(
            "the same, over `wasmtime serve`, its best flags",
            0.42,
            0.33,
            " ×",
        ),
        "coracle-p2",
        "wasmtime-best",
        How::CpuRatio,
    ),
    (
        Promise::at_most(
            "`examples/auth` with its embedded bucket, over the key compiled in",
            6.0,
            4.0,
            " µs",
        ),
        "coracle-bucket",
        "coracle-p2",
        How::CpuDifference,
    ),
    (
        Promise::at_most(
            "CPU per request, fresh instance, WASI 0.3, over native hyper",
            6.5,
            4.5,
            " ×",
        ),
        "coracle-p3",
        "native",
        How::CpuRatio,
    ),
    (
        Promise::at_least(
            "requests per second, WASI 0.2, over Node.js, one process",
            1.1,
            1.4,
            " ×",
        ),
        "coracle-p2",
        "node",
        How::RateRatio,
    ),
    (
        Promise::at_most("what the product adds to bare Wasmtime", 4.0, 2.5, " µs"),
        "coracle-p2",
        "bare-p2",
        How::CpuDifference,
    ),
    (
        Promise::at_most("access log on (JSON, to a file)", 2.5, 1.5, " µs"),
        "coracle-log",
        "coracle-p2",
        How::CpuDifference,
    ),
];

pub(super) fn promises(all: &[Measured]) -> String {
    let find = |key: &str| all.iter().find(|measured| measured.contender.key == key);
    let rows = PROMISES.iter().map(|(promise, ours, theirs, how)| {
        let rounds = find(ours)
            .zip(find(theirs))
            .map(|(ours, theirs)| match how {
                How::CpuRatio => ours.cpu_us.with(&theirs.cpu_us, |a, b| a / b),
                How::CpuDifference => ours.cpu_us.with(&theirs.cpu_us, |a, b| a - b),
                How::RateRatio => ours.per_second.with(&theirs.per_second, |a, b| a / b),
            });
        promise.row(rounds.as_ref())
    });
    verdict::HEAD.to_owned() + &rows.collect::<String>()
}
