//! A recording as a file: versioned, compact, for its owner only.
//!
//! In: a recording. Out: `coracle-recording 2`, a line break, CBOR. Recordings hold what the request held, so files are made 0600.

use std::{
    fs::OpenOptions,
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::{encode::encode, event::Recording};

const MAGIC: &[u8] = b"coracle-recording 2\n";
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
    /// Something else.
    #[error("{0} is not a recording: it does not begin with the line \"coracle-recording 2\"")]
    NotARecording(PathBuf),
    /// Of another version.
    #[error(
        "{path} is not a recording of this version: it begins with {found:?} and not with \"coracle-recording 2\"; record the request again, or use the version that wrote it"
    )]
    OtherVersion {
        /// Which.
        path: PathBuf,
        /// Its first line.
        found: String,
    },
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
    encode(recording, &mut bytes).map_err(|error| failed(io::Error::other(error)))?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.write_all(&bytes).map_err(failed)
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
        .ok_or_else(|| refused(path, &bytes))?;
    let damaged = |what: String| FileError::Damaged {
        path: path.to_path_buf(),
        what,
    };
    let mut rest = body;
    let recording: Recording =
        ciborium::from_reader(&mut rest).map_err(|error| damaged(told(&error)))?;
    if !rest.is_empty() {
        return Err(damaged("something follows its end".into()));
    }
    Ok(recording)
}

fn refused(path: &Path, bytes: &[u8]) -> FileError {
    let line = bytes
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let path = path.to_path_buf();
    match std::str::from_utf8(line) {
        Ok(line) if line.starts_with("coracle-recording ") && line.len() < 40 => {
            FileError::OtherVersion {
                path,
                found: line.into(),
            }
        }
        _ => FileError::NotARecording(path),
    }
}

fn told(error: &ciborium::de::Error<io::Error>) -> String {
    match error {
        ciborium::de::Error::Io(_) => "it ends too early".into(),
        ciborium::de::Error::Syntax(at) => format!("byte {at} after its first line makes no sense"),
        ciborium::de::Error::Semantic(..) => "what it holds is no recording".into(),
        ciborium::de::Error::RecursionLimitExceeded => "it is nested too deeply".into(),
    }
}
