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
mod contender;
mod document;
mod inproc;
mod load;
mod machine;
mod native;
mod process;
mod start;
mod statistics;
mod verdict;

use std::{path::PathBuf, process::ExitCode};

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
    /// Every server under the same load, interleaved
    Compare(compare::Compare),
    /// The parts of a request without HTTP
    Inproc(inproc::Inproc),
    /// Process start to first answer, and idle memory
    Start(start::Start),
    /// The auth service in hyper alone
    #[command(hide = true)]
    Native,
    /// One component on the product's engine and stock wasi-http, nothing of ours around it
    #[command(hide = true)]
    Bare { component: PathBuf, cache: PathBuf },
    /// What the engine's cache starts to compile
    #[command(hide = true)]
    CompileComponent { kind: String },
}

fn main() -> ExitCode {
    let ended = match Args::parse().command {
        Command::Compare(compare) => compare.run(),
        Command::Inproc(inproc) => inproc.run(),
        Command::Start(start) => start.run(),
        Command::Native => native::serve(),
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
