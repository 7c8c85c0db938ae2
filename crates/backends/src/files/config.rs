//! Settings of a directory. In: where it is. Out: the same.

use std::path::PathBuf;

/// Settings of a directory.
#[derive(Debug, Clone)]
pub struct Config {
    /// Opened for every call, so that it can be replaced as a whole.
    pub directory: PathBuf,
    /// The part of it whose files are meant; no link on the way to it leads out.
    pub below: Option<PathBuf>,
}

impl Config {
    /// The files of this directory, not those of directories below it.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            below: None,
        }
    }

    /// The files of a directory below it instead.
    #[must_use]
    pub fn below(self, below: Option<impl Into<PathBuf>>) -> Self {
        Self {
            below: below.map(Into::into),
            ..self
        }
    }
}
