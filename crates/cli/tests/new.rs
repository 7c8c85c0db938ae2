//! `coracle new` as it is typed: exit code, stdout, stderr; and what it writes, built and tested by Cargo.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::Path,
    process::{Command, Output},
};

#[test]
fn tells_what_to_type_next() {
    let folder = tempfile::tempdir().unwrap();
    let output = coracle_new(folder.path(), &["hello"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "");
    assert_eq!(
        text(&output.stdout),
        "created hello\n\n  cd hello\n  coracle run --watch\n  curl http://127.0.0.1:8080/hello/world\n"
    );
    assert!(folder.path().join("hello/coracle.toml").is_file());
}

#[test]
fn refuses_a_name_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let output = coracle_new(folder.path(), &["9lives"]);
    assert_ne!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), "");
    assert_eq!(
        text(&output.stderr),
        "error: \"9lives\" cannot be the name of an app: a name begins with a lower-case letter a-z, not with '9'\n\
         hint: for example: coracle new my-service\n"
    );
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

/// Names that are hard for Cargo, inside somebody else's workspace.
#[test]
fn slow_a_new_service_passes_its_tests_and_builds_to_a_component() {
    let folder = tempfile::tempdir().unwrap();
    let outer = "[workspace]\nmembers = []\n";
    std::fs::write(folder.path().join("Cargo.toml"), outer).unwrap();
    for (name, library) in [("my-service", "my_service"), ("test", "test_service")] {
        let output = coracle_new(folder.path(), &[name]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let dir = folder.path().join(name);
        cargo(&dir, &["test", "--quiet"]);
        cargo(&dir, &["build", "--release", "--target", "wasm32-wasip2"]);
        let component = folder
            .path()
            .join(format!("shared/wasm32-wasip2/release/{library}.wasm"));
        let bytes = std::fs::read(component).unwrap();
        // The component model's preamble: version 13, layer 1.
        assert_eq!(bytes.get(..8), Some(&b"\0asm\x0d\0\x01\0"[..]));
        assert!(bytes.len() < 256 << 10, "{} bytes", bytes.len());
    }
}

fn coracle_new(here: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_coracle"))
        .arg("new")
        .args(words)
        .current_dir(here)
        .output()
        .unwrap()
}

/// Both services share a target folder, so that what they depend on is compiled once.
fn cargo(dir: &Path, words: &[&str]) {
    let output = Command::new(env!("CARGO"))
        .args(words)
        .current_dir(dir)
        .env("CARGO_TARGET_DIR", dir.with_file_name("shared"))
        .env("RUSTFLAGS", "-D warnings")
        .output()
        .unwrap();
    let told = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "cargo {words:?}\n{told}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
