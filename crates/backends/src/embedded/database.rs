//! redb on the store's file.
//!
//! In: the file. Out: a database whose format this version knows, or why there is none, in the words of [`OpenError`].

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
};

use redb::{Database, DatabaseError, StorageError};
use thiserror::Error as ThisError;

use super::{
    Config,
    disk::{Disk, Medium, is_no_space},
    view::{self, View, layout},
};

/// What this version writes: `bucket/…` and `coracle/…` tables of bytes.
const FORMAT: &[u8] = b"1";
const FORMAT_KEY: &[u8] = b"format";
const META: &str = "coracle/meta";

/// Opens the database; after a crash the whole file is read and its checksums are compared.
pub(crate) fn open(
    medium: Arc<dyn Medium>,
    config: &Config,
) -> Result<(Database, Disk), OpenError> {
    let disk = Disk::new(medium);
    let path = config.file();
    // redb checks what it reads; a file made to mislead it may still trip an assertion, which is damage too.
    let database = catch_unwind(AssertUnwindSafe(|| {
        let database = Database::builder()
            .set_cache_size(config.cache_bytes)
            .create_with_backend(disk.clone())?;
        let format = format(&database)?;
        Ok::<_, DatabaseError>((database, format))
    }));
    match database {
        Ok(Ok((database, Format::Known))) => Ok((database, disk)),
        Ok(Ok((_, Format::Other(format)))) => Err(OpenError::Version {
            path,
            reason: format!("format {format}"),
        }),
        Ok(Err(error)) => Err(translate(path, error)),
        Err(_) => Err(OpenError::Damaged {
            path,
            reason: "redb gave up reading it".into(),
        }),
    }
}

enum Format {
    Known,
    Other(String),
}

/// Reads the format, and writes it into a file that has none.
fn format(database: &Database) -> Result<Format, StorageError> {
    let meta = Arc::from(META);
    if let Some(table) = View::of(database)?.table(&meta)? {
        let format = table.get(FORMAT_KEY)?;
        return Ok(match format.as_ref().map(|format| format.value()) {
            Some(FORMAT) => Format::Known,
            other => Format::Other(String::from_utf8_lossy(other.unwrap_or_default()).into_owned()),
        });
    }
    let transaction = database.begin_write().map_err(view::transaction_error)?;
    let mut table = transaction
        .open_table(layout(META))
        .map_err(view::storage_error)?;
    table.insert(FORMAT_KEY, FORMAT)?;
    drop(table);
    transaction.commit().map_err(view::commit_error)?;
    Ok(Format::Known)
}

pub(crate) fn translate(path: PathBuf, error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::UpgradeRequired(version) => OpenError::Version {
            path,
            reason: format!("redb file format {version}"),
        },
        // redb has no variant for a newer file, only these words.
        DatabaseError::Storage(StorageError::Corrupted(reason))
            if reason.starts_with("Expected file format") =>
        {
            OpenError::Version { path, reason }
        }
        DatabaseError::Storage(StorageError::Io(source)) => match source.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => OpenError::Damaged {
                path,
                reason: source.to_string(),
            },
            _ => OpenError::File { path, source },
        },
        other => OpenError::Damaged {
            path,
            reason: other.to_string(),
        },
    }
}

/// Why the store is not open.
#[derive(Debug, ThisError)]
pub enum OpenError {
    /// The lock is held.
    #[error("another coracle process uses the state directory {directory:?}")]
    InUse {
        /// The state directory.
        directory: PathBuf,
    },
    /// The directory is not there and could not be made.
    #[error("cannot make the state directory {path:?}: {source}")]
    Directory {
        /// The state directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The file could not be opened, read or written.
    #[error("cannot open the key-value store {path:?}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// What is in the file is not what was written.
    #[error(
        "the key-value store {path:?} is damaged ({reason}); restore it, or move it away to begin with an empty one"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What redb says.
        reason: String,
    },
    /// A version that this one does not know wrote the file.
    #[error(
        "the key-value store {path:?} was written by another version of coracle ({reason}); use that version"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Which.
        reason: String,
    },
    /// The writer could not be started.
    #[error("cannot start the thread that writes the key-value store")]
    Thread(#[source] io::Error),
}

impl OpenError {
    /// Whether the same may succeed a moment later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::InUse { .. } | Self::Thread(_) => true,
            Self::Directory { source, .. } | Self::File { source, .. } => is_no_space(source),
            Self::Damaged { .. } | Self::Version { .. } => false,
        }
    }
}
