//! Folders with an app in them, made for one test.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::artifacts;

/// An app in a temporary folder, gone when dropped.
#[derive(Debug)]
pub struct TempApp(TempDir);

/// An app of this manifest and these files beside it.
///
/// # Panics
/// When they cannot be written.
pub fn app(manifest: &str, files: &[(&str, &[u8])]) -> TempApp {
    let app = TempApp(tempfile::tempdir().expect("a temporary directory"));
    app.write("coracle.toml", manifest);
    for (name, content) in files {
        app.write(name, content);
    }
    app
}

/// The app `trial`, which is one guest, the component `guest`, on every path. `more` is the rest of the component's table and the
/// tables below it.
///
/// # Panics
/// When the guest was not built.
pub fn one(guest: &str, more: &str) -> TempApp {
    let source = artifacts::guest(guest);
    app(
        &format!(
            "[app]\nname = \"trial\"\n\n[component.guest]\nsource = {source:?}\n{more}\n\n[[route]]\npath = \"/*\"\ncomponent = \"guest\"\n"
        ),
        &[],
    )
}

impl TempApp {
    /// Its folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn into_dir(self) -> TempDir {
        self.0
    }

    /// A file in its folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, and the folders it is in.
    ///
    /// # Panics
    /// When it cannot.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, content).expect("a file");
        path
    }
}

impl AsRef<Path> for TempApp {
    fn as_ref(&self) -> &Path {
        self.path()
    }
}
