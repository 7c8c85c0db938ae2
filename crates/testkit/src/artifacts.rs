//! Where the things are that tests run: the command, the examples, the guests. What was not built is named with the command that
//! builds it.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The root of the repository.
///
/// # Panics
/// When this crate was moved.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .nth(2)
        .expect("crates/testkit is two levels down")
        .to_path_buf()
}

/// A path below `examples/`.
pub fn example(path: impl AsRef<Path>) -> PathBuf {
    repository().join("examples").join(path)
}

/// A compiled example, as `auth_p3`.
///
/// # Panics
/// When it was not built.
pub fn example_component(name: &str) -> PathBuf {
    built("examples", name)
}

/// A compiled guest of `guests/`, as `behave_p3`.
///
/// # Panics
/// When it was not built.
pub fn guest(name: &str) -> PathBuf {
    built("guests", name)
}

/// The compiled examples and guests that are there.
pub(crate) fn all_components() -> Vec<PathBuf> {
    let mut found: Vec<_> = ["examples", "guests"]
        .iter()
        .filter_map(|workspace| std::fs::read_dir(release(workspace)).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "wasm")
        })
        .collect();
    found.sort();
    found
}

/// The command under test: `CORACLE_BIN`, or the one beside the running test.
///
/// # Panics
/// When it was not built.
pub fn coracle() -> PathBuf {
    if let Some(path) = env::var_os("CORACLE_BIN") {
        return PathBuf::from(path);
    }
    let test = env::current_exe().expect("the path of this test");
    let path = test
        .ancestors()
        .nth(2)
        .expect("tests are in target/PROFILE/deps")
        .join("coracle");
    assert!(
        path.is_file(),
        "{} is not there: run `cargo build -p coracle-cli`, or set CORACLE_BIN",
        path.display()
    );
    path
}

fn built(workspace: &str, name: &str) -> PathBuf {
    let path = release(workspace).join(format!("{name}.wasm"));
    assert!(
        path.is_file(),
        "{} is not there: run `cargo build --release --target wasm32-wasip2` in {workspace}/",
        path.display()
    );
    path
}

fn release(workspace: &str) -> PathBuf {
    repository()
        .join(workspace)
        .join("target/wasm32-wasip2/release")
}
