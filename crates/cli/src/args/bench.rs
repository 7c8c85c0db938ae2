//! The line of `coracle bench`. In: words as users of curl write them. Out: what to load, how, and whose processes to watch.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::{Args as Arguments, ValueEnum};
use coracle_load::{Cgroup, Expected, Load, Pace, Plan, Protocol, Side, Subject, Target, Watched};

/// Load a service, or two beside each other, and say what they cost.
///
/// Sends requests at a fixed rate whether or not earlier ones were answered, and counts latency from the instant a request was due; or as
/// fast as answers come. Tells latency, throughput, errors by kind, and of the processes it is shown: processor time per request, memory, time
/// from start to first answer. What is not shown is not measured. Ctrl-C ends it and tells what was measured so far.
#[derive(Debug, Arguments)]
#[command(after_help = "\
Examples:
  coracle bench http://localhost:8080/auth/validate -H 'Authorization: Bearer key_123' --rate 1000
  coracle bench http://localhost:8080/ --pid $(pgrep -n coracle) --against http://localhost:3000/ --against-pid $(pgrep -n node)
  coracle bench http://localhost:8080/ --start 'coracle run shop' --report shop.html

Exit status 0 when requests were answered as expected, 1 when none was or nothing could be measured.")]
pub(crate) struct Bench {
    /// http://HOST[:PORT]/PATH
    url: String,

    /// Measure this too, in turns, and show both with their ratio
    #[arg(long, value_name = "URL")]
    against: Option<String>,

    /// Requests per second, each at its instant; or max: the next one when there is an answer
    #[arg(long, value_name = "N|max", default_value = "max")]
    rate: Pace,

    /// Connections that are kept
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,

    /// How long it counts, each round, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = some_seconds)]
    duration: Duration,

    /// How long it does not count before, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    warm_up: Duration,

    /// Rounds, in turns when there are two [default: 1, with --against 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,

    /// A header, `NAME: VALUE`; may be repeated
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,

    /// The method [default: GET, with a body POST]
    #[arg(short = 'X', long, visible_alias = "request")]
    method: Option<String>,

    /// The body, or @FILE
    #[arg(short = 'd', long, visible_alias = "data", value_name = "TEXT|@FILE")]
    body: Option<String>,

    /// HTTP/2 without TLS and without an upgrade
    #[arg(long, visible_alias = "http2-prior-knowledge")]
    http2: bool,

    /// Requests at once on each connection
    #[arg(long, value_name = "N", default_value_t = 1, requires = "http2", value_parser = clap::value_parser!(u32).range(1..=1000))]
    streams: u32,

    /// The statuses that are no error: 200, or 2xx, or several with commas between
    #[arg(long, value_name = "STATUS", default_value = "2xx")]
    expect: Expected,

    /// How long an answer may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = some_seconds)]
    timeout: Duration,

    /// How long a started service may take to its first answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = some_seconds)]
    ready_within: Duration,

    #[command(flatten)]
    process: ProcessOfThis,

    #[command(flatten)]
    against_process: ProcessAgainst,

    /// How the result is written on stdout
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,

    /// Also write a page with plots, complete in itself
    #[arg(long, value_name = "FILE.html")]
    pub(crate) report: Option<PathBuf>,
}

/// `--format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For a person
    Table,
    /// For a program
    Json,
}

#[derive(Debug, Arguments)]
#[group(multiple = false)]
struct ProcessOfThis {
    /// Measure this process and all below it
    #[arg(long, value_name = "PID")]
    pid: Option<i32>,

    /// Measure this control group: its directory, or what /proc/PID/cgroup calls it
    #[arg(long, value_name = "PATH")]
    cgroup: Option<PathBuf>,

    /// Start this with sh, measure it, and end it with everything it started
    #[arg(long, value_name = "COMMAND")]
    start: Option<String>,
}

