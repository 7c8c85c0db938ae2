//! The artifacts this node compiled, authenticated and mapped.
//!
//! In: the bytes of a component. Out: the component ready to be linked, compiled at most once per digest. An artifact is
//! machine code, so it is loaded only when a keyed hash says that this node wrote it for this engine:
//!
//! ```text
//! cache/key                              32 random bytes, mode 0600
//! cache/FINGERPRINT/DIGEST.artifact      what the compiling child returned, mode 0400
//! cache/FINGERPRINT/DIGEST.tag           keyed BLAKE3 over fingerprint, digest and artifact
//! cache/FINGERPRINT/DIGEST.seen          the tag was checked: keyed BLAKE3 over boot, device, inode, size, change time
//! ```
//!
//! Files are written beside and renamed, never in place: a mapping would show a later write. Directories are 0700.

use std::{
    collections::HashMap,
    fs::{DirBuilder, File, OpenOptions, Permissions},
    hash::{Hash, Hasher},
    io::{Read, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use thiserror::Error;

use crate::{
    compile::{CompileError, Compiler},
    profile::{Engines, Kind},
    read::{Described, ReadError, describe},
};

/// A component on its engine, ready to be linked. Cheap to clone.
#[derive(Clone)]
pub struct Component {
    /// Wasmtime's, mapped from the cache.
    pub mapped: wasmtime::component::Component,
    /// Which engine it belongs to.
    pub kind: Kind,
    /// BLAKE3 of the component's bytes, hexadecimal.
    pub digest: Arc<str>,
    /// What it imports and exports.
    pub described: Arc<Described>,
    /// Size of the component in bytes.
    pub size_bytes: u64,
    /// Where the artifact came from.
    pub origin: Origin,
}

/// Where an artifact came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was in the cache.
    Cached,
    /// It was compiled now.
    Compiled,
    /// What was in the cache was damaged or not ours; compiled now.
    Rebuilt,
}

/// Why a component could not be made ready.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// The file is not a component.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The compiler refused it.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The cache could not be written or read.
    #[error("{operation} {path}: {source}")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The engine refused an authenticated artifact, or could not be created.
    #[error("loading the compiled component: {0}")]
    Load(String),
}

/// The cache of one node.
pub struct Cache {
    dir: PathBuf,
    key: [u8; blake3::KEY_LEN],
    boot: String,
    compiler: Compiler,
    engines: Arc<Engines>,
    in_work: Mutex<HashMap<String, Arc<Mutex<()>>>>,
}

impl Cache {
    /// Opens the cache in `dir`, creating it and its key when there are none.
    ///
    /// # Errors
    /// When the directory or the key can neither be read nor written.
    pub fn open(
        dir: &Path,
        compiler: Compiler,
        engines: Arc<Engines>,
    ) -> Result<Self, PrepareError> {
        create_private_dir(dir)?;
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Ok(Self {
            key: read_or_create_key(&dir.join("key"))?,
            dir: dir.to_path_buf(),
            boot,
            compiler,
            engines,
            in_work: Mutex::default(),
        })
    }

    /// A key of this node for another purpose; `context` is a constant of whoever asks.
    pub fn derive_key(&self, context: &'static str) -> [u8; blake3::KEY_LEN] {
        blake3::derive_key(context, &self.key)
    }

    /// Makes a component ready: from the cache when its artifact is there and ours, else by compiling it. Blocks. Callers
    /// with the same bytes wait for one compilation.
    ///
    /// # Errors
    /// See [`PrepareError`].
    pub fn prepare(&self, component: &[u8]) -> Result<Component, PrepareError> {
        let described = describe(component)?;
        let kind = described.kind();
        let engine = self
            .engines
            .engine(kind)
            .map_err(|error| PrepareError::Load(format!("{error:#}")))?;
        let digest = digest(component);
        let entry = Entry {
            dir: self.dir.join(fingerprint(engine, kind)),
            digest,
        };
        let turn = Arc::clone(
            self.in_work
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(entry.digest.clone())
                .or_default(),
        );
        let _alone = turn.lock().unwrap_or_else(PoisonError::into_inner);

        let (file, origin) = match self.find(&entry) {
            Found::Ours(file) => (file, Origin::Cached),
            found => {
                create_private_dir(&entry.dir)?;
                let artifact = self.compiler.compile(kind, component)?;
                let file = self.store(&entry, &artifact)?;
                (
                    file,
                    if matches!(found, Found::Foreign) {
                        Origin::Rebuilt
                    } else {
                        Origin::Compiled
                    },
                )
            }
        };
        Ok(Component {
            mapped: map(engine, &file)?,
            kind,
            digest: entry.digest.as_str().into(),
            described: Arc::new(described),
            size_bytes: component.len() as u64,
            origin,
        })
    }

    fn find(&self, entry: &Entry) -> Found {
        let Ok(file) = OpenOptions::new()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
            .open(entry.path("artifact"))
        else {
            return if self.has_other_version(entry) {
                Found::Foreign
            } else {
                Found::Nothing
            };
        };
        match self.is_ours(entry, &file) {
            Ok(true) => Found::Ours(file),
            Ok(false) | Err(_) => Found::Foreign,
        }
    }

    /// Whether another version of the engine left an artifact of this component.
    fn has_other_version(&self, entry: &Entry) -> bool {
        let name = format!("{}.artifact", entry.digest);
        let versions = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        versions
            .map(|version| version.path().join(&name))
            .any(|artifact| artifact.is_file())
    }

