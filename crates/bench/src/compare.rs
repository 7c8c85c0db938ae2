//! Every server under the same load, interleaved in one run, so that what changes on the machine changes for all.
//!
//! In: rounds and seconds. Out: processor time per request, rate, latency and memory of each server, at saturation and at fixed rates, and the
//! promises that follow from them. While one is measured the others are stopped. What others used of the machine is told.

mod echo;
mod paced;
mod report;

use std::{path::PathBuf, time::Duration};

use paced::{How, Paced};

use crate::{
    contender::{self, Contender, Paths},
    document,
    load::{Load, Seen},
    machine::{self, Usage},
    process::Server,
    statistics::Rounds,
};

/// A server that was just woken gets its pages and connections back before it counts.
const WARM: Duration = Duration::from_secs(1);
/// What else may run: this share of one core.
const QUIET: f64 = 0.05;
/// A measurement during which others used more than this of one core is tried again.
const DISTURBED: f64 = 0.1;
const ATTEMPTS: u32 = 3;
/// Memory after load is that of the round in which the server has answered so many.
const REQUESTS: u64 = 100_000;
/// With caches that are cold between requests.
const LIGHT: f64 = 1000.0;
/// So few requests take little processor time, which is counted in hundredths of a second: they are driven for so many times longer.
const LIGHT_TIMES: u32 = 3;

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
    /// How long the body is that goes through the echo
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    echo_mib: u64,
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

/// One server, one round.
struct Round {
    seen: Seen,
    cpu: Duration,
    others: f64,
    stolen: f64,
    after_bytes: u64,
}

impl Measured {
    fn note(&mut self, round: &Round) {
        let seen = &round.seen;
        if self.requests < REQUESTS {
            self.after_bytes = round.after_bytes;
        }
        self.requests += seen.requests;
        self.cpu_us
            .push(round.cpu.as_secs_f64() * 1e6 / seen.requests as f64);
        self.per_second.push(seen.per_second);
        self.p50_us.push(seen.p50.as_secs_f64() * 1e6);
        self.p99_us.push(seen.p99.as_secs_f64() * 1e6);
        self.others.push(round.others);
        self.stolen.push(round.stolen);
    }
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
        let mut contenders = contender::all(&paths);
        let mut uncontained = None;
        if self.wants("node-container") {
            match contender::contained(&paths) {
                Ok(contained) => contenders.push(contained),
                Err(why) => uncontained = Some(why),
            }
        }
        let mut all = Vec::new();
        for contender in contenders {
            if self.wants(contender.key) {
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
        let paced = self.paced(&all)?;
        let echoes = if self.wants("echo") {
            let cores = self.server_cores.as_deref();
            echo::measure(&paths, cores, self.rounds, self.echo_mib, self.wait())?
        } else {
            Vec::new()
        };
        let found = report::Found {
            all: &all,
            paced: &paced,
            echoes: &echoes,
        };
        let mut text = format!("{}\n{}", self.facts(&paths), report::table(&all));
        if let Some(why) = uncontained {
            text += &format!("\nNode.js in a container: not measured, {why:#}.\n");
        }
        text.extend(paced.iter().map(Paced::table));
        if !echoes.is_empty() {
            text += &echo::table(&echoes, self.echo_mib);
        }
        text += &format!("\n{}\n{}", report::commands(&all), found.promises());
        println!("{text}");
        if !self.dry {
            document::write("compare", &text)?;
        }
        Ok(())
    }

    fn wants(&self, key: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == key)
    }

    fn wait(&self) -> Duration {
        Duration::from_secs(self.quiet)
    }

    /// At a thousand a second, and at half of what the slower of the product and native hyper carried at best.
    fn paced(&self, all: &[Measured]) -> anyhow::Result<Vec<Paced>> {
        let how = |duration: Duration| How {
            connections: self.connections,
            rounds: self.rounds,
            duration,
            cores: self.load_cores.as_deref(),
            quiet: self.wait(),
        };
        let duration = Duration::from_secs(self.seconds);
        let keys = [
            "native",
            "coracle-p2",
            "coracle-p3",
            "node",
            "node-container",
        ];
        let mut paced = vec![Paced::measure(
            report::LIGHTLY,
            LIGHT,
            &keys,
            all,
            &how(duration * LIGHT_TIMES),
        )?];
        let best = |key| {
            let found = all.iter().find(|measured| measured.contender.key == key);
            found.map(|measured| measured.per_second.max())
        };
        if let (Some(ours), Some(native)) = (best("coracle-p2"), best("native")) {
            paced.push(Paced::measure(
                report::HALF,
                ours.min(native) / 2.0,
                &["native", "coracle-p2", "coracle-p3"],
                all,
                &how(duration),
            )?);
        }
        Ok(paced)
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

    /// One round of one server. When somebody else used the machine meanwhile it is tried again, and the quietest attempt counts.
    fn measure(&self, measured: &mut Measured, load: &Load) -> anyhow::Result<()> {
        let mut quietest: Option<Round> = None;
        for _ in 0..ATTEMPTS {
            machine::wait_for_quiet(QUIET, self.wait());
            let round = self.attempt(&measured.server, load)?;
            let enough = round.others <= DISTURBED;
            if quietest
                .as_ref()
                .is_none_or(|quietest| round.others < quietest.others)
            {
                quietest = Some(round);
            }
            if enough {
                break;
            }
        }
        if let Some(round) = quietest {
            measured.note(&round);
        }
        Ok(())
    }

    fn attempt(&self, server: &Server, load: &Load) -> anyhow::Result<Round> {
        server.resume()?;
        load.run(server.address(), WARM)?;
        let (machine, before) = (Usage::now(), server.cpu());
        let seen = load.run(server.address(), Duration::from_secs(self.seconds))?;
        let (cpu, used) = (server.cpu().saturating_sub(before), machine.since());
        let after_bytes = server.resident_bytes();
        server.pause()?;
        let others = used.busy.saturating_sub(cpu + used.ours);
        let share = |time: Duration| time.as_secs_f64() / seen.took.as_secs_f64();
        Ok(Round {
            cpu,
            others: share(others),
            stolen: share(used.stolen),
            after_bytes,
            seen,
        })
    }

    fn facts(&self, paths: &Paths) -> String {
        let wasmtime = paths.wasmtime.as_ref().map_or_else(
            || "`wasmtime serve`: not measured, there was none on PATH".into(),
            |program| machine::version(&program.display().to_string(), "--version"),
        );
        let cores = |cores: &Option<String>| cores.as_ref().map_or("all".into(), Clone::clone);
        format!(
            "{}\nVersions: Coracle {}; {}; Node.js {}; {wasmtime}; {}; {}.\nLoad: wrk, 2 threads, {} keep-alive connections, {} rounds of {} s each \
             after {} s to warm up; at a fixed rate the driver of `coracle bench`; cores: server {}, load {}. Memory is resident, after the round \
             that reached 100,000 requests.\n",
            machine::facts(),
            env!("CARGO_PKG_VERSION"),
            machine::crates(&["wasmtime", "hyper", "tokio", "mimalloc"]),
            machine::version("node", "--version"),
            machine::version("wrk", "-v"),
            machine::version("runc", "--version"),
            self.connections,
            self.rounds,
            self.seconds,
            WARM.as_secs(),
            cores(&self.server_cores),
            cores(&self.load_cores),
        )
    }
}
