//! The toolchain's part: `rustup` and `rustc` are scripts here, so that nobody's toolchain is touched.

use super::*;

#[tokio::test]
async fn a_missing_wasm_target_is_added_and_said() {
    let app = Fixture::of("echo wasm32-wasip2 > auth.wasm");
    let toolchain = Toolchain {
        rustup: app.program(
            "rustup",
            r#"case "$2" in list) ;; *) echo "$@" > .git/added;; esac"#,
        ),
        ..Toolchain::default()
    };
    app.build_with(&toolchain, &[]).await.unwrap();
    assert_eq!(app.read(".git/added"), "target add wasm32-wasip2\n");
    let told = app.told.text();
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(
        lines[0],
        "the Rust toolchain has no wasm32-wasip2 target, so it is added: rustup target add wasm32-wasip2"
    );
    assert!(lines[1].starts_with("added the wasm32-wasip2 target in "));
}

#[tokio::test]
async fn an_installed_wasm_target_is_not_mentioned() {
    let app = Fixture::of("echo wasm32-wasip2 > auth.wasm");
    let toolchain = Toolchain {
        rustup: app.program("rustup", r#"test "$2" = list && echo wasm32-wasip2"#),
        ..Toolchain::default()
    };
    app.build_with(&toolchain, &[]).await.unwrap();
    assert!(!app.told.text().contains("target"));
}

#[tokio::test]
async fn a_target_that_cannot_be_added_shows_what_rustup_said() {
    let app = Fixture::of("echo wasm32-wasip2 > auth.wasm");
    let toolchain = Toolchain {
        rustup: app.program(
            "rustup",
            r#"test "$2" = list || { echo no network; exit 1; }"#,
        ),
        ..Toolchain::default()
    };
    let failure = app.build_with(&toolchain, &[]).await.unwrap_err();
    assert!(
        failure.starts_with(
            "building auth needs the wasm32-wasip2 target, which could not be added\n"
        )
    );
    assert!(failure.ends_with("output:\nno network"), "{failure}");
}

#[tokio::test]
async fn without_rustup_a_missing_target_says_what_to_do() {
    let app = Fixture::of("echo wasm32-wasip2; exit 1");
    let toolchain = Toolchain {
        rustup: "/nonexistent/rustup".into(),
        rustc: app.program("rustc", "echo /nonexistent/lib"),
    };
    let failure = app.build_with(&toolchain, &[]).await.unwrap_err();
    assert!(
        failure.contains("\nhint: this Rust has no wasm32-wasip2 target and `rustup`, which adds it, is not installed"),
        "{failure}"
    );
}

#[tokio::test]
async fn without_rust_the_hint_is_to_install_it() {
    let app = Fixture::of("cargo-that-is-not-there build");
    let toolchain = Toolchain {
        rustup: "/nonexistent/rustup".into(),
        rustc: "/nonexistent/rustc".into(),
    };
    let failure = app.build_with(&toolchain, &[]).await.unwrap_err();
    assert!(failure.contains("exit status: 127"), "{failure}");
    assert!(failure.contains("\nhint: Rust is not installed, or not on the PATH"));
}