#[derive(Debug, Arguments)]
#[group(multiple = false, requires = "against")]
struct ProcessAgainst {
    /// --pid of the other side
    #[arg(long, value_name = "PID", requires = "against")]
    against_pid: Option<i32>,

    /// --cgroup of the other side
    #[arg(long, value_name = "PATH", requires = "against")]
    against_cgroup: Option<PathBuf>,

    /// --start of the other side
    #[arg(long, value_name = "COMMAND", requires = "against")]
    against_start: Option<String>,
}

/// Whose processor time and memory is measured.
#[derive(Debug)]
enum Process<'a> {
    Nobody,
    Pid(i32),
    Cgroup(&'a PathBuf),
    Start(&'a str),
}

impl Bench {
    pub(crate) fn plan(&self) -> Plan {
        let rounds = self.rounds.unwrap_or(match self.against {
            Some(_) => 3,
            None => 1,
        });
        Plan {
            load: Load {
                connections: self.connections,
                streams: self.streams,
                pace: self.rate,
                warm_up: self.warm_up,
                duration: self.duration,
                timeout: self.timeout,
            },
            rounds,
            ready_within: self.ready_within,
        }
    }

    /// What is measured, and what it is measured against.
    pub(crate) fn sides(&self) -> anyhow::Result<Vec<Side>> {
        let mut sides = vec![self.side(&self.url, self.process.process())?];
        if let Some(url) = &self.against {
            sides.push(self.side(url, self.against_process.process())?);
        }
        Ok(sides)
    }

    fn side(&self, url: &str, process: Process<'_>) -> anyhow::Result<Side> {
        let target = self.target(url)?;
        let watched = match process {
            Process::Nobody => Watched::Nobody,
            Process::Pid(pid) => Watched::Running(Subject::process(pid)?),
            Process::Cgroup(path) => Watched::Running(Subject::Cgroup(Cgroup::open(path)?)),
            Process::Start(command) => Watched::Started(command.into()),
        };
        Ok(Side { target, watched })
    }

    fn target(&self, url: &str) -> anyhow::Result<Target> {
        let mut target = Target::new(url)?.expecting(self.expect.clone());
        if self.http2 {
            target = target.protocol(Protocol::Http2);
        }
        if let Some(body) = &self.body {
            target = target.method("POST")?.body(bytes_of(body)?.into());
        }
        if let Some(method) = &self.method {
            target = target.method(method)?;
        }
        for header in &self.headers {
            target = target.header(header)?;
        }
        Ok(target)
    }
}

impl ProcessOfThis {
    fn process(&self) -> Process<'_> {
        Process::of(self.pid, self.cgroup.as_ref(), self.start.as_deref())
    }
}

impl ProcessAgainst {
    fn process(&self) -> Process<'_> {
        Process::of(
            self.against_pid,
            self.against_cgroup.as_ref(),
            self.against_start.as_deref(),
        )
    }
}

impl<'a> Process<'a> {
    /// At most one of them is there.
    fn of(pid: Option<i32>, cgroup: Option<&'a PathBuf>, start: Option<&'a str>) -> Self {
        match (pid, cgroup, start) {
            (Some(pid), ..) => Process::Pid(pid),
            (_, Some(path), _) => Process::Cgroup(path),
            (.., Some(command)) => Process::Start(command),
            (None, None, None) => Process::Nobody,
        }
    }
}

/// As curl takes it, except that line breaks stay.
fn bytes_of(body: &str) -> anyhow::Result<Vec<u8>> {
    match body.strip_prefix('@') {
        Some(file) => fs::read(file).with_context(|| format!("reading the body from {file}")),
        None => Ok(body.as_bytes().to_vec()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || "a number of seconds is needed, such as 10 or 0.5".to_owned();
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    // More than a day is a mistake.
    if !(0.0..=86_400.0).contains(&seconds) {
        return Err(wrong());
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn some_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("it must be more than nothing".into()),
        some => Ok(some),
    }
}
