//! What was in a granted directory when an invocation was recorded, so that a replay finds the same.
//!
//! In: a directory. Out: its files and folders as values, within limits; and back into a folder of their own.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// Most entries and bytes of one snapshot.
const MAX_ENTRIES: usize = 1_000;
const MAX_BYTES: u64 = 16 << 20;

/// A granted directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// Where the guest finds it.
    pub at: String,
    /// Whether the guest may write there.
    pub writable: bool,
    /// What is in it.
    pub entries: Vec<Entry>,
}

impl Directory {
    /// What its files take.
    pub fn bytes(&self) -> usize {
        let files = self
            .entries
            .iter()
            .filter_map(|entry| entry.content.as_ref());
        files.map(Vec::len).sum()
    }
}

/// A file or folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Relative to the directory.
    pub path: PathBuf,
    /// The content of a file; `None` for a folder.
    pub content: Option<Vec<u8>>,
    /// Nanoseconds since 1970.
    pub modified_ns: u64,
}

/// Reads a directory.
///
/// # Errors
/// When it cannot be read or exceeds the limits of a recording.
pub fn take(dir: &Path, at: &str, writable: bool) -> io::Result<Directory> {
    let mut directory = Directory {
        at: at.into(),
        writable,
        entries: Vec::new(),
    };
    let mut bytes = 0;
    walk(dir, Path::new(""), &mut directory.entries, &mut bytes)?;
    directory.entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(directory)
}

fn walk(root: &Path, below: &Path, entries: &mut Vec<Entry>, bytes: &mut u64) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let path = below.join(entry.file_name());
        let modified = metadata
            .modified()?
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let modified_ns = u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX);
        *bytes += metadata.len();
        if entries.len() >= MAX_ENTRIES || *bytes > MAX_BYTES {
            return Err(io::Error::other(format!(
                "a recording holds at most {MAX_ENTRIES} entries and {} MiB of a granted directory",
                MAX_BYTES >> 20
            )));
        }
        if metadata.is_dir() {
            entries.push(Entry {
                path: path.clone(),
                content: None,
                modified_ns,
            });
            walk(root, &path, entries, bytes)?;
        } else if metadata.is_file() {
            entries.push(Entry {
                content: Some(fs::read(entry.path())?),
                path,
                modified_ns,
            });
        }
    }
    Ok(())
}

/// Writes a snapshot into a folder.
///
/// # Errors
/// When a path leads out of it or cannot be written.
pub fn restore(directory: &Directory, into: &Path) -> io::Result<()> {
    for entry in &directory.entries {
        if !entry
            .path
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
        {
            return Err(io::Error::other(format!(
                "{} leads out of the directory",
                entry.path.display()
            )));
        }
        let path = into.join(&entry.path);
        match &entry.content {
            None => fs::create_dir_all(&path)?,
            Some(content) => {
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent)?;
                }
                fs::write(&path, content)?;
                let modified = SystemTime::UNIX_EPOCH + Duration::from_nanos(entry.modified_ns);
                fs::File::options()
                    .write(true)
                    .open(&path)?
                    .set_modified(modified)?;
            }
        }
    }
    Ok(())
}