    /// Checks the tag once per boot and file; afterwards the record of that check.
    fn is_ours(&self, entry: &Entry, file: &File) -> std::io::Result<bool> {
        let seen = self.identity(entry, file)?;
        if std::fs::read(entry.path("seen")).is_ok_and(|record| seen == *record) {
            return Ok(true);
        }
        let mut artifact = Vec::new();
        let mut reader = file;
        reader.read_to_end(&mut artifact)?;
        if self.tag(entry, &artifact) != *std::fs::read(entry.path("tag"))? {
            return Ok(false);
        }
        let _ = write_beside(&entry.path("seen"), seen.as_bytes());
        Ok(true)
    }

    fn store(&self, entry: &Entry, artifact: &[u8]) -> Result<File, PrepareError> {
        for stale in ["seen", "tag"] {
            let _ = std::fs::remove_file(entry.path(stale));
        }
        write_beside(&entry.path("artifact"), artifact)?;
        write_beside(&entry.path("tag"), self.tag(entry, artifact).as_bytes())?;
        let path = entry.path("artifact");
        let file = File::open(&path).map_err(|source| PrepareError::Io {
            operation: "opening",
            path: path.clone(),
            source,
        })?;
        // Between the rename and this open somebody else may have put a file there: what is mapped is what is checked.
        match self.is_ours(entry, &file) {
            Ok(true) => Ok(file),
            Ok(false) => Err(PrepareError::Load(
                "the artifact changed while it was written".into(),
            )),
            Err(source) => Err(PrepareError::Io {
                operation: "checking",
                path,
                source,
            }),
        }
    }

    fn tag(&self, entry: &Entry, artifact: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(b"artifact\0").update(
            entry
                .dir
                .file_name()
                .map_or(&[][..], |name| name.as_encoded_bytes()),
        );
        hasher
            .update(b"\0")
            .update(entry.digest.as_bytes())
            .update(b"\0")
            .update(artifact);
        hasher.finalize()
    }

    fn identity(&self, entry: &Entry, file: &File) -> std::io::Result<blake3::Hash> {
        let metadata = file.metadata()?;
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher
            .update(b"seen\0")
            .update(self.boot.as_bytes())
            .update(entry.digest.as_bytes());
        for number in [
            metadata.dev(),
            metadata.ino(),
            metadata.size(),
            metadata.ctime() as u64,
            metadata.ctime_nsec() as u64,
        ] {
            hasher.update(&number.to_le_bytes());
        }
        Ok(hasher.finalize())
    }
}

enum Found {
    Ours(File),
    Foreign,
    Nothing,
}

struct Entry {
    dir: PathBuf,
    digest: String,
}

impl Entry {
    fn path(&self, extension: &str) -> PathBuf {
        self.dir.join(format!("{}.{extension}", self.digest))
    }
}

/// What identifies a component: BLAKE3 of its bytes, hexadecimal.
pub fn digest(component: &[u8]) -> String {
    blake3::hash(component).to_hex().to_string()
}

/// Changes whenever an artifact compiled before would no longer fit.
fn fingerprint(engine: &wasmtime::Engine, kind: Kind) -> String {
    struct Blake(blake3::Hasher);
    impl Hasher for Blake {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut blake = Blake(blake3::Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut blake);
    blake.0.update(kind.as_str().as_bytes());
    blake.0.update(crate::shim::VERSION);
    format!(
        "{}-{}",
        kind.as_str(),
        blake.0.finalize().to_hex().get(..32).unwrap_or_default()
    )
}

#[expect(
    unsafe_code,
    reason = "the one place where a compiled artifact is loaded"
)]
fn map(
    engine: &wasmtime::Engine,
    file: &File,
) -> Result<wasmtime::component::Component, PrepareError> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    // SAFETY: `deserialize_file` requires bytes that this version of Wasmtime produced and that do not change while mapped. The
    // descriptor is the one whose tag was checked with the node's key, nobody writes artifacts in place, and the file is 0400 in a
    // directory of 0700.
    let component = unsafe { wasmtime::component::Component::deserialize_file(engine, path) };
    component.map_err(|error| PrepareError::Load(format!("{error:#}")))
}

fn create_private_dir(dir: &Path) -> Result<(), PrepareError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| PrepareError::Io {
            operation: "creating",
            path: dir.to_path_buf(),
            source,
        })
}

fn read_or_create_key(path: &Path) -> Result<[u8; blake3::KEY_LEN], PrepareError> {
    let io = |operation| {
        move |source| PrepareError::Io {
            operation,
            path: path.to_path_buf(),
            source,
        }
    };
    if let Some(key) = std::fs::read(path)
        .ok()
        .and_then(|bytes| <[u8; blake3::KEY_LEN]>::try_from(bytes).ok())
    {
        return Ok(key);
    }
    let mut key = [0; blake3::KEY_LEN];
    getrandom::fill(&mut key).map_err(|error| io("making")(std::io::Error::other(error)))?;
    write_beside(path, &key)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(io("protecting"))?;
    // Two processes may start at once: the one that renamed last wins for both.
    std::fs::read(path)
        .and_then(|bytes| {
            bytes
                .try_into()
                .map_err(|_| std::io::Error::other("not 32 bytes"))
        })
        .map_err(io("reading"))
}

/// Writes a new file with mode 0400 next to `path`, makes it durable, and renames it over `path`.
fn write_beside(path: &Path, bytes: &[u8]) -> Result<(), PrepareError> {
    let mut suffix = [0; 8];
    let _ = getrandom::fill(&mut suffix);
    let temporary = path.with_extension(format!("{:016x}.tmp", u64::from_le_bytes(suffix)));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o400)
        .open(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&temporary, path));
    written.map_err(|source| {
        let _ = std::fs::remove_file(&temporary);
        PrepareError::Io {
            operation: "writing",
            path: path.to_path_buf(),
            source,
        }
    })
}
