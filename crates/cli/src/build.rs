//! Makes the components whose manifest says how. In: an app. Out: every source newer than what it is made from, or the first command
//! that failed with all it said. Compiling to machine code is the engine's; so is deciding whether a file is a component.
//!
//! Time stamps decide, and only they. So a build leaves a true one: a source that Cargo found up to date, or from under which an input
//! was edited during the build, is stamped with the time at which the build began. The first is then not built at every start, and
//! the second is built again.

use std::{
    collections::{BTreeMap, hash_map::DefaultHasher},
    fmt, fs,
    hash::{Hash as _, Hasher as _},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use coracle_manifest::app::{App, Build, Component};

use self::{command::Ended, failure::FailureKind, inputs::Inputs, target::Toolchain};
use crate::progress::Progress;

pub(crate) use self::failure::BuildFailure;

mod command;
mod failure;
pub(crate) mod inputs;
mod target;

#[cfg(test)]
mod tests;

/// How far the clock that stamps files may be behind: the kernel's ticks at 100 Hz or faster.
pub(crate) const CLOCK_TICK: Duration = Duration::from_millis(20);

/// Whether Coracle builds: the other way round of `--no-build`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Building {
    /// What is older than its inputs.
    Stale,
    /// Nothing: sources are taken as they are.
    Never,
}

/// Why a component is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There is no such file yet.
    Missing,
    /// This input is newer; its path begins in the build's folder.
    Older(PathBuf),
    /// This input was deleted or moved; its path begins in the build's folder.
    Untimed(PathBuf),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it was not there yet"),
            Self::Older(input) => write!(f, "{} was newer", input.display()),
            Self::Untimed(input) => write!(f, "{} was deleted or moved", input.display()),
        }
    }
}

/// Whether `component` of `app` has to be built: it says how, and its source is missing or older than an input.
///
/// # Errors
/// When the source is there and cannot be looked at.
pub(crate) fn stale(component: &Component, app: &App) -> io::Result<Option<Reason>> {
    let Some(build) = &component.build else {
        return Ok(None);
    };
    let written = match fs::metadata(&component.source) {
        Ok(metadata) => metadata.modified()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Reason::Missing)),
        Err(error) => return Err(error),
    };
    let inputs = Inputs::of(build, app);
    let newest = files(&inputs).max_by_key(|(_, modified)| *modified);
    Ok(newest
        .filter(|(_, modified)| *modified > written)
        .map(|(path, _)| Reason::Older(path.strip_prefix(inputs.dir()).unwrap_or(&path).into())))
}

/// Builds every stale component of `app`, each distinct command once, in the order of the components' names.
///
/// `untimed` are inputs that changed without a time stamp to show it, deleted or moved (`watch::Change`); none at the start.
/// Dropping the future kills the command and all it started: select it against the signals.
///
/// # Errors
/// The first command that fails, or that does not write what the manifest says it makes.
pub(crate) async fn build_all(
    app: &App,
    untimed: &[PathBuf],
    progress: &Progress,
) -> Result<(), BuildFailure> {
    build_with(&Toolchain::default(), app, untimed, progress).await
}

async fn build_with(
    toolchain: &Toolchain,
    app: &App,
    untimed: &[PathBuf],
    progress: &Progress,
) -> Result<(), BuildFailure> {
    for job in jobs(app) {
        let outdated = job.outdate(untimed);
        let reason = match job.stale(app).await {
            Ok(None) => continue,
            Ok(Some(reason)) => outdated.unwrap_or(reason),
            Err(error) => return Err(job.failure(FailureKind::NotRun(error))),
        };
        job.run(toolchain, &reason, progress).await?;
    }
    Ok(())
}

/// One command, and the components it makes.
struct Job<'a> {
    build: &'a Build,
    components: Vec<&'a Component>,
    inputs: Inputs,
}

fn jobs(app: &App) -> Vec<Job<'_>> {
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for component in app.components.values() {
        let Some(build) = &component.build else {
            continue;
        };
        match jobs.iter_mut().find(|job| job.build == build) {
            Some(job) => job.components.push(component),
            None => jobs.push(Job {
                build,
                components: vec![component],
                inputs: Inputs::of(build, app),
            }),
        }
    }
    jobs
}

