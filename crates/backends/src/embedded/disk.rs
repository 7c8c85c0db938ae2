//! The file under the database.
//!
//! In: a path. Out: what redb reads from and writes to, locked against other processes. A [`Disk`] is one opening of the file
//! by redb and can be retired, so that a database that failed never writes again after another has taken its place.

use std::{
    fmt::Debug,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::StorageBackend;
use rustix::fs::{Advice, fadvise, fstatvfs};

use super::{Config, OpenError};

/// What the file must be able to do; a test puts a faulty one in its place.
pub(crate) trait Medium: Debug + Send + Sync + 'static {
    fn len(&self) -> io::Result<u64>;
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()>;
    fn set_len(&self, len: u64) -> io::Result<()>;
    fn sync(&self) -> io::Result<()>;
    /// How much more the filesystem takes.
    fn free_bytes(&self) -> io::Result<u64>;
    /// Gives up the cached pages, so that what is read next, also by another process, is the disk's.
    fn forget_cached(&self) -> io::Result<()>;
}

impl Medium for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(out, offset)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.write_all_at(data, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let filesystem = fstatvfs(self)?;
        Ok(filesystem.f_bavail.saturating_mul(filesystem.f_frsize))
    }

    fn forget_cached(&self) -> io::Result<()> {
        Ok(fadvise(self, 0, None, Advice::DontNeed)?)
    }
}

/// Opens the store's file for this process alone, and makes it if it is not there.
pub(crate) fn open_file(config: &Config) -> Result<File, OpenError> {
    let directory = &config.directory;
    let path = config.file();
    make_directory(directory).map_err(|source| OpenError::Directory {
        path: directory.clone(),
        source,
    })?;
    let in_file = |source| OpenError::File {
        path: path.clone(),
        source,
    };
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).mode(0o600);
    let file = file.open(&path).map_err(in_file)?;
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::InUse {
            directory: directory.clone(),
        },
        TryLockError::Error(source) => in_file(source),
    })?;
    // A name is only there after a power cut if its directory was flushed too.
    sync_directory(directory).map_err(in_file)?;
    Ok(file)
}

fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    match directory.parent() {
        Some(parent) if parent != Path::new("") => sync_directory(parent),
        _ => sync_directory(Path::new(".")),
    }
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// One opening of the file by redb.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    medium: Arc<dyn Medium>,
    retired: Arc<AtomicBool>,
    flush_failed: Arc<AtomicBool>,
}

impl Disk {
    pub(crate) fn new(medium: Arc<dyn Medium>) -> Self {
        Self {
            medium,
            retired: Arc::default(),
            flush_failed: Arc::default(),
        }
    }

    /// Ends writing through this opening; reads go on.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// Whether what was written may be lost though nothing says which part.
    pub(crate) fn flush_failed(&self) -> bool {
        self.flush_failed.load(Ordering::Acquire)
    }

    fn check_active(&self) -> io::Result<()> {
        if self.retired.load(Ordering::Acquire) {
            return Err(io::Error::other("this opening of the file was replaced"));
        }
        Ok(())
    }
}

/// Without redb's own locks: the file was locked when it was opened, for longer than any one database on it.
impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.medium.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.medium.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_active()?;
        self.medium.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check_active()?;
        self.medium
            .sync()
            .inspect_err(|_| self.flush_failed.store(true, Ordering::Release))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check_active()?;
        self.medium.write(offset, data)
    }
}

/// Whether an error passes when the operator makes room or gives the filesystem back.
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(
        error.kind(),
        StorageFull | QuotaExceeded | ReadOnlyFilesystem
    )
}
