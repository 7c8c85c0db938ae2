//! Reads a file that a person wrote. In: a path. Out: its text, or one clear problem. Bounded: a manifest is small.

use std::{fs::File, io::Read, path::Path};

use crate::problem::{Problem, Problems, Source};

/// Far above any manifest, far below what would hurt.
const LARGEST_BYTES: u64 = 1024 * 1024;

/// Reads `path`; `missing` is the problem to report when nothing is there.
pub(crate) fn read(path: &Path, missing: impl FnOnce() -> Problem) -> Result<Source, Problems> {
    let unreadable = |error: std::io::Error| {
        Problem::of_file(
            path,
            "unreadable",
            format!("the file cannot be read: {error}"),
        )
        .fix("check that it is a file and that this user may read it")
    };
    let metadata = match std::fs::metadata(path) {
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return Err(missing().into());
        }
        other => other.map_err(unreadable)?,
    };
    // Before opening: to open a pipe is to wait for its writer.
    if !metadata.is_file() {
        return Err(
            Problem::of_file(path, "unreadable", "this is not a regular file")
                .fix("name a file, or the folder that holds coracle.toml")
                .into(),
        );
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_BYTES + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST_BYTES {
        return Err(
            Problem::of_file(path, "too-large", "the file is larger than 1 MiB")
                .fix("is this the right file? A manifest is a few kilobytes")
                .into(),
        );
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error
            .as_bytes()
            .iter()
            .take(valid)
            .filter(|b| **b == b'\n')
            .count()
            + 1;
        Problem::of_file(
            path,
            "not-utf8",
            format!("line {line} is not UTF-8 (byte {valid} of the file)"),
        )
        .fix("save the file as UTF-8")
    })?;
    Ok(Source {
        file: path.to_path_buf(),
        text: text.into(),
    })
}
