//! Edits as editors make them. Every test waits for the change it causes, never for time to pass; that something is no change shows in
//! the next change not naming it.

use std::{
    fs::{self, File},
    time::UNIX_EPOCH,
};

use coracle_manifest::App;
use tempfile::TempDir;

use super::*;
use crate::build::Building;

struct Fixture {
    folder: TempDir,
    watch: Watch,
}

impl Fixture {
    async fn new(building: Building) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let manifest = "[app]\nname = \"shop\"\n[component.auth]\nsource = \"out/auth.wasm\"\n\
                        build = { command = \"true\" }\n[bucket.keys]\nseed = \"seed/keys.json\"\n\
                        [[route]]\npath = \"/*\"\ncomponent = \"auth\"\n";
        let files = [
            ("app/coracle.toml", manifest),
            ("app/.gitignore", "/out/\n*.log\n"),
            ("app/src/lib.rs", "one"),
            ("app/src/old.rs", "old"),
            ("app/seed/keys.json", "{}"),
            ("elsewhere/old.rs", "moved"),
        ];
        for (path, text) in files {
            write(&folder.path().join(path), text);
        }
        let watch = Watch::new(targets(&folder, building)).await.unwrap();
        Self { folder, watch }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        write(&self.path(path), text);
    }

    async fn next(&mut self) -> Change {
        let next = timeout(Duration::from_secs(30), self.watch.next()).await;
        next.expect("a change within half a minute")
    }

    async fn assert_changed(&mut self, paths: &[&str]) -> Change {
        let change = self.next().await;
        let expected: Vec<PathBuf> = paths.iter().map(|path| self.path(path)).collect();
        assert_eq!(change.paths, expected);
        change
    }
}

fn targets(folder: &TempDir, building: Building) -> Targets {
    let app = load(folder);
    Targets::of([&app], &folder.path().join("host.toml"), building)
}

fn load(folder: &TempDir) -> App {
    coracle_manifest::load(&folder.path().join("app"), None).unwrap()
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[tokio::test]
async fn an_edited_file_is_a_change() {
    let mut app = Fixture::new(Building::Stale).await;
    app.write("app/src/lib.rs", "two!");
    let change = app.assert_changed(&["app/src/lib.rs"]).await;
    assert_eq!(change.untimed, [] as [PathBuf; 0]);
    app.write("app/src/lib.rs", "three");
    app.assert_changed(&["app/src/lib.rs"]).await;
}

#[tokio::test]
async fn a_file_that_an_editor_replaces_is_a_change_each_time() {
    let mut app = Fixture::new(Building::Stale).await;
    for text in ["two", "six"] {
        app.write("app/src/lib.rs~", text);
        fs::rename(app.path("app/src/lib.rs~"), app.path("app/src/lib.rs")).unwrap();
        app.assert_changed(&["app/src/lib.rs"]).await;
    }
}

#[tokio::test]
async fn files_in_new_folders_are_changes() {
    let mut app = Fixture::new(Building::Stale).await;
    app.write("app/src/a/b/c.rs", "new");
    app.assert_changed(&["app/src/a/b/c.rs"]).await;
    app.write("app/src/a/b/c.rs", "edited");
    app.assert_changed(&["app/src/a/b/c.rs"]).await;
}

#[tokio::test]
async fn a_folder_that_is_deleted_and_made_again_is_still_watched() {
    let mut app = Fixture::new(Building::Stale).await;
    fs::remove_dir_all(app.path("app/src")).unwrap();
    let change = app
        .assert_changed(&["app/src/lib.rs", "app/src/old.rs"])
        .await;
    assert_eq!(change.untimed, change.paths);
    app.write("app/src/lib.rs", "back");
    app.assert_changed(&["app/src/lib.rs"]).await;
    app.write("app/src/lib.rs", "and edited");
    app.assert_changed(&["app/src/lib.rs"]).await;
}

#[tokio::test]
async fn a_file_moved_here_is_a_change_that_its_time_stamp_does_not_show() {
    let mut app = Fixture::new(Building::Stale).await;
    let old = File::open(app.path("elsewhere/old.rs")).unwrap();
    old.set_modified(UNIX_EPOCH + Duration::from_secs(100))
        .unwrap();
    fs::rename(app.path("elsewhere/old.rs"), app.path("app/src/old.rs")).unwrap();
    let change = app.assert_changed(&["app/src/old.rs"]).await;
    assert_eq!(change.untimed, change.paths);
}

#[tokio::test]
async fn what_git_ignores_is_no_change() {
    let mut app = Fixture::new(Building::Stale).await;
    app.write("app/out/x.o", "made");
    app.write("app/src/debug.log", "said");
    app.write("app/src/lib.rs", "edited");
    app.assert_changed(&["app/src/lib.rs"]).await;
}

#[tokio::test]
async fn what_a_build_of_ours_made_is_no_change_and_an_edit_meanwhile_is_one() {
    let mut app = Fixture::new(Building::Stale).await;
    app.write("app/src/lib.rs", "edited");
    app.write("app/out/auth.wasm", "built");
    app.watch.built();
    app.assert_changed(&["app/src/lib.rs"]).await;
}

#[tokio::test]
async fn a_source_that_somebody_else_built_is_a_change() {
    let mut app = Fixture::new(Building::Never).await;
    app.write("app/src/lib.rs", "not ours to build");
    app.write("app/out/auth.wasm", "built by hand");
    app.assert_changed(&["app/out/auth.wasm"]).await;
}

#[tokio::test]
async fn manifests_seeds_and_the_operators_file_are_watched() {
    let mut app = Fixture::new(Building::Never).await;
    app.write("app/seed/keys.json", "{ }");
    app.assert_changed(&["app/seed/keys.json"]).await;
    app.write("host.toml", "");
    app.assert_changed(&["host.toml"]).await;
    let manifest = fs::read_to_string(app.path("app/coracle.toml")).unwrap();
    app.write("app/coracle.toml", &(manifest + "\n"));
    app.assert_changed(&["app/coracle.toml"]).await;
    fs::remove_file(app.path("host.toml")).unwrap();
    app.assert_changed(&["host.toml"]).await;
}

#[tokio::test]
async fn what_changed_before_other_targets_are_followed_is_still_a_change() {
    let mut app = Fixture::new(Building::Never).await;
    app.write("app/seed/keys.json", "{ }");
    let targets = targets(&app.folder, Building::Stale);
    app.watch.follow(targets).await.unwrap();
    app.assert_changed(&["app/seed/keys.json"]).await;
    app.write("app/src/lib.rs", "an input now");
    app.assert_changed(&["app/src/lib.rs"]).await;
}

#[tokio::test]
async fn a_change_reads_as_its_first_file_and_how_many_more() {
    let here = std::env::current_dir().unwrap();
    let mut change = Change {
        paths: vec![here.join("src/lib.rs")],
        untimed: Vec::new(),
    };
    assert_eq!(change.to_string(), "src/lib.rs");
    change.paths.push(here.join("src/main.rs"));
    assert_eq!(change.to_string(), "src/lib.rs and 1 more");
}
