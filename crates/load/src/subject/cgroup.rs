//! A control group, as containers have one. In: its path, of either version. Out: processor time and memory of all that is in it.
//!
//! Version 2 has one tree (cgroup-v2.rst: cpu.stat, memory.current, memory.stat); version 1 one tree for each controller (cpuacct.rst:
//! cpuacct.usage in nanoseconds; memory.rst: memory.usage_in_bytes). What the kernel calls an inactive file can be dropped at any time,
//! and is no memory of the service.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::SubjectError;

const MOUNTED: &str = "/sys/fs/cgroup";

/// Which files say it.
#[derive(Debug, Clone)]
pub struct Cgroup {
    cpu: Cpu,
    memory: PathBuf,
    memory_stat: PathBuf,
    inactive: &'static str,
}

#[derive(Debug, Clone)]
enum Cpu {
    /// `usage_usec` in cpu.stat.
    Stat(PathBuf),
    /// cpuacct.usage.
    UsageNs(PathBuf),
}

impl Cgroup {
    /// The group at this path: a directory, or what /proc/PID/cgroup says after the last colon.
    ///
    /// # Errors
    /// When there is none, or it may not be read.
    pub fn open(path: &Path) -> Result<Self, SubjectError> {
        Self::below(Path::new(MOUNTED), path)
    }

    fn below(mounted: &Path, path: &Path) -> Result<Self, SubjectError> {
        // A path below a controller of version 1 names the group of the others too.
        let inside = path.strip_prefix(mounted).unwrap_or(path);
        let inside = inside.strip_prefix("/").unwrap_or(inside);
        let controllers = ["cpu,cpuacct", "cpuacct", "cpu", "memory", "unified"];
        let name = controllers
            .iter()
            .find_map(|controller| inside.strip_prefix(controller).ok())
            .unwrap_or(inside);
        let one_tree = [
            path.to_path_buf(),
            mounted.join(inside),
            mounted.join("unified").join(name),
        ];
        let found = one_tree.iter().find_map(|dir| {
            let group = Self {
                cpu: Cpu::Stat(dir.join("cpu.stat")),
                memory: dir.join("memory.current"),
                memory_stat: dir.join("memory.stat"),
                inactive: "inactive_file",
            };
            group.is_there().then_some(group)
        });
        let in_trees = || {
            let accounts = ["cpuacct", "cpu,cpuacct", "cpu"].iter();
            accounts
                .map(|controller| Self {
                    cpu: Cpu::UsageNs(mounted.join(controller).join(name).join("cpuacct.usage")),
                    memory: mounted
                        .join("memory")
                        .join(name)
                        .join("memory.usage_in_bytes"),
                    memory_stat: mounted.join("memory").join(name).join("memory.stat"),
                    inactive: "total_inactive_file",
                })
                .find(Self::is_there)
        };
        let group = found
            .or_else(in_trees)
            .ok_or_else(|| SubjectError::NoCgroup(path.to_path_buf()))?;
        group.cpu()?;
        group.memory_bytes()?;
        Ok(group)
    }

    fn is_there(&self) -> bool {
        let (Cpu::Stat(cpu) | Cpu::UsageNs(cpu)) = &self.cpu;
        cpu.is_file() && self.memory.is_file()
    }

    pub(super) fn cpu(&self) -> Result<Duration, SubjectError> {
        match &self.cpu {
            Cpu::Stat(file) => Ok(Duration::from_micros(field(file, "usage_usec")?)),
            Cpu::UsageNs(file) => Ok(Duration::from_nanos(number(file)?)),
        }
    }

    pub(super) fn memory_bytes(&self) -> Result<u64, SubjectError> {
        let all = number(&self.memory)?;
        let inactive = field(&self.memory_stat, self.inactive)?;
        Ok(all.saturating_sub(inactive))
    }
}

fn read(file: &Path) -> Result<String, SubjectError> {
    fs::read_to_string(file).map_err(|cause| SubjectError::Cgroup {
        file: file.to_path_buf(),
        cause,
    })
}

fn number(file: &Path) -> Result<u64, SubjectError> {
    let parsed = read(file)?.trim().parse();
    parsed.map_err(|_| SubjectError::NoNumber(file.to_path_buf()))
}

fn field(file: &Path, name: &str) -> Result<u64, SubjectError> {
    let text = read(file)?;
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let found = lines.find(|(key, _)| *key == name);
    found
        .and_then(|(_, value)| value.trim().parse().ok())
        .ok_or_else(|| SubjectError::NoNumber(file.to_path_buf()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    fn assert_reads(root: &Path, path: &Path) {
        let group = Cgroup::below(root, path).unwrap();
        assert_eq!(group.cpu().unwrap(), Duration::from_micros(1_500_000));
        assert_eq!(group.memory_bytes().unwrap(), 700);
    }

    #[test]
    fn reads_version_2_by_directory_and_by_name() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(
            root,
            &[
                ("docker/a/cpu.stat", "usage_usec 1500000\nuser_usec 1\n"),
                ("docker/a/memory.current", "1000\n"),
                ("docker/a/memory.stat", "anon 1\ninactive_file 300\n"),
            ],
        );
        assert_reads(root, &root.join("docker/a"));
        assert_reads(root, Path::new("/docker/a"));
    }

    #[test]
    fn reads_version_1_by_the_directory_of_any_controller_and_by_name() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(
            root,
            &[
                ("cpuacct/docker/a/cpuacct.usage", "1500000000\n"),
                ("memory/docker/a/memory.usage_in_bytes", "1000\n"),
                (
                    "memory/docker/a/memory.stat",
                    "cache 5\ntotal_inactive_file 300\n",
                ),
            ],
        );
        assert_reads(root, &root.join("memory/docker/a"));
        assert_reads(root, &root.join("cpuacct/docker/a"));
        assert_reads(root, Path::new("/docker/a"));
    }

    #[test]
    fn says_what_is_missing() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let refused = |path: &str| {
            Cgroup::below(root, Path::new(path))
                .unwrap_err()
                .to_string()
        };
        assert!(refused("/absent").starts_with("/absent is no control group"));
        write(
            root,
            &[
                ("b/cpu.stat", "usage_usec many\n"),
                ("b/memory.current", "1000\n"),
                ("b/memory.stat", "inactive_file 300\n"),
            ],
        );
        assert!(refused("/b").contains("cpu.stat holds no number"));
    }
}
