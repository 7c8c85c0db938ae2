//! Whole messages, kept as files that a person reads. `UPDATE=1` rewrites them.

use std::{env, fs, path::Path};

/// Compares with the file, or rewrites it.
///
/// # Panics
/// When they differ.
pub fn assert_golden(file: impl AsRef<Path>, said: &str) {
    let file = file.as_ref();
    if env::var_os("UPDATE").is_some() {
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, said).expect("a golden");
        return;
    }
    let golden = fs::read_to_string(file).unwrap_or_default();
    assert!(
        golden == said,
        "{} says\n{golden}\nand this was said\n{said}\n`UPDATE=1` rewrites the goldens; read the difference",
        file.display()
    );
}
