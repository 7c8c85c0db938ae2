//! From a folder or a file to an `App`: the front door of this room.

use std::path::Path;

use crate::{
    app::App,
    document, lookup,
    problem::{Problem, Problems},
    reader::Reader,
    resolve, source,
    written::Manifest,
};

/// The name of a manifest in the folder of its app.
pub const MANIFEST_FILE: &str = "coracle.toml";

/// Reads the manifest at `app`, a folder that holds `coracle.toml` or the file itself, and lays `profile` over it.
///
/// # Errors
/// Every problem of the manifest at once.
pub fn load(app: &Path, profile: Option<&str>) -> Result<App, Problems> {
    let file = if app.is_dir() {
        app.join(MANIFEST_FILE)
    } else {
        app.to_path_buf()
    };
    let source = source::read(&file, || missing(app, &file))?;
    let folder = lookup::canonical(lookup::folder_of(&file))?;

    let (root, syntax) = document::parse(&source);
    let mut reader = Reader::new(&source);
    let manifest = Manifest::read(&mut reader, &root);
    let app = resolve::resolve(&mut reader, &manifest, &folder, profile);
    let problems = document::settled(&source, syntax, reader.problems);
    match app {
        Some(app) if problems.is_empty() => Ok(app),
        _ => Err(Problems::new(problems, vec![source.clone()])),
    }
}

fn missing(app: &Path, file: &Path) -> Problem {
    if app.is_dir() {
        return Problem::of_file(
            file,
            "missing-manifest",
            format!("this folder has no {MANIFEST_FILE}"),
        )
        .fix("name the folder of an app, or make one: `coracle new NAME`");
    }
    Problem::of_file(file, "missing-manifest", "there is no such file or folder")
        .fix(format!("name the folder that holds {MANIFEST_FILE}"))
}
