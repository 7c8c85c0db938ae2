//! Measures what is promised, each figure beside its baselines in one run.
//!
//! In: a release build, `wrk`, Node.js, and whatever else is there. Out: tables on standard output, and the same between the markers of
//! docs/benchmarks.md. The baselines that are ours to write, native hyper and bare Wasmtime, are subcommands of this program.
#![expect(
    clippy::print_stdout,
    reason = "tables and ready lines are what this program is for"
)]

mod bare;
mod compare;
mod container;
mod contender;
mod document;
mod gate;
mod inproc;
mod load;
mod machine;
mod native;
mod process;
mod start;
mod statistics;
mod verdict;

use std::{os::unix::process::CommandExt as _, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// The product's own: a baseline with another allocator would measure the allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Coracle beside its baselines.
#[derive(Debug, Parser)]
#[command(name = "coracle-bench")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The three below, one after another, as they write docs/benchmarks.md
    All(All),
    /// Every server under the same load, interleaved
    Compare(compare::Compare),
    /// The parts of a request without HTTP
    Inproc(inproc::Inproc),
    /// Instructions of a request against the budget of instructions.toml: fails when one rose by more than 3 %
    Gate(gate::Gate),
    /// Nothing but requests, one after the other in this thread: for a profiler
    Loop(gate::Loop),
    /// Process start to first answer, and idle memory
    Start(start::Start),
    /// The auth service in hyper alone
    #[command(hide = true)]
    Native,
    /// An echo in hyper alone
    #[command(hide = true)]
    NativeEcho,
    /// One component on the product's engine and stock wasi-http, nothing of ours around it
    #[command(hide = true)]
    Bare { component: PathBuf, cache: PathBuf },
    /// What the engine's cache starts to compile
    #[command(hide = true)]
    CompileComponent { kind: String },
}

/// Everything that is promised in numbers
#[derive(Debug, clap::Args)]
struct All {
    /// A `wasmtime` 48 [default: the one on PATH]
    #[arg(long, value_name = "PATH")]
    wasmtime: Option<PathBuf>,
}

impl All {
    /// Each as its own command: what one leaves in memory is not the next one's.
    fn run(&self) -> anyhow::Result<()> {
        for name in ["compare", "inproc", "start"] {
            let mut command = std::process::Command::new(std::env::current_exe()?);
            command.arg(name);
            // The parts of a request without HTTP have no servers.
            if let (Some(wasmtime), true) = (&self.wasmtime, name != "inproc") {
                command.arg("--wasmtime").arg(wasmtime);
            }
            anyhow::ensure!(command.status()?.success(), "{name} failed");
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    if let Err(error) = without_backtraces() {
        eprintln!("error: running without RUST_BACKTRACE: {error}");
        return ExitCode::FAILURE;
    }
    let ended = match Args::parse().command {
        Command::All(all) => all.run(),
        Command::Compare(compare) => compare.run(),
        Command::Inproc(inproc) => inproc.run(),
        Command::Gate(gate) => gate.run(),
        Command::Loop(requests) => requests.run(),
        Command::Start(start) => start.run(),
        Command::Native => native::serve(),
        Command::NativeEcho => native::echo(),
        Command::Bare { component, cache } => bare::serve(&component, &cache),
        Command::CompileComponent { kind } => {
            return coracle_engine::Kind::parse(&kind)
                .map_or(ExitCode::FAILURE, coracle_engine::compile::child);
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs this program again when errors would be made with backtraces: the engine makes an error in the course of every request of WASI 0.3, and a
/// backtrace costs more than the request.
fn without_backtraces() -> std::io::Result<()> {
    const NAMES: [&str; 2] = ["RUST_BACKTRACE", "RUST_LIB_BACKTRACE"];
    if NAMES.iter().all(|name| std::env::var_os(name).is_none()) {
        return Ok(());
    }
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.args(std::env::args_os().skip(1));
    NAMES.iter().for_each(|name| {
        command.env_remove(name);
    });
    Err(command.exec())
}
