//! A filesystem of its own for one test. In: its kind. Out: where it is mounted, until it is dropped.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// A mounted filesystem.
pub(crate) struct Mount {
    point: PathBuf,
    _directory: tempfile::TempDir,
}

impl Mount {
    /// Memory of that size. `None` when this user may not mount.
    pub(crate) fn tmpfs(size: &str) -> Option<Self> {
        Self::new(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
    }

    /// An image with a filesystem. It writes back only when asked to, so that an image at rest stays as it is.
    pub(crate) fn image(image: &Path) -> Option<Self> {
        Self::new(&["-t", "ext4", "-o", "loop,commit=300", image.to_str()?])
    }

    fn new(arguments: &[&str]) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let point = directory.path().join("mounted");
        std::fs::create_dir(&point).unwrap();
        let mounted = run("mount", &[arguments, &[point.to_str()?]].concat());
        mounted.then_some(Self {
            point,
            _directory: directory,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.point
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let point = self.point.to_str().unwrap();
        _ = run("umount", &[point]) || run("umount", &["--lazy", point]);
    }
}

/// Whether the command succeeded.
pub(crate) fn run(command: &str, arguments: &[&str]) -> bool {
    Command::new(command)
        .args(arguments)
        .output()
        .is_ok_and(|output| output.status.success())
}
