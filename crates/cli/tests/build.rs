//! A build that fails, as `coracle run` shows it: exit code, stdout, stderr.

use std::{fs, process::Command};

#[test]
fn a_failing_build_ends_the_start_and_shows_its_output() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().canonicalize().unwrap();
    let manifest = "[app]\nname = \"shop\"\n\
                    [component.auth]\nsource = \"auth.wasm\"\n\
                    build = { command = \"echo compiling; echo no such type >&2; exit 3\" }\n\
                    [[route]]\npath = \"/*\"\ncomponent = \"auth\"\n";
    fs::write(here.join("coracle.toml"), manifest).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_coracle"))
        .args(["run", "--listen", "127.0.0.1:0"])
        .current_dir(&here)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert_eq!(
        String::from_utf8_lossy(&output.stderr).replace(&here.display().to_string(), "APP"),
        "error: building auth failed: exit status: 3\n  \
           command: echo compiling; echo no such type >&2; exit 3\n  \
           folder: APP\n  \
           output:\ncompiling\nno such type\n"
    );
}
