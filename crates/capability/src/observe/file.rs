//! A recording as a file: versioned, compact, for its owner only.
//!
//! In: a recording. Out: `coracle-recording 1`, a line break, CBOR. Recordings hold what the request held, so files are made 0600.

use std::{
    fs::OpenOptions,
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::event::Recording;

const MAGIC: &[u8] = b"coracle-recording 1\n";
/// Largest file that is read.
const MAX_BYTES: u64 = 256 << 20;

/// Why a file cannot be used.
#[derive(Debug, Error)]
pub enum FileError {
    /// Not written or not read.
    #[error("{operation} {path}")]
    Io {
        /// `writing` or `reading`.
        operation: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Something else, or of another version.
    #[error(
        "{0} is not a recording of this version: it does not begin with the line \"coracle-recording 1\""
    )]
    NotARecording(PathBuf),
    /// Cut or damaged.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Where it fails.
        what: String,
    },
}

/// Writes a new file, mode 0600.
///
/// # Errors
/// When there is such a file already, or it cannot be written.
pub fn write(recording: &Recording, path: &Path) -> Result<(), FileError> {
    let failed = |source| FileError::Io {
        operation: "writing",
        path: path.to_path_buf(),
        source,
    };
    let mut bytes = MAGIC.to_vec();
    ciborium::into_writer(&packed(recording).map_err(failed)?, &mut bytes)
        .map_err(|error| failed(io::Error::other(error.to_string())))?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.write_all(&bytes).map_err(failed)
}

fn packed(recording: &Recording) -> io::Result<ciborium::Value> {
    super::value::pack(recording).map_err(io::Error::other)
}

/// Reads a file.
///
/// # Errors
/// See [`FileError`].
pub fn read(path: &Path) -> Result<Recording, FileError> {
    let failed = |source| FileError::Io {
        operation: "reading",
        path: path.to_path_buf(),
        source,
    };
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes))
        .map_err(failed)?;
    let body = bytes
        .strip_prefix(MAGIC)
        .ok_or_else(|| FileError::NotARecording(path.to_path_buf()))?;
    let damaged = |what: String| FileError::Damaged {
        path: path.to_path_buf(),
        what,
    };
    let mut rest = body;
    let value: ciborium::Value =
        ciborium::from_reader(&mut rest).map_err(|error| damaged(told(&error)))?;
    if !rest.is_empty() {
        return Err(damaged("something follows its end".into()));
    }
    let mut recording: Recording = super::value::unpack(value)
        .map_err(|_| damaged("what it holds is no recording of this version".into()))?;
    for event in &mut recording.events {
        event.shorten();
    }
    Ok(recording)
}

fn told(error: &ciborium::de::Error<io::Error>) -> String {
    match error {
        ciborium::de::Error::Io(_) => "it ends too early".into(),
        ciborium::de::Error::Syntax(at) => format!("byte {at} after its first line makes no sense"),
        ciborium::de::Error::Semantic(..) => "what it holds is no recording".into(),
        ciborium::de::Error::RecursionLimitExceeded => "it is nested too deeply".into(),
    }
}
