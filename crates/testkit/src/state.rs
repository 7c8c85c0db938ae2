//! Where a node keeps its state: each test has its own, and all share what was compiled.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, symlink},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use tempfile::TempDir;

use crate::{artifacts, coracle::Coracle};

/// A state directory, gone when dropped.
#[derive(Debug)]
pub struct StateDir(TempDir);

impl StateDir {
    /// A new one, whose cache of compiled components is the one all tests share.
    pub fn new() -> Self {
        let state = Self::with_own_cache();
        symlink(shared_cache(), state.path().join("cache")).expect("a link to the cache");
        state
    }

    /// A new one with nothing in it.
    pub fn with_own_cache() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Default for StateDir {
    fn default() -> Self {
        Self::new()
    }
}

/// The shared cache, in which every guest and example is compiled already: the first test to come does it, the others wait. So no
/// two processes write to it at once, which the cache of one node need not survive.
fn shared_cache() -> &'static Path {
    static CACHE: OnceLock<PathBuf> = OnceLock::new();
    CACHE.get_or_init(|| {
        let binary = artifacts::coracle();
        let target = binary.ancestors().nth(2).expect("in target/PROFILE");
        let cache = target.join("coracle-test-cache");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&cache)
            .expect("a directory for the cache");
        let mut stamp = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(target.join("coracle-test-cache.stamp"))
            .expect("the stamp of the cache");
        stamp.lock().expect("a lock");
        let (mut found, due) = (String::new(), due(&binary));
        stamp.read_to_string(&mut found).expect("the stamp");
        if found != due {
            fill(&cache);
            stamp.set_len(0).expect("an empty stamp");
            stamp.rewind().expect("the stamp's beginning");
            stamp.write_all(due.as_bytes()).expect("a written stamp");
        }
        cache
    })
}

/// What the cache depends on.
fn due(binary: &Path) -> String {
    let mut files = artifacts::all_components();
    files.push(binary.to_path_buf());
    let line = |path: &PathBuf| {
        let metadata = fs::metadata(path).expect("metadata");
        let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
        format!("{} {seconds}.{nanoseconds}\n", path.display())
    };
    files.iter().map(line).collect()
}

/// Starts each component once. What does not start fails in the tests about it, not here.
fn fill(cache: &Path) {
    for component in artifacts::all_components() {
        let state = StateDir::with_own_cache();
        symlink(cache, state.path().join("cache")).expect("a link to the cache");
        let grants = [
            "keyvalue = [{ bucket = \"warm\", as = \"default\" }]",
            "clock = true",
        ];
        let mut run = Coracle::new()
            .state_in(state)
            .arg(component.display().to_string());
        for grant in grants {
            run = run.args(["--grant", grant]);
        }
        if let Ok(mut service) = run.try_start() {
            service.stop();
        }
    }
}
