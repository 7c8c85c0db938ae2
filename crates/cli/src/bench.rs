//! `coracle bench`. In: its line. Out: on standard output what was measured, also when somebody stops it; a page when one is wanted.

use std::{fs, path::Path, process::ExitCode, thread};

use anyhow::Context as _;
use coracle_load::{MeasureError, Report, Stop, SubjectError, TargetError, measure};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    args::{Bench, Format},
    progress::Progress,
};

/// A process that ended because of SIGINT.
const INTERRUPTED: u8 = 130;

/// Measures; status 0 when requests were answered as expected.
pub(crate) fn bench(args: &Bench) -> ExitCode {
    match run(args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            if let Some(hint) = hint(&error) {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the figures are this command's result")]
fn run(args: &Bench) -> anyhow::Result<ExitCode> {
    let sides = args.sides()?;
    let plan = args.plan();
    let stop = Stop::new();
    stop_on_signals(&stop)?;
    let progress = Progress::stderr();
    let mut step = None;
    let measured = measure(sides, &plan, Path::new("/proc/self/exe"), &stop, |doing| {
        // The one before is over.
        step = None;
        step = Some(progress.step(doing));
    });
    drop(step);
    let report = Report::new(plan, measured?, stop.is_stopped());
    match args.format {
        Format::Table => print!("{}", report.table()),
        Format::Json => println!("{:#}", report.json()),
    }
    if let Some(file) = &args.report {
        fs::write(file, report.page()).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(match (stop.is_stopped(), report.has_answers()) {
        (true, _) => ExitCode::from(INTERRUPTED),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::FAILURE,
    })
}

/// The first ends the measurement, which is then told; a second one ends this program, and with it what it started.
fn stop_on_signals(stop: &Stop) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    let stop = stop.clone();
    thread::spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if stop.is_stopped() {
                    std::process::exit(INTERRUPTED.into());
                }
                stop.stop();
            }
        });
    });
    Ok(())
}

fn hint(error: &anyhow::Error) -> Option<String> {
    if let Some(error) = error.downcast_ref::<TargetError>() {
        return error.hint();
    }
    if let Some(error) = error.downcast_ref::<SubjectError>() {
        return error.hint();
    }
    error.downcast_ref::<MeasureError>()?.hint()
}
