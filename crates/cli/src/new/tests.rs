//! What is written and what is refused. That it builds and passes its tests: `tests/new.rs`.

use std::process::Command;

use super::*;

#[test]
fn writes_an_app_whose_manifest_loads() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("my-service");
    let created = create("my-service", Some(&dir)).unwrap();
    assert_eq!(
        created.to_string(),
        format!(
            "created {0}\n\n  cd {0}\n  coracle run --watch\n  curl http://127.0.0.1:8080/hello/world",
            dir.display()
        )
    );
    let app = coracle_manifest::load(&dir, None).unwrap();
    assert_eq!(app.name.as_str(), "my-service");
    assert_eq!(app.routes.len(), 1);
    let component = app.components.values().next().unwrap();
    assert!(
        component
            .source
            .ends_with("target/wasm32-wasip2/release/my_service.wasm")
    );
    assert_eq!(component.grants, Default::default());
}

#[test]
fn leaves_no_placeholder_behind() {
    let folder = tempfile::tempdir().unwrap();
    create("hello", Some(folder.path())).unwrap();
    for (path, _) in TEMPLATES {
        let text = fs::read_to_string(folder.path().join(path)).unwrap();
        assert!(!text.contains('@'), "{path}: {text}");
    }
}

#[test]
fn writes_rust_as_rustfmt_does() {
    let folder = tempfile::tempdir().unwrap();
    create("hello", Some(folder.path())).unwrap();
    let formatted = Command::new("rustfmt")
        .args(["--check", "--edition", "2024"])
        .args(["src/lib.rs", "src/wasi.rs"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&formatted.stdout);
    assert!(formatted.status.success(), "{told}");
}

#[test]
fn a_name_that_is_a_word_of_the_language_makes_no_library_of_that_name() {
    let app = AppName::parse("match").unwrap();
    assert_eq!(filled("@NAME@ @CRATE@", &app), "match match_service");
}

#[test]
fn refuses_what_is_no_name_for_an_app() {
    let problem = create("My_Service", None).unwrap_err();
    assert_eq!(
        problem.to_string(),
        "\"My_Service\" cannot be the name of an app: a name begins with a lower-case letter a-z, not with 'M'\n\
         hint: for example: coracle new my-service"
    );
}

#[test]
fn refuses_a_folder_that_holds_something() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notes"), "mine").unwrap();
    let problem = create("hello", Some(folder.path())).unwrap_err();
    assert_eq!(
        problem.to_string(),
        format!(
            "{} is there already and not empty\nhint: choose another folder with `--dir`",
            folder.path().display()
        )
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn refuses_a_file_in_place_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hello");
    fs::write(&file, "mine").unwrap();
    let problem = create("hello", Some(&file)).unwrap_err();
    assert_eq!(
        problem.to_string(),
        format!("cannot use {}", file.display())
    );
}
