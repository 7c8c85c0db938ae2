//! What a person types. In: the command line. Out: commands with every value parsed, or clap's message and status 2.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{
    Args as Arguments, CommandFactory as _, Parser, Subcommand, ValueEnum, error::ErrorKind,
};

use crate::build::Building;

mod bench;
#[cfg(test)]
mod tests;

pub(crate) use bench::{Bench, Format};

/// Runs HTTP services as WebAssembly components.
///
/// A service starts in microseconds, shares one process with many others, and can do what its manifest grants and nothing else.
#[derive(Debug, Parser)]
#[command(
    name = "coracle",
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  coracle new hello && cd hello        Write a service in Rust
  coracle run --watch                  Build and serve it; swap it when you save
  coracle run shop blog                Several apps behind one listener
  coracle run auth.wasm                One component, no manifest
  coracle check                        What each part of the app here can reach
  coracle bench http://localhost:8080/ Load a service, and say what it costs

`coracle help run` tells more."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The first word.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Box<Run>),
    New(New),
    Check(Check),
    Inspect(Inspect),
    Replay(Replay),
    /// Look into recordings
    Recording {
        #[command(subcommand)]
        command: RecordingCommand,
    },
    Bench(Box<Bench>),
    /// Compile the component on stdin: what `run` starts, so that a compiler bug ends another process
    #[command(hide = true)]
    CompileComponent {
        /// `sequential` or `concurrent`
        kind: String,
    },
    /// Run a command until stdin ends: what `bench --start` starts, so that nothing is left behind
    #[command(hide = true, name = coracle_load::KEEPER)]
    KeepProcess {
        /// For `sh -c`
        command: String,
    },
}

/// Serve apps, or one component.
///
/// Builds what is older than its inputs, compiles each component once, and serves every route of every app behind one listener.
/// On stdout appears one line when requests are accepted: `ready: http://ADDRESS`. SIGINT and SIGTERM let running requests finish;
/// a second signal ends at once.
#[derive(Debug, Arguments)]
#[command(after_help = "\
Examples:
  coracle run                          The app whose coracle.toml is here
  coracle run examples/auth --profile test
  coracle run shop blog --listen 0.0.0.0:80 --log json
  coracle run auth.wasm --grant 'clock = true' --grant 'keyvalue = [{ bucket = \"keys\" }]'")]
pub(crate) struct Run {
    /// Folders that hold a coracle.toml, or one FILE.wasm [default: .]
    #[arg(value_name = "APP_DIR|FILE.wasm")]
    targets: Vec<PathBuf>,

    /// Where to accept requests; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", value_parser = address)]
    pub(crate) listen: SocketAddr,

    /// Lay this profile of the manifests over them
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// Grant this to FILE.wasm: a line of a manifest's grants table; may be repeated
    #[arg(long, value_name = "TOML")]
    grant: Vec<String>,

    /// Rebuild and swap when a file changes
    #[arg(long)]
    pub(crate) watch: bool,

    /// Take components as they are, however old
    #[arg(long)]
    no_build: bool,

    /// Write every request to a file in this directory: its calls, their answers and the response
    #[arg(long, value_name = "DIR")]
    pub(crate) record: Option<PathBuf>,

    /// Replace the value of this header everywhere in recordings; may be repeated
    #[arg(long, value_name = "HEADER", requires = "record")]
    pub(crate) redact: Vec<String>,

    /// Hold every write back and list it in the log: buckets stay as they are, and only safe outbound requests are sent
    #[arg(long, conflicts_with = "record")]
    pub(crate) hold_writes: bool,

    /// Where buckets and compiled components are kept; one process at a time
    #[arg(long, value_name = "DIR", default_value = ".coracle")]
    pub(crate) state_dir: PathBuf,

    /// The operator's file: which backends there are and what may be granted [default: ./host.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) host_file: Option<PathBuf>,

    /// How log lines are written on stderr
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Human)]
    pub(crate) log: LogFormat,

    /// Whether each request leaves a log line
    #[arg(long, value_name = "WHETHER", value_enum, default_value_t = AccessLog::On)]
    pub(crate) access_log: AccessLog,

    /// Also serve /livez, /readyz and /metrics, here
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    pub(crate) admin: Option<SocketAddr>,

    /// How long running requests may take to finish after a signal, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) grace: Duration,
}

/// Write a new service in Rust.
#[derive(Debug, Arguments)]
pub(crate) struct New {
    /// Lower-case letters, digits and hyphens
    pub(crate) name: String,

    /// The folder to write; new or empty [default: ./NAME]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// Say whether an app could be served, and what each part of it can reach.
///
/// Reads the manifest, the operator's file and the components, and runs nothing. Prints who calls whom and what each component may do,
/// itself and through those it calls. Exit status 0 when nothing is wrong, 1 when `--can-reach` says no, 2 when something is wrong.
#[derive(Debug, Arguments)]
#[command(after_help = "\
Examples:
  coracle check
  coracle check --format svg > app.svg
  coracle check --can-reach orders bucket:ledger
  coracle check --can-reach 'POST /orders/{id}' 'host:*.example.com'
  coracle check --against ../released          What this version may that the other may not")]
pub(crate) struct Check {
    /// The folder that holds a coracle.toml
    #[arg(value_name = "APP_DIR", default_value = ".")]
    pub(crate) app: PathBuf,

    /// Lay this profile of the manifest over it
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// Print what this version may that the app in DIR may not, and the other way round
    #[arg(long, value_name = "DIR", conflicts_with = "can_reach")]
    pub(crate) against: Option<PathBuf>,

    /// Print every way from FROM, a component or a route, to TO: a component, bucket:NAME, host:NAME, secret:NAME or dir:PATH
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"])]
    pub(crate) can_reach: Option<Vec<String>>,

