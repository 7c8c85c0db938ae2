//! A server that runs as a process of its own, and what it costs. In: a command that says where it listens. Out: its address, processor time
//! and memory, its children included. Paused while another one is measured; killed when dropped.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process_group};

/// A component may have to be compiled first.
const READY: Duration = Duration::from_secs(120);

/// A running server.
pub(crate) struct Server {
    child: Child,
    group: Pid,
    address: String,
    /// When its process was started.
    pub(crate) started: Instant,
}

impl Server {
    /// Starts it and waits until it says that it listens.
    pub(crate) fn start(mut command: Command) -> anyhow::Result<Self> {
        let started = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", command.get_program().display()))?;
        let said = listen_to(&mut child);
        let group = Pid::from_child(&child);
        let mut server = Self {
            child,
            group,
            address: String::new(),
            started,
        };
        server.address = wait_until_ready(&said)
            .with_context(|| format!("{} did not become ready", command.get_program().display()))?;
        Ok(server)
    }

    /// `ADDRESS:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// User and system time of all its processes, and of their children that ended.
    pub(crate) fn cpu(&self) -> Duration {
        let ticks: u64 = members(self.group).iter().map(|stat| stat.ticks).sum();
        let per_second = rustix::param::clock_ticks_per_second();
        Duration::from_secs_f64(ticks as f64 / per_second as f64)
    }

    /// Resident bytes of all its processes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.sum("status", "VmRSS:")
    }

    /// Bytes that belong to it alone.
    pub(crate) fn private_bytes(&self) -> u64 {
        self.sum("smaps_rollup", "Private_Dirty:")
    }

    /// Takes no processor time until [`Server::resume`].
    pub(crate) fn pause(&self) -> anyhow::Result<()> {
        Ok(kill_process_group(self.group, Signal::STOP)?)
    }

    pub(crate) fn resume(&self) -> anyhow::Result<()> {
        Ok(kill_process_group(self.group, Signal::CONT)?)
    }

    fn sum(&self, file: &str, field: &str) -> u64 {
        let kib = members(self.group).into_iter().filter_map(|member| {
            let text = fs::read_to_string(format!("/proc/{}/{file}", member.pid)).ok()?;
            let line = text.lines().find(|line| line.starts_with(field))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        });
        kib.sum::<u64>() * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait();
    }
}

enum Said {
    Listening(String),
    Line(String),
}

/// Reads both outputs to their end, so that a full pipe never stops the server.
fn listen_to(child: &mut Child) -> Receiver<Said> {
    let (sender, said) = channel();
    if let Some(output) = child.stdout.take() {
        drain(output, sender.clone());
    }
    if let Some(output) = child.stderr.take() {
        drain(output, sender);
    }
    said
}

fn drain(output: impl Read + Send + 'static, sender: Sender<Said>) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let said = match address(&line) {
                Some(address) => Said::Listening(address),
                None => Said::Line(line),
            };
            // Nobody listens after the start; the pipe is still read.
            let _ = sender.send(said);
        }
    });
}

fn address(line: &str) -> Option<String> {
    let url = ["ready: http://", "Serving HTTP on http://"]
        .iter()
        .find_map(|start| line.strip_prefix(start))?;
    Some(
        url.split_whitespace()
            .next()?
            .trim_end_matches('/')
            .to_owned(),
    )
}

fn wait_until_ready(said: &Receiver<Said>) -> anyhow::Result<String> {
    let mut lines = Vec::new();
    let until = Instant::now() + READY;
    loop {
        match said.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Said::Listening(address)) => return Ok(address),
            Ok(Said::Line(line)) => lines.push(line),
            Err(_) => bail!("it said:\n{}", lines.join("\n")),
        }
    }
}

struct Stat {
    pid: u32,
    ticks: u64,
}

/// The processes of a group; proc(5): the third field after the name is the group, 14 to 17 the times.
fn members(group: Pid) -> Vec<Stat> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
            let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
            let is_member = number(2)? == u64::try_from(group.as_raw_pid()).ok()?;
            let ticks = number(11)? + number(12)? + number(13)? + number(14)?;
            is_member.then_some(Stat { pid, ticks })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_address_in_what_servers_say() {
        assert_eq!(
            address("ready: http://127.0.0.1:80").as_deref(),
            Some("127.0.0.1:80")
        );
        assert_eq!(
            address("Serving HTTP on http://127.0.0.1:80/").as_deref(),
            Some("127.0.0.1:80")
        );
        assert_eq!(address("auth  http://127.0.0.1:80/"), None);
    }
}
