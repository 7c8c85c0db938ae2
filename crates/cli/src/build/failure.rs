//! Why a component could not be built, for the person at the terminal. In: what went wrong where. Out: text that follows `error: `,
//! with the command, its folder and everything it said.

use std::{fmt, io, path::PathBuf, process::ExitStatus};

use coracle_manifest::app::Build;

/// Why [`super::build_all`] stopped.
#[derive(Debug)]
pub(crate) struct BuildFailure {
    /// The components the command was to make: `auth` or `auth, orders`.
    pub(crate) components: String,
    /// The command and its folder.
    pub(crate) build: Build,
    /// What went wrong.
    pub(crate) kind: FailureKind,
    /// What to do about it, where that can be told.
    pub(crate) hint: Option<String>,
}

/// What went wrong.
#[derive(Debug)]
pub(crate) enum FailureKind {
    /// The command could not be run at all.
    NotRun(io::Error),
    /// It ended with another status than 0. Holds all it wrote.
    Status(ExitStatus, String),
    /// It ended well, and there is no file where the manifest says it makes one. Holds all it wrote.
    NothingWritten(PathBuf, String),
    /// The wasm target was missing and could not be added. Holds what `rustup` wrote.
    NoTarget(String),
}

impl fmt::Display for BuildFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let components = &self.components;
        let output = match &self.kind {
            FailureKind::NotRun(error) => {
                write!(f, "building {components} failed: {error}")?;
                ""
            }
            FailureKind::Status(status, output) => {
                write!(f, "building {components} failed: {status}")?;
                output
            }
            FailureKind::NothingWritten(source, output) => {
                let source = source.display();
                write!(
                    f,
                    "building {components} failed: the command succeeded but did not write {source}"
                )?;
                output
            }
            FailureKind::NoTarget(output) => {
                write!(
                    f,
                    "building {components} needs the wasm32-wasip2 target, which could not be added"
                )?;
                output
            }
        };
        write!(f, "\n  command: {}", self.build.command)?;
        write!(f, "\n  folder: {}", self.build.dir.display())?;
        match output.trim_end() {
            "" => f.write_str("\n  output: none")?,
            output => write!(f, "\n  output:\n{output}")?,
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for BuildFailure {}
