//! Builds with `sh` instead of Cargo: what is decided, what is run, what is told.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    time::UNIX_EPOCH,
};

use coracle_manifest::name::ComponentName;
use tempfile::TempDir;

use super::*;
use crate::progress::tests::Told;

mod target;

/// An app in a folder of its own.
struct Fixture {
    folder: TempDir,
    app: App,
    told: Told,
}

impl Fixture {
    /// One component, `auth`, made by `command` from everything in the folder.
    fn of(command: &str) -> Self {
        Self::with(&[("auth", command)])
    }

    fn with(components: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut text = "[app]\nname = \"shop\"\n".to_owned();
        for (name, command) in components {
            text += &format!(
                "[component.{name}]\nsource = \"{name}.wasm\"\nbuild = {{ command = '''{command}''' }}\n"
            );
        }
        text += "[[route]]\npath = \"/*\"\ncomponent = \"auth\"\n";
        fs::write(folder.path().join("coracle.toml"), text).unwrap();
        let app = coracle_manifest::load(folder.path(), None).unwrap();
        let fixture = Self {
            folder,
            app,
            told: Told::default(),
        };
        fixture.file("lib.rs", 100);
        fixture.modified("coracle.toml", 100);
        fixture
    }

    /// Writes a file `age` seconds after the epoch.
    fn file(&self, path: &str, at: u64) {
        let file = self.folder.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, path).unwrap();
        self.modified(path, at);
    }

    fn modified(&self, path: &str, at: u64) {
        let file = File::open(self.folder.path().join(path)).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(at))
            .unwrap();
    }

    fn reason(&self) -> Option<Reason> {
        let auth = self
            .app
            .components
            .get(&ComponentName::parse("auth").unwrap());
        stale(auth.unwrap(), &self.app).unwrap()
    }

    async fn build(&self) -> Result<(), String> {
        self.build_with(&Toolchain::default(), &[]).await
    }

    async fn build_with(&self, toolchain: &Toolchain, untimed: &[PathBuf]) -> Result<(), String> {
        let progress = Progress::lines_to(self.told.clone());
        let built = build_with(toolchain, &self.app, untimed, &progress).await;
        let here = format!("{}", self.app.dir.display());
        built.map_err(|failure| failure.to_string().replace(&here, "APP"))
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.folder.path().join(path)).unwrap()
    }

    /// A program that stands in for `rustup`.
    fn program(&self, name: &str, script: &str) -> std::ffi::OsString {
        let path = self.folder.path().join(".git").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.into()
    }
}

#[test]
fn a_component_is_stale_when_it_is_older_than_a_file_git_does_not_ignore() {
    let newer = |path: &str| Some(Reason::Older(path.into()));
    type Files = &'static [(&'static str, u64)];
    let cases: [(&str, Files, Option<Reason>); 13] = [
        ("missing", &[], Some(Reason::Missing)),
        ("newer than all", &[("auth.wasm", 200)], None),
        ("as old as the newest", &[("auth.wasm", 100)], None),
        (
            "an input is newer",
            &[("auth.wasm", 200), ("lib.rs", 201)],
            newer("lib.rs"),
        ),
        (
            "in a folder",
            &[("auth.wasm", 200), ("a/b/c.rs", 201)],
            newer("a/b/c.rs"),
        ),
        (
            "hidden",
            &[("auth.wasm", 200), (".cargo/config.toml", 201)],
            newer(".cargo/config.toml"),
        ),
        (
            "the manifest",
            &[("auth.wasm", 200), ("coracle.toml", 201)],
            newer("coracle.toml"),
        ),
        (
            "a folder called target",
            &[("auth.wasm", 200), ("src/target/x.rs", 201)],
            newer("src/target/x.rs"),
        ),
        ("git-ignored", &[("auth.wasm", 200), ("out/x.o", 201)], None),
        (
            "Cargo's target",
            &[
                ("auth.wasm", 200),
                ("target/CACHEDIR.TAG", 1),
                ("target/x.rs", 201),
            ],
            None,
        ),
        (
            "the repository",
            &[("auth.wasm", 200), (".git/index", 201)],
            None,
        ),
        (
            "Coracle's state",
            &[("auth.wasm", 200), (".coracle/store.redb", 201)],
            None,
        ),
        (
            "a swap file",
            &[("auth.wasm", 200), (".lib.rs.swp", 201)],
            None,
        ),
    ];
    for (case, files, expected) in cases {
        let app = Fixture::of("true");
        fs::write(app.folder.path().join(".gitignore"), "out/\n").unwrap();
        app.modified(".gitignore", 100);
        for (path, at) in files {
            app.file(path, *at);
        }
        assert_eq!(app.reason(), expected, "{case}");
    }
}

