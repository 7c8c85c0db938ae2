//! Runs one command of somebody else's. In: a command, an ear for its lines. Out: its status and what it wrote, stdout and stderr in one
//! order, bounded. It runs in a process group of its own and does not outlive the future that runs it.

use std::{
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::AsyncReadExt as _,
    net::unix::pipe,
    process::{Child, Command},
    time::timeout,
};

/// How much of the output is kept, from its end.
const KEPT_BYTES: usize = 1 << 20;

/// How long a process that the command left behind may keep the pipe open after the command ended.
const LEFT_BEHIND: Duration = Duration::from_millis(100);

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) output: String,
}

/// `sh -c line` in `dir`.
pub(crate) fn shell(line: &str, dir: &std::path::Path) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(line).current_dir(dir);
    command
}

/// Runs `command` to its end; `on_line` hears each line without its terminal codes. Dropping the future kills the whole process group.
pub(crate) async fn run(mut command: Command, mut on_line: impl FnMut(&str)) -> io::Result<Ended> {
    let (reader, writer) = io::pipe()?;
    command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0);
    let mut child = command.spawn()?;
    // It holds our ends of the pipe, which would never close.
    drop(command);
    let mut group = Group::led_by(&child);

    let mut pipe = pipe::Receiver::from_owned_fd(reader.into())?;
    let mut tail = Tail::default();
    let mut line = Vec::new();
    let mut chunk = vec![0; 16 << 10];
    let mut open = true;
    let status = loop {
        tokio::select! {
            read = pipe.read(&mut chunk), if open => {
                open = heard(&chunk, read?, &mut tail, &mut line, &mut on_line);
            }
            status = child.wait() => break status?,
        }
    };
    group.ended();
    while open && let Ok(read) = timeout(LEFT_BEHIND, pipe.read(&mut chunk)).await {
        open = heard(&chunk, read?, &mut tail, &mut line, &mut on_line);
    }
    Ok(Ended {
        status,
        output: tail.text(),
    })
}

/// Whether there may be more.
fn heard(
    chunk: &[u8],
    read: usize,
    tail: &mut Tail,
    line: &mut Vec<u8>,
    on_line: &mut impl FnMut(&str),
) -> bool {
    let bytes = chunk.get(..read).unwrap_or_default();
    tail.push(bytes);
    for &byte in bytes {
        if matches!(byte, b'\n' | b'\r') {
            let text = plain(&String::from_utf8_lossy(line));
            if !text.trim().is_empty() {
                on_line(text.trim());
            }
            line.clear();
        } else if line.len() < 1024 {
            line.push(byte);
        }
    }
    read > 0
}

/// Text without terminal codes (ECMA-48, 5.4) and other control characters.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' && chars.next_if_eq(&'[').is_some() {
            chars.find(|c| ('\u{40}'..='\u{7e}').contains(c));
        } else if !c.is_control() {
            plain.push(c);
        }
    }
    plain
}

/// The end of a long output.
#[derive(Default)]
struct Tail {
    bytes: Vec<u8>,
    dropped_bytes: usize,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > 2 * KEPT_BYTES {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let excess = self.bytes.len().saturating_sub(KEPT_BYTES);
        self.bytes.drain(..excess);
        self.dropped_bytes += excess;
    }

    fn text(mut self) -> String {
        self.cut();
        let text = String::from_utf8_lossy(&self.bytes);
        match self.dropped_bytes {
            0 => text.into_owned(),
            dropped => format!("… (the first {dropped} bytes are left out)\n{text}"),
        }
    }
}

/// The process group of a command that runs, killed when this is dropped before [`Group::ended`].
struct Group {
    leader: Option<rustix::process::Pid>,
}

impl Group {
    fn led_by(child: &Child) -> Self {
        let pid = child.id().and_then(|id| i32::try_from(id).ok());
        Self {
            leader: pid.and_then(rustix::process::Pid::from_raw),
        }
    }

    /// The leader was waited for: its number may belong to somebody else from now on.
    fn ended(&mut self) {
        self.leader = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(line: &str) -> (Ended, Vec<String>) {
        let mut lines = Vec::new();
        let command = shell(line, std::path::Path::new("/"));
        let ended = run(command, |line| lines.push(line.to_owned())).await;
        (ended.unwrap(), lines)
    }

    #[tokio::test]
    async fn stdout_and_stderr_are_kept_in_the_order_they_were_written() {
        let (ended, lines) = sh("echo one; echo two >&2; echo three; exit 3").await;
        assert_eq!(ended.status.code(), Some(3));
        assert_eq!(ended.output, "one\ntwo\nthree\n");
        assert_eq!(lines, ["one", "two", "three"]);
    }

    #[tokio::test]
    async fn lines_are_heard_without_terminal_codes() {
        let (_, lines) = sh(r"printf '\033[1m\033[32mCompiling\033[0m auth\n\n'").await;
        assert_eq!(lines, ["Compiling auth"]);
    }

    #[tokio::test]
    async fn the_end_of_a_long_output_is_kept() {
        let (ended, _) = sh("yes 0123456789 | head -c 3145728; echo; echo last").await;
        assert!(ended.output.starts_with("… (the first "));
        assert!(ended.output.ends_with("last\n"));
        assert!(ended.output.len() < KEPT_BYTES + 100);
    }

    #[tokio::test]
    async fn a_process_left_behind_does_not_hold_up_the_build() {
        let (ended, _) = timeout(Duration::from_secs(20), sh("sleep 300 & echo done"))
            .await
            .unwrap();
        assert!(ended.status.success());
        assert_eq!(ended.output, "done\n");
    }

    #[tokio::test]
    async fn dropping_a_run_kills_the_command_and_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("alive");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        // The grandchild holds the pipe open for as long as it lives.
        let line = "sh -c 'exec 3>alive; echo up >&3; sleep 300' & wait";
        let running = tokio::spawn(run(shell(line, folder.path()), |_| {}));
        let mut pipe = pipe::OpenOptions::new().open_receiver(&fifo).unwrap();
        let mut said = [0; 3];
        while pipe.read(&mut said).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
        running.abort();
        let rest = timeout(Duration::from_secs(20), pipe.read(&mut said)).await;
        assert_eq!(rest.expect("nobody writes any more").unwrap(), 0);
    }
}
