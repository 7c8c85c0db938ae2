//! Process start to first answer with everything compiled before, and memory at rest and after load.

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use anyhow::ensure;

use crate::{
    contender::{self, Contender, Paths},
    document,
    load::{AUTHORIZATION, Load, PATH},
    machine,
    process::Server,
    statistics::Rounds,
    verdict::{self, Promise},
};

const SERVERS: &[&str] = &[
    "native",
    "bare-p2",
    "coracle-p2",
    "coracle-p3",
    "coracle-bucket",
    "node",
    "wasmtime",
];
const REQUESTS: u64 = 100_000;
/// What an idle process does first is over.
const AT_REST: Duration = Duration::from_secs(2);

const START: Promise = Promise::at_most(
    "process start to first answer, one app, warm cache",
    20.0,
    12.0,
    " ms",
);
const IDLE: Promise = Promise::at_most("resident memory, one app, idle", 30.0, 22.0, " MB");
const AFTER: Promise = Promise::at_most(
    "resident memory, one app, after 100,000 requests",
    45.0,
    32.0,
    " MB",
);

/// Process start to first answer, and idle memory
#[derive(Debug, clap::Args)]
pub(crate) struct Start {
    /// Starts of each server, interleaved
    #[arg(long, default_value_t = 20)]
    starts: u32,
    /// A `wasmtime` 48 [default: the one on PATH]
    #[arg(long, value_name = "PATH")]
    wasmtime: Option<std::path::PathBuf>,
    /// Take the product and the guests as they are
    #[arg(long)]
    no_build: bool,
    /// After the load, until private memory is read, in seconds
    #[arg(long, default_value_t = 60)]
    settle: u64,
    /// Leave docs/benchmarks.md alone
    #[arg(long)]
    dry: bool,
}

struct Measured {
    contender: Contender,
    first_answer_ms: Rounds,
    idle_mb: Rounds,
    idle_private_mb: Rounds,
    after_mb: Rounds,
    after_private_mb: Rounds,
    requests: u64,
}

impl Start {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let paths = Paths::find(self.wasmtime.as_deref())?;
        if !self.no_build {
            paths.build()?;
        }
        let mut all: Vec<Measured> = contender::all(&paths)
            .into_iter()
            .filter(|contender| SERVERS.contains(&contender.key))
            .map(Measured::new)
            .collect();
        for start in 0..=self.starts {
            for measured in &mut all {
                machine::wait_for_quiet(0.1, Duration::from_secs(2));
                let took_ms = measured.first_answer()?;
                // The first start compiles, and reads programs from disk.
                if start > 0 {
                    measured.first_answer_ms.push(took_ms);
                }
            }
        }
        for measured in &mut all {
            measured.memory(Duration::from_secs(self.settle))?;
        }
        let text = format!(
            "{}\n{}\n{}",
            self.facts(&paths),
            table(&all),
            promises(&all)
        );
        println!("{text}");
        if !self.dry {
            document::write("start", &text)?;
        }
        Ok(())
    }

    fn facts(&self, paths: &Paths) -> String {
        let wasmtime = paths.wasmtime.as_ref();
        format!(
            "{}\nVersions: Coracle {}; Node.js {}; {}. {} starts each, interleaved, everything in the page cache. Private memory after load is \
             read {} s later.\n",
            machine::facts(),
            env!("CARGO_PKG_VERSION"),
            machine::version("node", "--version"),
            wasmtime.map_or_else(
                || "`wasmtime serve`: not measured, there was none on PATH".into(),
                |program| machine::version(&program.display().to_string(), "--version")
            ),
            self.starts,
            self.settle,
        )
    }
}

impl Measured {
    fn new(contender: Contender) -> Self {
        Self {
            contender,
            first_answer_ms: Rounds::default(),
            idle_mb: Rounds::default(),
            idle_private_mb: Rounds::default(),
            after_mb: Rounds::default(),
            after_private_mb: Rounds::default(),
            requests: 0,
        }
    }

    fn first_answer(&self) -> anyhow::Result<f64> {
        let server = Server::start(self.contender.command(None))?;
        ask(server.address())?;
        Ok(server.started.elapsed().as_secs_f64() * 1e3)
    }

    fn memory(&mut self, settle: Duration) -> anyhow::Result<()> {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let server = Server::start(self.contender.command(None))?;
        std::thread::sleep(AT_REST);
        self.idle_mb.push(megabytes(server.resident_bytes()));
        self.idle_private_mb.push(megabytes(server.private_bytes()));
        let load = Load {
            connections: 50,
            threads: 2,
            cores: None,
        };
        while self.requests < REQUESTS {
            self.requests += load.run(server.address(), Duration::from_secs(1))?.requests;
        }
        self.after_mb.push(megabytes(server.resident_bytes()));
        std::thread::sleep(settle);
        self.after_private_mb
            .push(megabytes(server.private_bytes()));
        Ok(())
    }
}

fn ask(address: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    let request = format!(
        "GET {PATH} HTTP/1.1\r\nhost: {address}\r\nauthorization: {AUTHORIZATION}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    ensure!(
        text.starts_with("HTTP/1.1 200") && text.contains("user_123"),
        "answered {text}"
    );
    Ok(())
}

fn table(all: &[Measured]) -> String {
    let mut text = String::from(
        "| server | start to first answer, ms | idle MB: resident, private | MB after load: resident, private later | requests |\n|---|---|---|---|---|\n",
    );
    for measured in all {
        let _ = writeln!(
            text,
            "| {} | {:.1} | {:.1}, {:.1} | {:.1}, {:.1} | {} |",
            measured.contender.label,
            measured.first_answer_ms,
            measured.idle_mb.median(),
            measured.idle_private_mb.median(),
            measured.after_mb.median(),
            measured.after_private_mb.median(),
            measured.requests
        );
    }
    text
}

fn promises(all: &[Measured]) -> String {
    let product = all
        .iter()
        .find(|measured| measured.contender.key == "coracle-p2");
    let figure = |take: fn(&Measured) -> &Rounds| product.map(take);
    [
        START.row(figure(|measured| &measured.first_answer_ms)),
        IDLE.row(figure(|measured| &measured.idle_mb)),
        AFTER.row(figure(|measured| &measured.after_mb)),
    ]
    .into_iter()
    .fold(verdict::HEAD.to_owned(), |text, row| text + &row)
}