    /// How to print; dot and svg draw the graph
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = GraphFormat::Text)]
    pub(crate) format: GraphFormat,

    /// The operator's file: which backends there are and what may be granted [default: ./host.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) host_file: Option<PathBuf>,
}

/// Say what a component is, and which grants it would need.
#[derive(Debug, Arguments)]
pub(crate) struct Inspect {
    /// A component
    #[arg(value_name = "FILE.wasm")]
    pub(crate) file: PathBuf,

    /// How to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = TextFormat::Text)]
    pub(crate) format: TextFormat,
}

/// `check --format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// For a person
    Text,
    /// For a program
    Json,
    /// For Graphviz
    Dot,
    /// A drawing
    Svg,
}

/// `inspect --format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TextFormat {
    /// For a person
    Text,
    /// For a program
    Json,
}

/// Run a recorded request again, with no backend, and say what differs.
///
/// Exit status 0 when the component did and answered the same, 1 when something differs, 2 when the recording cannot be run.
#[derive(Debug, Arguments)]
pub(crate) struct Replay {
    /// What `coracle run --record` wrote
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Run another version of the component
    #[arg(long, value_name = "COMPONENT=FILE.wasm", value_parser = replacement)]
    pub(crate) with: Option<Replacement>,

    /// Run it this often, and stop at the first difference
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) times: u32,

    /// The operator's file: where the values of secrets are [default: ./host.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) host_file: Option<PathBuf>,

    /// Where compiled components are kept, and the key of the digests in recordings
    #[arg(long, value_name = "DIR", default_value = ".coracle")]
    pub(crate) state_dir: PathBuf,
}

/// `COMPONENT=FILE.wasm`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replacement {
    pub(crate) component: String,
    pub(crate) file: PathBuf,
}

/// What can be done with a recording beside replaying it.
#[derive(Debug, Subcommand)]
pub(crate) enum RecordingCommand {
    /// Print the request, every call with its answer, and the response
    Show {
        /// What `coracle run --record` wrote
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// `--log`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For a person
    Human,
    /// For a program: one JSON object per line
    Json,
}

/// `--access-log`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AccessLog {
    /// One line per request
    On,
    /// None
    Off,
}

/// What is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Served {
    /// Folders of apps, at least one.
    Apps(Vec<PathBuf>),
    /// One component without a manifest, and lines of its grants table.
    Component { file: PathBuf, grants: Vec<String> },
}

impl Check {
    /// A drawing shows the whole graph: an answer or a difference has none.
    ///
    /// # Errors
    /// When the line asks for one; `exit()` on it ends like any other wrong line.
    pub(crate) fn drawable(&self) -> Result<(), clap::Error> {
        let whole = self.against.is_none() && self.can_reach.is_none();
        match self.format {
            GraphFormat::Dot | GraphFormat::Svg if !whole => Err(conflict(
                "check",
                "--format dot and svg draw the whole graph; ask --can-reach and --against for text or json",
            )),
            _ => Ok(()),
        }
    }
}

impl Run {
    /// Apps or a component, told apart by `.wasm`.
    ///
    /// # Errors
    /// When the line mixes the two; `exit()` on it ends like any other wrong line.
    pub(crate) fn served(&self) -> Result<Served, clap::Error> {
        let (files, dirs): (Vec<_>, Vec<_>) = self
            .targets
            .iter()
            .cloned()
            .partition(|target| is_component(target));
        match (files.as_slice(), dirs.as_slice()) {
            ([], _) if !self.grant.is_empty() => Err(conflict(
                "run",
                "--grant is for `coracle run FILE.wasm`; the grants of an app are in its coracle.toml",
            )),
            ([], []) => Ok(Served::Apps(vec![PathBuf::from(".")])),
            ([], _) => Ok(Served::Apps(dirs)),
            ([_], []) if self.profile.is_some() => Err(conflict(
                "run",
                "--profile is for apps: a component without a manifest has no profiles",
            )),
            ([file], []) => Ok(Served::Component {
                file: file.clone(),
                grants: self.grant.clone(),
            }),
            ([_, _, ..], []) => Err(conflict(
                "run",
                "only one component can be run without a manifest; to run several, write a coracle.toml with a route to each",
            )),
            ([file, ..], [dir, ..]) => Err(conflict(
                "run",
                format!(
                    "{} is a component and {} an app; run one or the other, or name the component in a coracle.toml",
                    file.display(),
                    dir.display()
                ),
            )),
        }
    }

    /// What `--no-build` says.
    pub(crate) fn building(&self) -> Building {
        if self.no_build {
            Building::Never
        } else {
            Building::Stale
        }
    }
}

fn is_component(target: &Path) -> bool {
    target
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("wasm"))
        && !target.is_dir()
}

fn conflict(subcommand: &str, message: impl std::fmt::Display) -> clap::Error {
    let mut command = Args::command();
    command.build();
    match command.find_subcommand_mut(subcommand) {
        Some(subcommand) => subcommand.error(ErrorKind::ArgumentConflict, message),
        None => command.error(ErrorKind::ArgumentConflict, message),
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "an IP address and a port are needed, such as 127.0.0.1:8080 or [::1]:8080".to_owned()
    })
}

fn replacement(text: &str) -> Result<Replacement, String> {
    let (component, file) = text
        .split_once('=')
        .ok_or("a component and a file are needed, such as auth=target/auth.wasm")?;
    Ok(Replacement {
        component: component.into(),
        file: file.into(),
    })
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text
        .parse()
        .map_err(|_| "a whole number of seconds is needed, such as 30")?;
    Ok(Duration::from_secs(seconds))
}
