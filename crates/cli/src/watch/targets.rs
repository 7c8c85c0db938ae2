//! What `--watch` looks at. In: the apps as loaded and the operator's file. Out: the files and folders that make them what they are,
//! and how they look now.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Metadata},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use coracle_manifest::App;

use crate::build::{
    Building,
    inputs::{Inputs, settled},
};

/// What to look at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Targets {
    inputs: Vec<Inputs>,
    files: BTreeSet<PathBuf>,
    built: BTreeSet<PathBuf>,
}

/// How everything looked at one moment.
#[derive(Debug)]
pub(super) struct Sight {
    /// When the look began.
    pub(super) at: SystemTime,
    /// Each file that is there.
    pub(super) files: BTreeMap<PathBuf, Stamp>,
    /// The folders in which a change can show.
    pub(super) folders: BTreeSet<PathBuf>,
}

/// Tells two states of a file apart; the inode, because editors save by replacing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) modified: SystemTime,
    len: u64,
    inode: u64,
}

impl Targets {
    /// Manifests, sources, seeds and the operator's file, whether or not it is there; inputs of builds when Coracle builds.
    pub(crate) fn of<'a>(
        apps: impl IntoIterator<Item = &'a App>,
        host_file: &Path,
        building: Building,
    ) -> Self {
        let mut targets = Self::default();
        targets.file(host_file);
        for app in apps {
            targets.app(app, building);
        }
        targets
    }

    fn app(&mut self, app: &App, building: Building) {
        self.file(&app.manifest);
        for seed in app
            .buckets
            .values()
            .filter_map(|bucket| bucket.seed.as_ref())
        {
            self.file(seed);
        }
        for component in app.components.values() {
            self.file(&component.source);
            if let (Some(build), Building::Stale) = (&component.build, building) {
                self.built.insert(absolute(&component.source));
                let inputs = Inputs::of(build, app);
                if !self.inputs.contains(&inputs) {
                    self.inputs.push(inputs);
                }
            }
        }
    }

    fn file(&mut self, path: &Path) {
        self.files.insert(absolute(path));
    }

    /// The files that Coracle's own builds write.
    pub(super) fn built(&self) -> impl Iterator<Item = &Path> {
        self.built.iter().map(PathBuf::as_path)
    }

    /// Whether `path` is read by a build of ours.
    pub(super) fn is_input(&self, path: &Path) -> bool {
        self.inputs
            .iter()
            .any(|inputs| path.starts_with(inputs.dir()))
            && !self.built.contains(path)
    }

    /// Looks at everything. Blocks for as long as reading the folders takes.
    pub(super) fn look(&self) -> Sight {
        let mut sight = Sight::begun();
        for file in &self.files {
            if let Some(stamp) = stamp(file) {
                sight.files.insert(file.clone(), stamp);
            }
            sight.folders.extend(nearest_folder(file));
        }
        for inputs in &self.inputs {
            sight.folders.extend(nearest_folder(inputs.dir()));
            for input in inputs.walk() {
                if input.metadata.is_dir() {
                    sight.folders.insert(input.path);
                } else if let Some(stamp) = Stamp::of(&input.metadata) {
                    sight.files.insert(input.path, stamp);
                }
            }
        }
        sight
    }
}

impl Sight {
    /// Nothing seen yet.
    pub(super) fn begun() -> Self {
        Self {
            at: SystemTime::now(),
            files: BTreeMap::new(),
            folders: BTreeSet::new(),
        }
    }
}

/// How the file at `path` looks, if there is one; links are followed.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    Stamp::of(&fs::metadata(path).ok()?)
}

impl Stamp {
    fn of(metadata: &Metadata) -> Option<Self> {
        Some(Self {
            modified: metadata.modified().ok()?,
            len: metadata.len(),
            inode: metadata.ino(),
        })
    }
}

fn absolute(path: &Path) -> PathBuf {
    settled(&std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()))
}

/// The folder of `path`, or the nearest above it: there it shows when the missing ones are made.
fn nearest_folder(path: &Path) -> Option<PathBuf> {
    let folder = path.ancestors().skip(1).find(|folder| folder.is_dir())?;
    Some(folder.to_path_buf())
}
