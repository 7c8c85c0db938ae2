//! A process and all below it, as /proc shows them. In: the first process. Out: processor time and resident memory of all.
//! proc(5): after the name in brackets the second field is the parent, 12 to 15 are user and system time, own and of children
//! that ended and were waited for, 22 is the resident set in pages.

use std::{collections::BTreeMap, fs, io, time::Duration};

use rustix::process::Pid;

use super::SubjectError;

/// The first process, and whether it counts itself.
#[derive(Debug, Clone, Copy)]
pub struct Tree {
    root: Pid,
    with_root: bool,
}

/// What all of them used and hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// User and system time.
    pub cpu: Duration,
    /// Resident memory; pages that several share count for each.
    pub resident_bytes: u64,
}

impl Tree {
    /// This process and all below it.
    pub fn of(root: Pid) -> Self {
        Self {
            root,
            with_root: true,
        }
    }

    /// All below this process.
    pub fn below(root: Pid) -> Self {
        Self {
            root,
            with_root: false,
        }
    }

    /// What they used so far and hold now.
    ///
    /// # Errors
    /// When the first is gone, or may not be looked at.
    pub fn usage(&self) -> Result<Usage, SubjectError> {
        let members = self.members()?;
        let ticks: u64 = members.iter().map(|stat| stat.ticks).sum();
        let pages: u64 = members.iter().map(|stat| stat.resident_pages).sum();
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Usage {
            cpu: Duration::from_secs_f64(ticks as f64 / per_second as f64),
            resident_bytes: pages * rustix::param::page_size() as u64,
        })
    }

    /// Those that run now; none when the first is gone.
    pub fn pids(&self) -> Vec<Pid> {
        let members = self.members().unwrap_or_default();
        let running = members.iter().filter(|stat| stat.state != 'Z');
        running.map(|stat| stat.pid).collect()
    }

    fn members(&self) -> Result<Vec<Stat>, SubjectError> {
        let root = stat(self.root).map_err(|cause| failed(self.root, cause))?;
        let mut members = self.descendants();
        if self.with_root {
            members.push(root);
        }
        Ok(members)
    }

    fn descendants(&self) -> Vec<Stat> {
        let mut children: BTreeMap<i32, Vec<Stat>> = BTreeMap::new();
        for stat in all() {
            children.entry(stat.parent).or_default().push(stat);
        }
        let mut found = Vec::new();
        let mut parents = vec![self.root.as_raw_pid()];
        while let Some(parent) = parents.pop() {
            for child in children.remove(&parent).unwrap_or_default() {
                parents.push(child.pid.as_raw_pid());
                found.push(child);
            }
        }
        found
    }
}

/// One line of /proc.
#[derive(Debug, Clone, Copy)]
struct Stat {
    pid: Pid,
    state: char,
    parent: i32,
    ticks: u64,
    resident_pages: u64,
}

/// Every process that is there; one that ends meanwhile is left out.
fn all() -> Vec<Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let pids = pids.filter_map(Pid::from_raw);
    pids.filter_map(|pid| stat(pid).ok()).collect()
}

fn stat(pid: Pid) -> io::Result<Stat> {
    let text = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid()))?;
    parse(pid, &text).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn parse(pid: Pid, text: &str) -> Option<Stat> {
    // A name may hold anything, also brackets.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        pid,
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        ticks: number(11)? + number(12)? + number(13)? + number(14)?,
        resident_pages: number(21)?,
    })
}

fn failed(pid: Pid, cause: io::Error) -> SubjectError {
    let pid = pid.as_raw_pid();
    match cause.kind() {
        io::ErrorKind::NotFound => SubjectError::NoProcess(pid),
        io::ErrorKind::PermissionDenied => SubjectError::Forbidden(pid),
        // The process ended between opening and reading.
        _ if cause.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {
            SubjectError::NoProcess(pid)
        }
        _ => SubjectError::Process {
            pid,
            file: "stat",
            cause,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn reads_a_process_whatever_its_name_holds() {
        let pid = Pid::INIT;
        let text = "1 (a) b (c)) S 7 8 9 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0 5 6 42 9\n";
        let stat = parse(pid, text).unwrap();
        assert_eq!((stat.state, stat.parent), ('S', 7));
        assert_eq!((stat.ticks, stat.resident_pages), (10, 42));
        assert!(parse(pid, "1 (cut").is_none());
    }

    #[test]
    fn counts_children_of_children_and_not_who_keeps_them() {
        let mut shell = Command::new("sh")
            .args(["-c", "exec 3<&0; sh -c 'read line <&3' & read line"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let below = Tree::below(rustix::process::getpid());
        let of_shell = Tree::of(Pid::from_child(&shell));
        coracle_testkit::soon("both shells", coracle_testkit::PATIENCE, || {
            (of_shell.pids().len() == 2 && below.pids().len() >= 2).then_some(())
        });
        assert!(!below.pids().contains(&rustix::process::getpid()));
        let with_this = Tree::of(rustix::process::getpid()).usage().unwrap();
        assert!(with_this.resident_bytes > of_shell.usage().unwrap().resident_bytes);
        drop(shell.stdin.take());
        shell.wait().unwrap();
    }

    #[test]
    fn says_whether_a_process_is_absent_or_somebody_else_s() {
        let said = |kind: io::ErrorKind| failed(Pid::INIT, kind.into()).to_string();
        assert_eq!(said(io::ErrorKind::NotFound), "there is no process 1");
        assert_eq!(
            said(io::ErrorKind::PermissionDenied),
            "process 1 may not be looked at: it belongs to somebody else"
        );
    }
}
