//! Every server under the same load, interleaved in one run, so that what changes on the machine changes for all.
//!
//! In: rounds and seconds. Out: processor time per request, rate, latency and memory of each server, and the promises that follow from them.
//! While one is measured the others are stopped. A round in which somebody else used the machine is told.

use std::{fmt::Write as _, path::PathBuf, time::Duration};

use crate::{
    contender::{self, Contender, Paths},
    document,
    load::Load,
    machine::{self, Usage},
    process::Server,
    statistics::Rounds,
    verdict::{self, Promise},
};

/// A server that was just woken gets its pages and connections back before it counts.
const WARM: Duration = Duration::from_secs(1);
/// What else may run: this share of one core.
const QUIET: f64 = 0.05;

/// Every server under the same load, interleaved
#[derive(Debug, clap::Args)]
pub(crate) struct Compare {
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Of load per server and round
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    #[arg(long, default_value_t = 50)]
    connections: u32,
    /// A `wasmtime` 48 [default: the one on PATH]
    #[arg(long, value_name = "PATH")]
    wasmtime: Option<PathBuf>,
    /// Cores for the server, as `taskset -c` takes them [default: all]
    #[arg(long, value_name = "CORES")]
    server_cores: Option<String>,
    /// Cores for the load generator [default: all]
    #[arg(long, value_name = "CORES")]
    load_cores: Option<String>,
    /// Measure these only: keys, separated by commas
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Take the product and the guests as they are
    #[arg(long)]
    no_build: bool,
    /// How long to wait before each measurement until nobody else uses the machine, in seconds
    #[arg(long, default_value_t = 60)]
    quiet: u64,
    /// Leave docs/benchmarks.md alone
    #[arg(long)]
    dry: bool,
}

/// One server and what was seen of it.
struct Measured {
    contender: Contender,
    server: Server,
    cpu_us: Rounds,
    per_second: Rounds,
    p50_us: Rounds,
    p99_us: Rounds,
    others: Rounds,
    stolen: Rounds,
    requests: u64,
    idle_bytes: u64,
    after_bytes: u64,
}

impl Compare {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let paths = Paths::find(self.wasmtime.as_deref())?;
        if !self.no_build {
            paths.build()?;
        }
        let load = Load {
            connections: self.connections,
            threads: 2,
            cores: self.load_cores.clone(),
        };
        let mut all = Vec::new();
        for contender in contender::all(&paths) {
            if self.only.is_empty() || self.only.iter().any(|key| key == contender.key) {
                eprintln!("starting {}", contender.key);
                all.push(self.start(contender, &load)?);
            }
        }
        for round in 0..self.rounds {
            // Another one begins each round.
            let first = round as usize % all.len().max(1);
            let (later, earlier) = all.split_at_mut(first);
            for measured in earlier.iter_mut().chain(later) {
                self.measure(measured, &load)?;
                eprintln!(
                    "round {}: {:<18} {:6.1} µs  {:8.0}/s",
                    round + 1,
                    measured.contender.key,
                    measured.cpu_us.last(),
                    measured.per_second.last()
                );
            }
        }
        let text = format!(
            "{}\n{}\n{}",
            self.facts(&paths),
            table(&all),
            promises(&all)
        );
        println!("{text}");
        if !self.dry {
            document::write("compare", &text)?;
        }
        Ok(())
    }

    fn start(&self, contender: Contender, load: &Load) -> anyhow::Result<Measured> {
        let server = Server::start(contender.command(self.server_cores.as_deref()))?;
        std::thread::sleep(WARM);
        let idle_bytes = server.resident_bytes();
        load.run(server.address(), WARM)?;
        server.pause()?;
        Ok(Measured {
            contender,
            server,
            cpu_us: Rounds::default(),
            per_second: Rounds::default(),
            p50_us: Rounds::default(),
            p99_us: Rounds::default(),
            others: Rounds::default(),
            stolen: Rounds::default(),
            requests: 0,
            idle_bytes,
            after_bytes: 0,
        })
    }

    fn measure(&self, measured: &mut Measured, load: &Load) -> anyhow::Result<()> {
        machine::wait_for_quiet(QUIET, Duration::from_secs(self.quiet));
        let server = &measured.server;
        server.resume()?;
        load.run(server.address(), WARM)?;
        let (machine, before) = (Usage::now(), server.cpu());
        let seen = load.run(server.address(), Duration::from_secs(self.seconds))?;
        let (cpu, used) = (server.cpu().saturating_sub(before), machine.since());
        measured.after_bytes = server.resident_bytes();
        server.pause()?;
        let others = used.busy.saturating_sub(cpu + used.ours);
        let share = |time: Duration| time.as_secs_f64() / seen.took.as_secs_f64();
        measured.requests += seen.requests;
        measured
            .cpu_us
            .push(cpu.as_secs_f64() * 1e6 / seen.requests as f64);
        measured.per_second.push(seen.per_second);
        measured.p50_us.push(seen.p50.as_secs_f64() * 1e6);
        measured.p99_us.push(seen.p99.as_secs_f64() * 1e6);
        measured.others.push(share(others));
        measured.stolen.push(share(used.stolen));
        Ok(())
    }

    fn facts(&self, paths: &Paths) -> String {
        let wasmtime = paths.wasmtime.as_ref().map_or_else(
            || "`wasmtime serve`: not measured, there was none on PATH".into(),
            |program| machine::version(&program.display().to_string(), "--version"),
        );
        let cores = |cores: &Option<String>| cores.as_ref().map_or("all".into(), Clone::clone);
        format!(
            "{}\nVersions: Coracle {}; {}; Node.js {}; {wasmtime}; {}.\nLoad: wrk, 2 threads, {} keep-alive connections, {} rounds of {} s each \
             after {} s to warm up; cores: server {}, load {}. Memory is resident.\n",
            machine::facts(),
            env!("CARGO_PKG_VERSION"),
            machine::crates(&["wasmtime", "hyper", "tokio", "mimalloc"]),
            machine::version("node", "--version"),
            machine::version("wrk", "-v"),
            self.connections,
            self.rounds,
            self.seconds,
            WARM.as_secs(),
            cores(&self.server_cores),
            cores(&self.load_cores),
        )
    }
}

fn table(all: &[Measured]) -> String {
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

fn promises(all: &[Measured]) -> String {
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
