//! What a build reads, as far as can be told from outside. In: a build's folder and what the app's builds write. Out: every file and
//! folder under it that git does not ignore, also where there is no repository.
//!
//! What lies outside the folder (path dependencies, a workspace one level up) is not seen: `dir = ".."` in the manifest widens it.

use std::{
    ffi::OsStr,
    fs::Metadata,
    path::{Path, PathBuf},
    sync::Arc,
};

use coracle_manifest::app::{App, Build};
use ignore::{DirEntry, WalkBuilder};

/// The folder of a build, and what in it is no input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inputs {
    dir: PathBuf,
    outputs: Arc<[PathBuf]>,
}

/// A file or folder that counts.
pub(crate) struct Input {
    /// Absolute.
    pub(crate) path: PathBuf,
    /// Of the link itself, where it is one.
    pub(crate) metadata: Metadata,
}

impl Inputs {
    /// The inputs of one of `app`'s builds. What any of its builds writes is nobody's input.
    pub(crate) fn of(build: &Build, app: &App) -> Self {
        Self {
            dir: build.dir.clone(),
            outputs: app
                .components
                .values()
                .map(|c| settled(&c.source))
                .collect(),
        }
    }

    /// The folder, links followed.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Everything that counts, the folder itself first. What cannot be read is passed over: the build cannot read it either.
    pub(crate) fn walk(&self) -> impl Iterator<Item = Input> {
        let outputs = self.outputs.clone();
        WalkBuilder::new(&self.dir)
            .hidden(false)
            .ignore(false)
            .require_git(false)
            .filter_entry(move |entry| counts(entry) && !outputs.iter().any(|o| o == entry.path()))
            .build()
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let metadata = entry.metadata().ok()?;
                Some(Input {
                    path: entry.into_path(),
                    metadata,
                })
            })
    }
}

/// `path` with the links of its folder followed, as the walk will meet it.
pub(crate) fn settled(path: &Path) -> PathBuf {
    match (path.parent().map(std::fs::canonicalize), path.file_name()) {
        (Some(Ok(folder)), Some(name)) => folder.join(name),
        _ => path.to_path_buf(),
    }
}

fn counts(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    if name == ".git" || name == ".coracle" || left_by_an_editor(name) {
        return false;
    }
    // https://bford.info/cachedir/: how Cargo marks `target`, whatever its name.
    !(entry.file_type().is_some_and(|kind| kind.is_dir())
        && entry.path().join("CACHEDIR.TAG").is_file())
}

/// Swap, backup and lock files of Vim, Emacs and JetBrains: they change with every key, not with every save.
fn left_by_an_editor(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.ends_with('~')
        || name.ends_with("___jb_tmp___")
        || name.starts_with(".#")
        || (name.starts_with('#') && name.ends_with('#'))
        || (name.starts_with('.') && [".swp", ".swo", ".swx"].iter().any(|e| name.ends_with(e)))
        || name == "4913"
}
