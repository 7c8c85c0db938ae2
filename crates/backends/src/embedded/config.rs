//! Settings of the embedded store. In: the state directory. Out: where its file is, and how much memory it may use.

use std::path::PathBuf;

/// Settings of the embedded store.
#[derive(Debug, Clone)]
pub struct Config {
    /// The node's state directory; made if it is not there. One process at a time uses it.
    pub directory: PathBuf,
    /// Pages of the file kept in memory.
    pub cache_bytes: usize,
    /// Keys and values of the writes that wait for the disk; a write beyond this waits for room.
    pub queue_bytes: usize,
}

impl Config {
    /// The defaults: a cache of 64 MiB and a queue of 32 MiB.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            cache_bytes: 64 << 20,
            queue_bytes: 32 << 20,
        }
    }

    /// The one file of the store.
    pub fn file(&self) -> PathBuf {
        self.directory.join("keyvalue.redb")
    }
}
