//! Whose processor time and memory is measured. In: a process, or a control group. Out: what it used so far and what it holds now.

pub(crate) mod cgroup;
pub mod process;

use std::{path::PathBuf, time::Duration};

use rustix::process::Pid;
use thiserror::Error;

use cgroup::Cgroup;
use process::Tree;

/// Somebody's processes.
#[derive(Debug, Clone)]
pub enum Subject {
    /// A process and all below it.
    Tree(Tree),
    /// A control group, as a container has one.
    Cgroup(Cgroup),
}

/// It cannot be watched.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SubjectError {
    #[error("there is no process {0}")]
    NoProcess(i32),
    #[error("process {0} may not be looked at: it belongs to somebody else")]
    Forbidden(i32),
    #[error("process {pid}: reading {file}")]
    Process {
        pid: i32,
        file: &'static str,
        #[source]
        cause: std::io::Error,
    },
    #[error(
        "{0} is no control group: neither cpu.stat and memory.current are in it nor cpuacct.usage and memory.usage_in_bytes"
    )]
    NoCgroup(PathBuf),
    #[error("control group: reading {file}")]
    Cgroup {
        file: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("control group: {0} holds no number where one is expected")]
    NoNumber(PathBuf),
}

impl SubjectError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoCgroup(_) => Some("/proc/PID/cgroup says in which group a process is".into()),
            Self::Forbidden(_) => Some("measure as the user it belongs to, or as root".into()),
            _ => None,
        }
    }
}

impl Subject {
    /// This process and all below it.
    ///
    /// # Errors
    /// When there is none, or it may not be looked at.
    pub fn process(pid: i32) -> Result<Self, SubjectError> {
        let known = Pid::from_raw(pid).ok_or(SubjectError::NoProcess(pid))?;
        let tree = Tree::of(known);
        tree.usage()?;
        Ok(Subject::Tree(tree))
    }

    /// User and system time so far.
    ///
    /// # Errors
    /// When it is gone, or may not be looked at.
    pub fn cpu(&self) -> Result<Duration, SubjectError> {
        match self {
            Subject::Tree(tree) => Ok(tree.usage()?.cpu),
            Subject::Cgroup(cgroup) => cgroup.cpu(),
        }
    }

    /// Memory held now: resident pages of processes, or what a group is charged with less what can be dropped.
    ///
    /// # Errors
    /// When it is gone, or may not be looked at.
    pub fn memory_bytes(&self) -> Result<u64, SubjectError> {
        match self {
            Subject::Tree(tree) => Ok(tree.usage()?.resident_bytes),
            Subject::Cgroup(cgroup) => cgroup.memory_bytes(),
        }
    }
}
