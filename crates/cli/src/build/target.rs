//! The wasm target of a Rust toolchain. In: a build that asks for it. Out: the target installed and said so, or what to do instead.

use std::{ffi::OsString, io, path::PathBuf};

use coracle_manifest::app::Build;
use tokio::process::Command;

use super::{command, failure::FailureKind};
use crate::progress::Progress;

const TARGET: &str = "wasm32-wasip2";

/// The programs that know about toolchains.
pub(crate) struct Toolchain {
    pub(crate) rustup: OsString,
    pub(crate) rustc: OsString,
}

impl Default for Toolchain {
    /// Those on the path.
    fn default() -> Self {
        Self {
            rustup: "rustup".into(),
            rustc: "rustc".into(),
        }
    }
}

impl Toolchain {
    /// Adds the target when `build` asks for it and `rustup` says that it is missing. Without `rustup` it is the build that will tell.
    pub(crate) async fn provide(
        &self,
        build: &Build,
        progress: &Progress,
    ) -> Result<(), FailureKind> {
        if !build.command.contains(TARGET) || self.has_target(build, progress).await {
            return Ok(());
        }
        progress.say(format_args!(
            "the Rust toolchain has no {TARGET} target, so it is added: rustup target add {TARGET}"
        ));
        let step = progress.step(format!("adding the {TARGET} target"));
        let mut add = Command::new(&self.rustup);
        add.args(["target", "add", TARGET]).current_dir(&build.dir);
        let ended = command::run(add, |line| step.note(line)).await;
        let ended = ended.map_err(FailureKind::NotRun)?;
        if !ended.status.success() {
            return Err(FailureKind::NoTarget(ended.output));
        }
        step.finish(format_args!("added the {TARGET} target"));
        Ok(())
    }

    /// True also when nobody can tell.
    async fn has_target(&self, build: &Build, progress: &Progress) -> bool {
        // Without a finish: it may take long only where `rustup` installs a whole toolchain first.
        let step = progress.step(format!("looking for the {TARGET} target"));
        let mut list = Command::new(&self.rustup);
        list.args(["target", "list", "--installed"])
            .current_dir(&build.dir);
        match command::run(list, |line| step.note(line)).await {
            Ok(ended) if ended.status.success() => {
                ended.output.lines().any(|line| line.trim() == TARGET)
            }
            _ => true,
        }
    }

    /// What to do about a failed build of `build`, if it is the toolchain that is missing.
    pub(crate) async fn hint(&self, build: &Build) -> Option<String> {
        let rust = ["cargo", "rustc", TARGET]
            .iter()
            .any(|word| build.command.contains(word));
        if !rust {
            return None;
        }
        let mut libraries = Command::new(&self.rustc);
        libraries
            .args(["--print", "target-libdir", "--target", TARGET])
            .current_dir(&build.dir);
        match libraries.output().await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Some("Rust is not installed, or not on the PATH; see https://rustup.rs".to_owned())
            }
            Ok(said) if build.command.contains(TARGET) && self.is_missing().await => {
                let folder = PathBuf::from(String::from_utf8_lossy(&said.stdout).trim());
                (!folder.is_dir()).then(|| {
                    format!(
                        "this Rust has no {TARGET} target and `rustup`, which adds it, is not installed; \
                         see https://rustup.rs, or install the target from where your Rust came"
                    )
                })
            }
            _ => None,
        }
    }

    async fn is_missing(&self) -> bool {
        let version = Command::new(&self.rustup).arg("--version").output().await;
        version.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }
}
