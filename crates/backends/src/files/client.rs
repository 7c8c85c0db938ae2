//! Reads files beneath a directory. In: a name. Out: its bytes, without the line break at the end that editors add; or all names.

use std::{
    fs::File,
    hash::{BuildHasher as _, RandomState},
    io::Read as _,
    os::fd::OwnedFd,
    sync::Arc,
};

use rustix::{
    fs::{Dir, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2},
    io::Errno,
};
use tokio::sync::Semaphore;

use super::Config;

/// Reads of one directory at once: one that hangs is not to take every thread there is.
const READS: usize = 8;

/// A directory whose files are texts. Clones are the same.
#[derive(Debug, Clone)]
pub struct Directory(Arc<Opened>);

#[derive(Debug)]
pub(super) struct Opened {
    config: Config,
    reads: Arc<Semaphore>,
    /// Its keys are random and stay here, so that a version tells nothing about the value.
    versions: RandomState,
}

/// Why there are no bytes. Names nothing of where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// There is no such plain file.
    NotFound,
    /// There is no directory, or not for this process.
    NoDirectory,
    /// Larger than was asked for.
    TooLarge,
    /// It may be read a moment later.
    Unavailable(&'static str),
    /// It may not.
    Failed(&'static str),
}

impl Directory {
    /// Opens nothing yet.
    pub fn new(config: Config) -> Self {
        Self(Arc::new(Opened {
            config,
            reads: Arc::new(Semaphore::new(READS)),
            versions: RandomState::new(),
        }))
    }

    /// Reads off the runtime's threads: a directory may be on a network.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Opened) -> Result<T, Unread> + Send + 'static,
    ) -> Result<T, Unread> {
        let broken_off = || Unread::Failed("reading the file broke off");
        let permit = Arc::clone(&self.0.reads).acquire_owned().await;
        let permit = permit.map_err(|_| broken_off())?;
        let opened = Arc::clone(&self.0);
        let read = tokio::task::spawn_blocking(move || {
            // As long as the thread, however long whoever asked waits.
            let _permit = permit;
            read(&opened)
        });
        read.await.unwrap_or_else(|_| Err(broken_off()))
    }
}

impl Opened {
    /// The bytes of a file, at most so many.
    pub(super) fn bytes(&self, name: &str, limit: usize) -> Result<Vec<u8>, Unread> {
        bytes_in(&self.directory()?, name, limit)
    }

    /// Says of bytes whether they are the same as before, and nothing else.
    pub(super) fn version(&self, name: &str, bytes: &[u8]) -> String {
        format!("{:016x}", self.versions.hash_one((name, bytes)))
    }

    /// What can be asked for by [`bytes_in`], and what is no plain file; in no order.
    pub(super) fn names(&self) -> Result<(OwnedFd, Vec<String>), Unread> {
        let directory = self.directory()?;
        let unreadable = |_| Unread::Unavailable("the directory cannot be read");
        let mut names = Vec::new();
        for entry in Dir::read_from(&directory).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let is_directory = entry.file_type() == FileType::Directory;
            // A name that is not text is no key.
            if let Ok(name) = entry.file_name().to_str()
                && is_file_name(name)
                && !is_directory
            {
                names.push(name.to_owned());
            }
        }
        Ok((directory, names))
    }

    fn directory(&self) -> Result<OwnedFd, Unread> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::DIRECTORY;
        let gone = |_| Unread::NoDirectory;
        let directory = open(&self.config.directory, flags, Mode::empty()).map_err(gone)?;
        match &self.config.below {
            None => Ok(directory),
            Some(below) => {
                openat2(&directory, below, flags, Mode::empty(), beneath()).map_err(gone)
            }
        }
    }
}

fn beneath() -> ResolveFlags {
    ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS
}

/// The bytes of a file of this very directory, at most so many.
pub(super) fn bytes_in(directory: &OwnedFd, name: &str, limit: usize) -> Result<Vec<u8>, Unread> {
    if !is_file_name(name) {
        return Err(Unread::NotFound);
    }
    // Without waiting for a writer, should it be a pipe.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = openat2(directory, name, flags, Mode::empty(), beneath()).map_err(refusal)?;
    let stat = fstat(&file).map_err(refusal)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Unread::NotFound);
    }
    let mut bytes = Vec::new();
    // One byte more than a text and its line break may have.
    File::from(file)
        .take(limit as u64 + 3)
        .read_to_end(&mut bytes)
        .map_err(|_| Unread::Unavailable("the file cannot be read"))?;
    trim(&mut bytes);
    if bytes.len() > limit {
        return Err(Unread::TooLarge);
    }
    Ok(bytes)
}

/// Hidden files are nobody's: orchestrators keep their own there.
fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0'])
}

fn refusal(error: Errno) -> Unread {
    match error {
        Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::NXIO => Unread::NotFound,
        Errno::XDEV | Errno::LOOP => {
            Unread::Failed("the file is a link that leads out of its directory")
        }
        Errno::ACCESS | Errno::PERM => Unread::Failed("the file may not be read by this process"),
        // Something was renamed while the links were followed.
        _ => Unread::Unavailable("the file cannot be opened"),
    }
}

fn trim(bytes: &mut Vec<u8>) {
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
}