#[test]
fn a_component_without_a_build_is_never_stale() {
    let mut app = Fixture::of("true");
    for component in app.app.components.values_mut() {
        component.build = None;
    }
    assert_eq!(app.reason(), None);
}

#[test]
fn what_another_build_of_the_app_writes_is_no_input() {
    let app = Fixture::with(&[("auth", "one"), ("orders", "two")]);
    app.file("auth.wasm", 200);
    app.file("orders.wasm", 300);
    assert_eq!(app.reason(), None);
}

#[test]
fn an_app_below_an_ignored_folder_is_watched_over_all_the_same() {
    let app = Fixture::of("true");
    let outer = app.folder.path();
    fs::write(outer.join(".gitignore"), "/inner/\n").unwrap();
    app.file("inner/src/lib.rs", 300);
    let build = Build {
        command: "true".to_owned(),
        dir: outer.canonicalize().unwrap().join("inner"),
    };
    let inputs = Inputs::of(&build, &app.app);
    assert_eq!(files(&inputs).count(), 1);
}

#[tokio::test]
async fn a_build_that_succeeds_leaves_one_line_and_is_not_repeated() {
    let app = Fixture::of("echo made >> auth.wasm");
    app.build().await.unwrap();
    app.build().await.unwrap();
    assert_eq!(app.read("auth.wasm"), "made\n");
    let told = app.told.text();
    assert!(
        told.starts_with("built auth (it was not there yet) in "),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1);
}

#[tokio::test]
async fn components_with_one_command_are_built_by_running_it_once() {
    let both = "echo made >> auth.wasm; echo made >> orders.wasm";
    let app = Fixture::with(&[("auth", both), ("orders", both)]);
    app.build().await.unwrap();
    assert_eq!(app.read("auth.wasm"), "made\n");
    assert!(app.told.text().starts_with("built auth, orders ("));
}

#[tokio::test]
async fn a_source_that_the_command_left_untouched_is_not_built_at_every_start() {
    let app = Fixture::of("echo run >> .git/runs");
    app.file("auth.wasm", 50);
    app.file(".git/runs", 50);
    app.build().await.unwrap();
    app.build().await.unwrap();
    assert_eq!(app.read(".git/runs"), ".git/runsrun\n");
}

#[tokio::test]
async fn an_input_edited_while_it_was_built_is_built_again() {
    let app = Fixture::of("cp lib.rs auth.wasm; echo more >> lib.rs; touch auth.wasm");
    app.build().await.unwrap();
    assert_eq!(app.reason(), Some(Reason::Older("lib.rs".into())));
}

#[tokio::test]
async fn an_input_that_the_build_rewrites_as_it_was_is_no_edit() {
    let app =
        Fixture::of("cat lib.rs > copy; cat copy > lib.rs; cat copy > auth.wasm; touch auth.wasm");
    app.build().await.unwrap();
    assert_eq!(app.reason(), None);
}

#[tokio::test]
async fn an_input_that_was_deleted_is_built_without() {
    let app = Fixture::of("echo made >> auth.wasm");
    app.build().await.unwrap();
    let gone = [app.app.dir.join("old.rs")];
    app.build_with(&Toolchain::default(), &gone).await.unwrap();
    assert_eq!(app.read("auth.wasm"), "made\nmade\n");
    assert!(
        app.told
            .text()
            .contains("built auth (old.rs was deleted or moved) in ")
    );
}

#[tokio::test]
async fn a_build_that_fails_shows_its_command_its_folder_and_all_it_said() {
    let app = Fixture::of("echo Compiling; echo 'error: expected `;`' >&2; exit 101");
    assert_eq!(
        app.build().await.unwrap_err(),
        "building auth failed: exit status: 101\n  \
           command: echo Compiling; echo 'error: expected `;`' >&2; exit 101\n  \
           folder: APP\n  \
           output:\nCompiling\nerror: expected `;`"
    );
    assert_eq!(app.told.text(), "");
}

#[tokio::test]
async fn a_build_that_writes_nothing_is_told_from_one_that_fails() {
    let app = Fixture::of("true");
    assert_eq!(
        app.build().await.unwrap_err(),
        "building auth failed: the command succeeded but did not write APP/auth.wasm\n  \
           command: true\n  \
           folder: APP\n  \
           output: none"
    );
}

#[tokio::test]
async fn a_build_that_writes_a_folder_did_not_write_the_component() {
    let app = Fixture::of("mkdir auth.wasm");
    let failure = app.build().await.unwrap_err();
    assert!(failure.contains("did not write APP/auth.wasm"), "{failure}");
}
