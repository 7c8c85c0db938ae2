//! The regression gate: what a request costs in instructions, which do not depend on the machine's mood.
//!
//! In: `valgrind`, and the budget in instructions.toml. Out: instructions per request on the product's path; an error with the functions that
//! grew when a request costs more than the budget and its tolerance. A request's cost is the difference between a long and a short run, so
//! that neither starting nor warming up counts.

mod budget;
mod callgrind;

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum;
use coracle_capability::keyvalue::Buckets;
use coracle_engine::Pool;

use self::{budget::Budgets, callgrind::Profile};
use crate::{
    bare::{Bare, open_cache_with, prepare},
    contender::Paths,
    document::repository,
    inproc::invocation::{Product, bare_calls},
};

/// What may be added before the gate fails.
const TOLERANCE: f64 = 0.03;

/// Requests of the short and of the long run. The first few hundred still touch new pages and grow tables.
const SHORT: u32 = 400;
const LONG: u32 = 1_000;

/// Instructions of a request against the budget
#[derive(Debug, clap::Args)]
pub(crate) struct Gate {
    /// Write what is measured as the new budget
    #[arg(long)]
    bless: bool,
    /// Take the guests as they are
    #[arg(long)]
    no_build: bool,
    /// Say which functions these instructions are in, whether or not one grew
    #[arg(long)]
    functions: bool,
}

/// Nothing but requests, for a profiler
#[derive(Debug, clap::Args)]
pub(crate) struct Loop {
    what: What,
    times: u32,
    /// Where the compiled component is kept [default: beside this program]
    #[arg(long)]
    cache: Option<PathBuf>,
}

/// Which path a request takes.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// The product, WASI 0.2
    P2,
    /// The product, WASI 0.3
    P3,
    /// Bare Wasmtime, WASI 0.2
    BareP2,
    /// Bare Wasmtime, WASI 0.3
    BareP3,
}

impl What {
    /// What has a budget.
    const GATED: [What; 2] = [What::P2, What::P3];

    fn key(self) -> &'static str {
        match self {
            What::P2 => "p2",
            What::P3 => "p3",
            What::BareP2 => "bare-p2",
            What::BareP3 => "bare-p3",
        }
    }

    fn generation(self) -> u8 {
        match self {
            What::P2 | What::BareP2 => 2,
            What::P3 | What::BareP3 => 3,
        }
    }
}

impl Loop {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let paths = Paths::find(None)?;
        // A pool that valgrind can map.
        let small = Pool {
            slots: 4,
            max_memory_bytes: 64 << 20,
            ..Pool::default()
        };
        let beside = || paths.work.join("inproc");
        let cache = open_cache_with(&self.cache.clone().unwrap_or_else(beside), small)?;
        let file = paths.auth_static(self.what.generation());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let each = runtime.block_on(async {
            match self.what {
                What::P2 | What::P3 => {
                    let product = Product::new(&cache, &file, Buckets::default())?;
                    product.calls(self.times).await
                }
                What::BareP2 | What::BareP3 => {
                    bare_calls(&Bare::new(&prepare(&cache, &file)?)?, self.times).await
                }
            }
        })?;
        println!("{} requests, {each:.1} µs each", self.times);
        Ok(())
    }
}

impl Gate {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        if !self.no_build {
            Paths::find(None)?.build_guests()?;
        }
        let file = repository().join("crates/bench/instructions.toml");
        let mut budgets = Budgets::read(&file)?;
        let mut grown = String::new();
        for what in What::GATED {
            let measured = measure(what)?;
            let total = measured.total();
            if self.functions {
                print!("{}", measured.largest(40));
            }
            match budgets.get(what.key()) {
                _ if self.bless => println!("{}: {total} instructions a request", what.key()),
                None => bail!("{} has no budget for {}", file.display(), what.key()),
                Some(budget) => {
                    let change = total as f64 / budget.total() as f64 - 1.0;
                    println!(
                        "{}: {total} instructions a request, {:+.1} % of the budget of {}",
                        what.key(),
                        change * 100.0,
                        budget.total()
                    );
                    if change > TOLERANCE {
                        grown += &format!("{}: {}", what.key(), measured.grown_since(budget));
                    }
                }
            }
            budgets.set(what.key(), measured);
        }
        if self.bless {
            return budgets.write(&file);
        }
        ensure!(
            grown.is_empty(),
            "a request costs over {:.0} % more instructions than {} allows\n{grown}When that is wanted: coracle-bench gate --bless",
            TOLERANCE * 100.0,
            file.display()
        );
        Ok(())
    }
}

/// What one more request costs.
fn measure(what: What) -> anyhow::Result<Profile> {
    let directory = tempfile::tempdir()?;
    let run = |times: u32| {
        let file = directory.path().join(format!("{times}.%p"));
        let mut command = Command::new("valgrind");
        // The compiling child too: outside, it would use instructions that are not to be had inside.
        command
            .args(["--tool=callgrind", "--trace-children=yes", "--quiet"])
            .arg(format!("--callgrind-out-file={}", file.display()))
            .arg(std::env::current_exe()?)
            .args(["loop", what.key(), &times.to_string(), "--cache"])
            .arg(directory.path().join("cache"));
        let child = command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .context("running valgrind (Debian: apt-get install valgrind)")?;
        let written = directory.path().join(format!("{times}.{}", child.id()));
        let output = child.wait_with_output()?;
        ensure!(
            output.status.success(),
            "the requests of {} under valgrind: {}\n{}",
            what.key(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        let text = fs::read_to_string(&written)
            .with_context(|| format!("reading {}", written.display()))?;
        Profile::parse(&text)
    };
    // Compiles, and leaves the artifact for the two that count.
    run(1)?;
    let (short, long) = (run(SHORT)?, run(LONG)?);
    Ok(long.less(&short).over(LONG - SHORT))
}
