//! What a manifest names on the disk. In: a path as written and the folder it begins in. Out: the path with its links followed,
//! so that what is checked is what is opened, or a problem.

use std::path::{Path, PathBuf};

use toml::Spanned;

use crate::{
    problem::{Problem, Problems, quote},
    reader::Reader,
};

/// What has to be there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
}

/// Where `written` is, links followed: what is checked is what is opened.
pub(crate) fn existing(
    reader: &mut Reader<'_>,
    written: &Spanned<String>,
    dir: &Path,
    what: &str,
    kind: Kind,
) -> Option<PathBuf> {
    let found = std::fs::canonicalize(dir.join(written.get_ref())).ok();
    let right = |path: &PathBuf| match kind {
        Kind::File => path.is_file(),
        Kind::Directory => path.is_dir(),
    };
    let (message, fix) = match (&found, kind) {
        (Some(path), _) if right(path) => return found,
        (None, _) => (
            format!("the {what} {} is not there", quote(written.get_ref())),
            "paths begin in the folder of this file",
        ),
        (Some(_), Kind::File) => (
            format!("the {what} {} is not a file", quote(written.get_ref())),
            "name a file",
        ),
        (Some(_), Kind::Directory) => (
            format!("the {what} {} is not a directory", quote(written.get_ref())),
            "name a directory",
        ),
    };
    reader.report("no-such-file", written.span(), message, "", fix);
    None
}

/// As `existing`, but the path as written: what stands behind a link may be exchanged while it is in use, as mounted secrets are.
pub(crate) fn present(
    reader: &mut Reader<'_>,
    written: &Spanned<String>,
    dir: &Path,
    what: &str,
    kind: Kind,
) -> Option<PathBuf> {
    existing(reader, written, dir, what, kind)?;
    std::path::absolute(dir.join(written.get_ref())).ok()
}

/// The folder a file is in, as a path that can be opened.
pub(crate) fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// The folder of the manifest, links followed, so that paths inside it can be told from paths outside.
pub(crate) fn canonical(dir: &Path) -> Result<PathBuf, Problems> {
    std::fs::canonicalize(dir).map_err(|error| {
        let message = format!("the folder cannot be read: {error}");
        Problem::of_file(dir, "unreadable", message)
            .fix("check that it is there")
            .into()
    })
}
