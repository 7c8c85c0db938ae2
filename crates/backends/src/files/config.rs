//! Settings of a directory of secrets. In: where it is. Out: the same.

use std::path::PathBuf;

/// Settings of a directory of secrets.
#[derive(Debug, Clone)]
pub struct Config {
    /// Opened for every call, so that it can be replaced as a whole.
    pub directory: PathBuf,
}

impl Config {
    /// The files of this directory, not those of directories below it.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }
}
