//! `coracle`: what a person types.
//!
//! Each command is a module that takes its parsed arguments and answers with an exit status. Standard output carries data only.

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command, RecordingCommand};

mod args;
mod bench;
mod build;
mod check;
mod inspect;
mod new;
mod progress;
mod replay;
mod run;
mod watch;

/// Faster than the system's under many small allocations from several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let ended = match Args::parse().command {
        Command::Run(run) => run::run(&run),
        Command::New(args) => create(&args),
        Command::Check(args) => return check::check(&args),
        Command::Inspect(args) => inspect::inspect(&args),
        Command::Replay(args) => return replay::replay(&args),
        Command::Recording {
            command: RecordingCommand::Show { file },
        } => replay::show_file(&file),
        Command::Bench(args) => return bench::bench(&args),
        Command::CompileComponent { kind } => return compile(&kind),
        Command::KeepProcess { command } => return coracle_load::keep(&command),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

#[expect(
    clippy::print_stdout,
    reason = "what to type next is this command's result"
)]
fn create(args: &args::New) -> anyhow::Result<ExitCode> {
    println!("{}", new::create(&args.name, args.dir.as_deref())?);
    Ok(ExitCode::SUCCESS)
}

fn compile(kind: &str) -> ExitCode {
    match coracle_engine::Kind::parse(kind) {
        Some(kind) => coracle_engine::compile::child(kind),
        None => {
            eprintln!("error: no such kind of engine: {kind}");
            ExitCode::FAILURE
        }
    }
}