impl Job<'_> {
    /// Walking a large folder blocks, and under `--watch` requests are being served.
    async fn stale(&self, app: &App) -> io::Result<Option<Reason>> {
        for &component in &self.components {
            let (component, app) = (component.clone(), app.clone());
            let found = tokio::task::spawn_blocking(move || stale(&component, &app)).await;
            if let Some(reason) = found.map_err(io::Error::other)?? {
                return Ok(Some(reason));
            }
        }
        Ok(None)
    }

    async fn run(
        &self,
        toolchain: &Toolchain,
        reason: &Reason,
        progress: &Progress,
    ) -> Result<(), BuildFailure> {
        let provided = toolchain.provide(self.build, progress).await;
        provided.map_err(|kind| self.failure(kind))?;
        let before = self.contents().await;
        let began = SystemTime::now();

        let step = progress.step(format!("building {}", self.label()));
        let command = command::shell(&self.build.command, &self.build.dir);
        let ended = command::run(command, |line| step.note(line)).await;
        let Ended { status, output } = match ended {
            Ok(ended) => ended,
            Err(error) => return Err(self.failure(FailureKind::NotRun(error))),
        };
        if !status.success() {
            return Err(BuildFailure {
                hint: toolchain.hint(self.build).await,
                ..self.failure(FailureKind::Status(status, output))
            });
        }
        if let Some(missing) = self.components.iter().find(|c| !c.source.is_file()) {
            return Err(BuildFailure {
                hint: elsewhere(self.build),
                ..self.failure(FailureKind::NothingWritten(missing.source.clone(), output))
            });
        }
        let after = self.contents().await;
        self.stamp(began, edited(&before, &after));
        step.finish(format_args!("built {} ({reason})", self.label()));
        Ok(())
    }

    /// See the top of this file. Every other source keeps its time: made older than the libraries it was linked from, Cargo would
    /// link it again.
    fn stamp(&self, began: SystemTime, edited_meanwhile: bool) {
        for component in &self.components {
            let written = fs::metadata(&component.source).and_then(|m| m.modified());
            if edited_meanwhile {
                set_modified(
                    &component.source,
                    began.checked_sub(CLOCK_TICK).unwrap_or(began),
                );
            } else if written.is_ok_and(|written| written < began) {
                set_modified(&component.source, began);
            }
        }
    }

    /// Makes the sources older than an input when one is among `untimed`: on the disk, so that a failing build does not forget it.
    fn outdate(&self, untimed: &[PathBuf]) -> Option<Reason> {
        let dir = self.inputs.dir();
        let input = untimed
            .iter()
            .find_map(|path| path.strip_prefix(dir).ok())?;
        let (_, newest) = files(&self.inputs).max_by_key(|(_, modified)| *modified)?;
        let older = newest.checked_sub(Duration::from_millis(1))?;
        for component in &self.components {
            set_modified(&component.source, older);
        }
        Some(Reason::Untimed(input.to_path_buf()))
    }

    async fn contents(&self) -> BTreeMap<PathBuf, u64> {
        let inputs = self.inputs.clone();
        let read = move || {
            files(&inputs)
                .filter_map(|(path, modified)| {
                    let hash = content(&path, modified).ok()?;
                    Some((path, hash))
                })
                .collect()
        };
        tokio::task::spawn_blocking(read).await.unwrap_or_default()
    }

    fn failure(&self, kind: FailureKind) -> BuildFailure {
        BuildFailure {
            components: self.label(),
            build: self.build.clone(),
            kind,
            hint: None,
        }
    }

    fn label(&self) -> String {
        let names: Vec<&str> = self.components.iter().map(|c| c.name.as_str()).collect();
        names.join(", ")
    }
}

/// Whether a file that was there before reads differently now. A file that the build rewrites as it was is no edit, a new one neither:
/// it is older than the source that was made with it.
fn edited(before: &BTreeMap<PathBuf, u64>, after: &BTreeMap<PathBuf, u64>) -> bool {
    before
        .iter()
        .any(|(path, content)| after.get(path).is_some_and(|now| now != content))
}

fn files(inputs: &Inputs) -> impl Iterator<Item = (PathBuf, SystemTime)> {
    inputs.walk().filter_map(|input| {
        let modified = input.metadata.modified().ok()?;
        (!input.metadata.is_dir()).then_some((input.path, modified))
    })
}

/// What a file holds, as a number; of a large one, when it was written.
fn content(path: &Path, modified: SystemTime) -> io::Result<u64> {
    const LARGE_BYTES: u64 = 4 << 20;
    let mut hasher = DefaultHasher::new();
    let metadata = fs::metadata(path)?;
    if metadata.is_file() && metadata.len() <= LARGE_BYTES {
        fs::read(path)?.hash(&mut hasher);
    } else {
        modified.hash(&mut hasher);
    }
    Ok(hasher.finish())
}

/// Without the right to it the component is built once more at the next start, which does no harm.
fn set_modified(source: &Path, time: SystemTime) {
    if let Err(error) = fs::File::open(source).and_then(|file| file.set_modified(time)) {
        tracing::debug!(source = %source.display(), %error, "cannot set the time stamp");
    }
}

/// Why Cargo may have written to another place than the manifest says.
fn elsewhere(build: &Build) -> Option<String> {
    let variables = ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"];
    variables.iter().find_map(|variable| {
        let dir = std::env::var_os(variable).filter(|_| build.command.contains("cargo"))?;
        let dir = dir.display();
        Some(format!("{variable} is set, so Cargo writes below {dir}"))
    })
}
