//! The parts of a request without HTTP, in this process: what a fresh instance costs, what a bucket costs, what a layer costs.
//!
//! In: components and an embedded store on this disk. Out: medians over rounds, each beside the engine's or the vendor's own in the same
//! round, and the promises that follow.

mod embedded;
pub(crate) mod invocation;
mod layers;
mod redis;

use std::{path::PathBuf, time::Duration};

use crate::{
    contender::Paths,
    document, machine,
    statistics::Rounds,
    verdict::{self, Promise},
};

/// What else may run when a round begins, of one core, and how long to wait for it.
const QUIET: f64 = 0.05;
const QUIET_WAIT: Duration = Duration::from_secs(30);

/// The parts of a request without HTTP
#[derive(Debug, clap::Args)]
pub(crate) struct Inproc {
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Where the embedded store is measured: the directory decides which disk [default: beside this program]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Take the guests as they are
    #[arg(long)]
    no_build: bool,
    /// Leave docs/benchmarks.md alone
    #[arg(long)]
    dry: bool,
}

/// One line of the table.
pub(crate) struct Figure {
    pub(crate) what: &'static str,
    pub(crate) measured: Rounds,
    pub(crate) unit: &'static str,
    /// Whose, and how much.
    pub(crate) beside: Vec<(&'static str, Rounds)>,
    /// What was promised of it, and what of these figures counts.
    pub(crate) promise: Option<(Promise, Rounds)>,
}

impl Inproc {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let paths = Paths::find(None)?;
        if !self.no_build {
            paths.build()?;
        }
        // One thread, as on a core that serves.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let dir = self.dir.as_ref().unwrap_or(&paths.work);
        let mut figures = Vec::new();
        runtime.block_on(async {
            figures.extend(invocation::measure(&paths, self.rounds).await?);
            figures.extend(layers::measure(self.rounds).await?);
            anyhow::Ok(())
        })?;
        // The store has threads of its own: writers on several cores, as in a node.
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(async {
            figures.extend(embedded::measure(dir, self.rounds).await?);
            figures.extend(redis::measure(self.rounds).await?);
            anyhow::Ok(())
        })?;
        let text = format!(
            "{}\nVersions: {}. {} rounds, interleaved with what stands beside; keys and values of 64 bytes.\n\n{}\n{}",
            machine::facts(),
            machine::crates(&["wasmtime", "redb", "redis", "mimalloc"]),
            self.rounds,
            table(&figures),
            promises(&figures)
        );
        println!("{text}");
        if !self.dry {
            document::write("inproc", &text)?;
        }
        Ok(())
    }
}

fn table(figures: &[Figure]) -> String {
    let mut text = String::from("| what | measured, median (range) | beside it |\n|---|---|---|\n");
    for figure in figures {
        let unit = figure.unit;
        let beside = figure
            .beside
            .iter()
            .map(|(whose, rounds)| format!("{whose} {rounds:.2} {unit}"));
        let beside: Vec<String> = beside.collect();
        text += &format!(
            "| {} | {:.2} {unit} | {} |\n",
            figure.what,
            figure.measured,
            beside.join("; ")
        );
    }
    text
}

fn promises(figures: &[Figure]) -> String {
    let promised = figures.iter().filter_map(|figure| figure.promise.as_ref());
    let rows = promised.map(|(promise, rounds)| promise.row(Some(rounds)));
    verdict::HEAD.to_owned() + &rows.collect::<String>()
}
