//! Reads one file beneath a directory. In: a name. Out: its bytes, without the line break at the end that editors add.

use std::{
    fs::File,
    hash::{BuildHasher as _, RandomState},
    io::Read as _,
    sync::Arc,
};

use coracle_capability::{
    contract::Shared,
    secrets::{Error, MAX_SECRET_BYTES, SecretValue, Secrets},
};
use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2},
    io::Errno,
};

use super::Config;

/// A directory whose files are secrets. Clones are the same.
#[derive(Debug, Clone)]
pub struct Directory(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    config: Config,
    /// Its keys are random and stay here, so that a version tells nothing about the value.
    versions: RandomState,
}

/// What a file holds at one moment.
pub(super) struct Content {
    pub(super) version: String,
    pub(super) value: SecretValue,
}

impl Directory {
    /// Opens nothing yet.
    pub fn new(config: Config) -> Self {
        Self(Arc::new(Opened {
            config,
            versions: RandomState::new(),
        }))
    }

    /// The secrets of the directory.
    pub fn secrets(&self) -> Shared<Secrets> {
        Arc::new(self.clone())
    }

    /// Reads a file off the runtime's threads: a directory may be on a network.
    pub(super) async fn read(&self, name: String) -> Result<Content, Error> {
        let opened = Arc::clone(&self.0);
        let read = tokio::task::spawn_blocking(move || opened.read(&name));
        read.await
            .unwrap_or_else(|_| Err(Error::Failed("reading the file broke off".into())))
    }
}

impl Opened {
    fn read(&self, name: &str) -> Result<Content, Error> {
        if !is_file_name(name) {
            return Err(Error::NotFound);
        }
        let file = self.open(name)?;
        let mut bytes = Vec::new();
        // One byte more than a secret and its line break may have.
        let limit = MAX_SECRET_BYTES as u64 + 3;
        file.take(limit)
            .read_to_end(&mut bytes)
            .map_err(|_| Error::Unavailable("the file cannot be read".into()))?;
        trim(&mut bytes);
        if bytes.len() > MAX_SECRET_BYTES {
            return Err(Error::TooLarge(format!(
                "the file is larger than {MAX_SECRET_BYTES} bytes"
            )));
        }
        let version = format!("{:016x}", self.versions.hash_one((name, &bytes)));
        Ok(Content {
            version,
            value: SecretValue::new(bytes),
        })
    }

    fn open(&self, name: &str) -> Result<File, Error> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let directory = open(
            &self.config.directory,
            flags | OFlags::DIRECTORY,
            Mode::empty(),
        )
        .map_err(|_| Error::Failed("the directory of secrets cannot be opened".into()))?;
        // Without waiting for a writer, should it be a pipe.
        let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let file = openat2(&directory, name, flags, Mode::empty(), beneath).map_err(refusal)?;
        let stat = fstat(&file).map_err(refusal)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(File::from(file)),
            _ => Err(Error::NotFound),
        }
    }
}

/// Hidden files are not secrets: orchestrators keep their own there.
fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0'])
}

fn refusal(error: Errno) -> Error {
    match error {
        Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::NXIO => Error::NotFound,
        Errno::XDEV | Errno::LOOP => {
            Error::Failed("the file is a link that leads out of its directory".into())
        }
        Errno::ACCESS | Errno::PERM => {
            Error::Failed("the file may not be read by this process".into())
        }
        // Something was renamed while the links were followed.
        _ => Error::Unavailable("the file cannot be opened".into()),
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
