//! What the rounds say: a table, the commands, and the promises that follow.

use std::fmt::Write as _;

use super::{Measured, echo::Echo, paced::Paced};
use crate::{
    statistics::Rounds,
    verdict::{self, Promise},
};

/// A rate at which caches are cold.
pub(super) const LIGHTLY: &str = "A thousand a second";
/// A rate that every server keeps.
pub(super) const HALF: &str = "Half of saturation";

/// Everything that was measured.
pub(super) struct Found<'a> {
    pub(super) all: &'a [Measured],
    pub(super) paced: &'a [Paced],
    pub(super) echoes: &'a [Echo],
}

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
    text
}

/// What a reader types, and what disturbed it.
pub(super) fn commands(all: &[Measured]) -> String {
    let mut text = String::from("Commands:\n\n");
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

type Figure = (Promise, &'static str, &'static str, What, How);

/// What of two servers is compared.
#[derive(Clone, Copy)]
enum What {
    /// Processor time per request at saturation.
    Cpu,
    /// Requests per second.
    Rate,
    /// Processor time per request at [`LIGHTLY`].
    CpuLightly,
    /// The latency of 99 in 100 at [`HALF`].
    P99AtHalf,
    /// Bytes per second through an echo.
    Echo,
}

/// How they are compared.
#[derive(Clone, Copy)]
enum How {
    Ratio,
    Difference,
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
        What::Cpu,
        How::Ratio,
    ),
    (
        Promise::at_most("the same, over Node.js, one process", 1.25, 0.95, " ×"),
        "coracle-p2",
        "node",
        What::Cpu,
        How::Ratio,
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
        What::Cpu,
        How::Ratio,
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
        What::Cpu,
        How::Ratio,
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
        What::Cpu,
        How::Difference,
    ),
    (
        Promise::at_most(
            "CPU per request with reuse, WASI 0.2, over native hyper",
            2.4,
            1.8,
            " ×",
        ),
        "coracle-p2-reuse",
        "native",
        What::Cpu,
        How::Ratio,
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
        What::Cpu,
        How::Ratio,
    ),
    (
        Promise::at_most("the same with reuse", 3.6, 2.5, " ×"),
        "coracle-p3-reuse",
        "native",
        What::Cpu,
        How::Ratio,
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
        What::Rate,
        How::Ratio,
    ),
    (
        Promise::at_most(
            "p99 at half of the saturation rate, over native hyper at the same rate",
            3.0,
            2.0,
            " ×",
        ),
        "coracle-p2",
        "native",
        What::P99AtHalf,
        How::Ratio,
    ),
    (
        Promise::at_most(
            "CPU per request at 1,000 requests a second, over Node.js, one process",
            0.75,
            0.5,
            " ×",
        ),
        "coracle-p2",
        "node",
        What::CpuLightly,
        How::Ratio,
    ),
    (
        Promise::at_most("what the product adds to bare Wasmtime", 4.0, 2.5, " µs"),
        "coracle-p2",
        "bare-p2",
        What::Cpu,
        How::Difference,
    ),
    (
        Promise::at_most("access log on (JSON, to a file)", 2.5, 1.5, " µs"),
        "coracle-log",
        "coracle-p2",
        What::Cpu,
        How::Difference,
    ),
    (
        Promise::at_least(
            "throughput of a long body through `examples/echo`, over native hyper's echo",
            0.4,
            0.7,
            " ×",
        ),
        "coracle-echo",
        "native-echo",
        What::Echo,
        How::Ratio,
    ),
];

impl Found<'_> {
    /// Each promise beside what was measured of it.
    pub(super) fn promises(&self) -> String {
        let rows = PROMISES.iter().map(|(promise, ours, theirs, what, how)| {
            let both = self.rounds(*what, ours).zip(self.rounds(*what, theirs));
            let compared = both.map(|(ours, theirs)| match how {
                How::Ratio => ours.with(theirs, |a, b| a / b),
                How::Difference => ours.with(theirs, |a, b| a - b),
            });
            promise.row(compared.as_ref())
        });
        verdict::HEAD.to_owned() + &rows.collect::<String>()
    }

    fn rounds(&self, what: What, key: &str) -> Option<&Rounds> {
        let loaded = || self.all.iter().find(|one| one.contender.key == key);
        let paced = |rate: &str| {
            let paced = self.paced.iter().find(|paced| paced.what == rate)?;
            paced.rows.iter().find(|row| row.key == key)
        };
        match what {
            What::Cpu => Some(&loaded()?.cpu_us),
            What::Rate => Some(&loaded()?.per_second),
            What::CpuLightly => Some(&paced(LIGHTLY)?.cpu_us),
            What::P99AtHalf => Some(&paced(HALF)?.p99_us),
            What::Echo => {
                let echo = self.echoes.iter().find(|one| one.contender.key == key);
                Some(&echo?.mb_per_second)
            }
        }
    }
}
