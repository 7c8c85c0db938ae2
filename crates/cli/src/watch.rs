//! Sees that something an app is made of changed. In: what to look at (`Targets`). Out: `Change`s, one after a burst of edits.
//!
//! The system's events only wake it. What changed is found by looking again and comparing, so ignored files, editors that replace
//! what they save, folders that come and go, and lost events need no care of their own.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use notify::{Config, ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::{
    sync::mpsc::{self, Receiver},
    task::spawn_blocking,
    time::{Instant, timeout},
};

use self::targets::Sight;
use crate::build::CLOCK_TICK;

pub(crate) use self::targets::Targets;

mod targets;

#[cfg(test)]
mod tests;

/// A burst is over when nothing happened for this long …
const QUIET: Duration = Duration::from_millis(150);

/// … and after this long it is looked at anyway.
const PATIENCE: Duration = Duration::from_secs(2);

/// What changed. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Every file, absolute.
    pub(crate) paths: Vec<PathBuf>,
    /// Those among them that builds read and whose time stamps do not show it: deleted, or moved here. For `build::build_all`.
    pub(crate) untimed: Vec<PathBuf>,
}

impl fmt::Display for Change {
    /// The first file and how many more, as one reads it in the working directory.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, more)) = self.paths.split_first() else {
            return Ok(());
        };
        let here = std::env::current_dir().unwrap_or_default();
        let first = first.strip_prefix(here).unwrap_or(first);
        write!(f, "{}", first.display())?;
        match more.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// Watches until it is dropped.
pub(crate) struct Watch {
    targets: Arc<Targets>,
    watcher: RecommendedWatcher,
    woken: Receiver<()>,
    due: bool,
    refused: Refused,
    known: Sight,
}

/// Whether the system refused to watch more folders.
enum Refused {
    No,
    ToTell(anyhow::Error),
    Told,
}

impl Watch {
    /// Begins to watch. What changes from now on is a change, so begin before the first build.
    ///
    /// # Errors
    /// When the system watches no more folders.
    pub(crate) async fn new(targets: Targets) -> anyhow::Result<Self> {
        // One place: that something happened is all that is asked.
        let (wake, woken) = mpsc::channel(1);
        let on_event = move |event: notify::Result<Event>| {
            // Reading is no change. An error may hide one.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                let _ = wake.try_send(());
            }
        };
        let watcher = RecommendedWatcher::new(on_event, Config::default())
            .context("the system does not tell when files change")?;
        let mut watch = Self {
            targets: Arc::new(targets),
            watcher,
            woken,
            due: false,
            refused: Refused::No,
            known: Sight::begun(),
        };
        watch.known = watch.look().await?;
        match watch.refused {
            Refused::ToTell(error) => Err(error),
            Refused::No | Refused::Told => Ok(watch),
        }
    }

    /// Looks at something else from now on, after a manifest changed. What was watched before and changed meanwhile is still a change.
    ///
    /// # Errors
    /// When nothing can be looked at: the process ends.
    pub(crate) async fn follow(&mut self, targets: Targets) -> anyhow::Result<()> {
        self.targets = Arc::new(targets);
        let sight = self.look().await?;
        for (path, stamp) in sight.files.iter() {
            self.known.files.entry(path.clone()).or_insert(*stamp);
        }
        self.known
            .files
            .retain(|path, _| sight.files.contains_key(path));
        self.due = true;
        Ok(())
    }

    /// A build of ours is over: what it made is no change. Edits of its inputs meanwhile are.
    pub(crate) fn built(&mut self) {
        for path in self.targets.built() {
            match targets::stamp(path) {
                Some(stamp) => self.known.files.insert(path.to_path_buf(), stamp),
                None => self.known.files.remove(path),
            };
        }
    }

    /// The next change, 150 ms after the last edit of a burst. May be dropped and called again without losing one.
    pub(crate) async fn next(&mut self) -> Change {
        loop {
            if !self.due {
                self.due = self.woken.recv().await.is_some();
            }
            let woken = Instant::now();
            while woken.elapsed() < PATIENCE
                && let Ok(Some(())) = timeout(QUIET, self.woken.recv()).await
            {}
            let sight = self.look().await;
            self.due = false;
            self.refused.tell_once();
            let Ok(sight) = sight else {
                continue;
            };
            let before = std::mem::replace(&mut self.known, sight);
            if let Some(change) = self.since(&before) {
                return change;
            }
        }
    }

    fn since(&self, before: &Sight) -> Option<Change> {
        let (then, now) = (&before.files, &self.known.files);
        let changed: BTreeSet<&PathBuf> = then
            .keys()
            .chain(now.keys())
            .filter(|path| then.get(*path) != now.get(*path))
            .collect();
        let untimed = |path: &&PathBuf| {
            self.targets.is_input(path)
                && now
                    .get(*path)
                    .is_none_or(|stamp| stamp.modified < before.at - CLOCK_TICK)
        };
        (!changed.is_empty()).then(|| Change {
            untimed: changed.iter().copied().filter(untimed).cloned().collect(),
            paths: changed.iter().copied().cloned().collect(),
        })
    }

    /// Watches every folder that counts, and looks after that: what changes in between wakes it again.
    async fn look(&mut self) -> anyhow::Result<Sight> {
        let mut watched = BTreeSet::new();
        loop {
            let targets = self.targets.clone();
            let sight = spawn_blocking(move || targets.look()).await?;
            if sight.folders.is_subset(&watched) {
                return Ok(sight);
            }
            for folder in &sight.folders {
                self.watch(folder);
            }
            watched = sight.folders;
        }
    }

    /// Also folders that are watched already: one that was deleted and made again has the same path and is another.
    fn watch(&mut self, folder: &Path) {
        let watched = self.watcher.watch(folder, RecursiveMode::NonRecursive);
        // Other errors: gone meanwhile, which its parent tells, or not ours to read, which the build cannot either.
        if let Err(error) = watched
            && matches!(error.kind, ErrorKind::MaxFilesWatch)
            && matches!(self.refused, Refused::No)
        {
            let folder = folder.display();
            self.refused = Refused::ToTell(anyhow::anyhow!(
                "cannot watch {folder}: the system watches no more folders\n\
                 hint: allow more: sysctl fs.inotify.max_user_watches=524288"
            ));
        }
    }
}

impl Refused {
    fn tell_once(&mut self) {
        if let Self::ToTell(error) = self {
            tracing::warn!("{error}");
            *self = Self::Told;
        }
    }
}
