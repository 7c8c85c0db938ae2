//! Writes a new service. In: a name. Out: a folder with a Rust crate, its manifest, tests and README, that builds and runs at once.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use coracle_manifest::{MANIFEST_FILE, name::AppName};

#[cfg(test)]
mod tests;

/// Path in the folder and text; `@NAME@` and `@CRATE@` are filled in. The templates of Rust files end in `.in`, so that no tool takes
/// them for files of this crate.
const TEMPLATES: [(&str, &str); 6] = [
    (MANIFEST_FILE, include_str!("new/coracle.toml")),
    ("Cargo.toml", include_str!("new/Cargo.toml.in")),
    ("src/lib.rs", include_str!("new/lib.rs.in")),
    ("src/wasi.rs", include_str!("new/wasi.rs.in")),
    ("README.md", include_str!("new/README.md")),
    (".gitignore", include_str!("new/gitignore")),
];

/// Names that a package may bear and a library may not: words of the language, and the crates that are always there.
const TAKEN: [&str; 51] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "use",
    "wasip2",
    "where",
];

/// What was written; displays what to type next.
#[derive(Debug)]
pub(crate) struct Created {
    dir: PathBuf,
}

/// Writes the service `name` into `dir`, or into a folder of its name here.
///
/// # Errors
/// When it is no name for an app, when the folder holds something, or when it cannot be written.
pub(crate) fn create(name: &str, dir: Option<&Path>) -> anyhow::Result<Created> {
    let app = match AppName::parse(name) {
        Ok(app) => app,
        Err(error) => bail!(
            "{name:?} cannot be the name of an app: {error}\n\
             hint: for example: coracle new my-service"
        ),
    };
    let dir = dir.map_or_else(|| PathBuf::from(app.as_str()), Path::to_path_buf);
    empty(&dir)?;
    for (path, template) in TEMPLATES {
        let file = dir.join(path);
        write(&file, &filled(template, &app))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(Created { dir })
}

impl fmt::Display for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dir = self.dir.display();
        write!(
            f,
            "created {dir}\n\n  cd {dir}\n  coracle run --watch\n  curl http://127.0.0.1:8080/hello/world"
        )
    }
}

fn empty(dir: &Path) -> anyhow::Result<()> {
    let occupied = match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => {
            return Err(error).with_context(|| format!("cannot use {}", dir.display()));
        }
    };
    if occupied {
        bail!(
            "{} is there already and not empty\nhint: choose another folder with `--dir`",
            dir.display()
        );
    }
    Ok(())
}

fn filled(template: &str, app: &AppName) -> String {
    let mut library = app.as_str().replace('-', "_");
    if TAKEN.contains(&library.as_str()) {
        library.push_str("_service");
    }
    template
        .replace("@CRATE@", &library)
        .replace("@NAME@", app.as_str())
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)
        .and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes()))
}
