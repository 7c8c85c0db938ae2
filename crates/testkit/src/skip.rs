//! Tests that cannot run here say so by name; where no skip is allowed (`CI=true`) they fail instead.

/// Whether this test ends here because `need` is not met. Prints its name.
///
/// # Panics
/// When it is not met and the environment says `CI=true`.
pub fn skipped(met: bool, need: &str) -> bool {
    if met {
        return false;
    }
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("a test");
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "{name} may not be skipped here: it needs {need}"
    );
    eprintln!("SKIPPED {name}: needs {need}");
    true
}

/// Whether this test ends here because it needs root.
///
/// # Panics
/// See [`skipped`].
pub fn without_root() -> bool {
    skipped(rustix::process::geteuid().is_root(), "root")
}
