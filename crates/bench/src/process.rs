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
use coracle_load::process::{Tree, Usage};
use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process, kill_process_group},
};

/// A component may have to be compiled first.
const READY: Duration = Duration::from_secs(120);

/// A running server.
pub(crate) struct Server {
    child: Child,
    tree: Tree,
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
        let mut server = Self {
            tree: Tree::of(Pid::from_child(&child)),
            child,
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
        self.usage().cpu
    }

    /// Resident bytes of all its processes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.usage().resident_bytes
    }

    /// One that ended shows itself by answering no more.
    fn usage(&self) -> Usage {
        self.tree.usage().unwrap_or_default()
    }

    /// Bytes that belong to it alone.
    pub(crate) fn private_bytes(&self) -> u64 {
        let kib = self.tree.pids().into_iter().filter_map(|pid| {
            let rollup = format!("/proc/{}/smaps_rollup", pid.as_raw_pid());
            let text = fs::read_to_string(rollup).ok()?;
            let line = text
                .lines()
                .find(|line| line.starts_with("Private_Dirty:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        });
        kib.sum::<u64>() * 1024
    }

    /// Takes no processor time until [`Server::resume`].
    pub(crate) fn pause(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    pub(crate) fn resume(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Also to those that are in another group, as a container's are.
    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        for pid in self.tree.pids() {
            match kill_process(pid, signal) {
                // One that just ended needs no signal.
                Ok(()) | Err(Errno::SRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.signal(Signal::KILL);
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
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
