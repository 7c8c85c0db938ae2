//! A Redis server of a test's own, on a free port, that can be ended, brought back with what it acknowledged, and made to stand still.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{PATIENCE, wait::soon};

/// A server; ended when dropped.
#[derive(Debug)]
pub struct Redis {
    child: Option<Child>,
    port: u16,
    password: Option<String>,
    dir: TempDir,
}

impl Redis {
    /// Starts one and waits until it answers.
    ///
    /// # Panics
    /// When there is no `redis-server` (`apt-get install redis-server`), or it does not start.
    pub fn start() -> Self {
        let mut redis = Self::down();
        redis.up();
        redis
    }

    /// One that does not run yet.
    pub fn down() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self {
            child: None,
            port: free.local_addr().expect("its address").port(),
            password: None,
            dir: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    /// Asks its clients for this password.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Starts it on the port and with the keys it had, and waits until it answers: since when it does.
    ///
    /// # Panics
    /// When it does not start.
    pub fn up(&mut self) -> Instant {
        self.kill();
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "yes", "--appendfsync", "no"])
            .arg("--dir")
            .arg(self.dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(password) = &self.password {
            command.args(["--requirepass", password]);
        }
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("redis-server (apt-get install redis-server): {error}"));
        self.child = Some(child);
        soon("an answer of Redis", PATIENCE, || {
            let ended = self.child.as_mut().expect("it was started").try_wait();
            assert!(
                ended.expect("its status").is_none(),
                "redis-server does not start on port {}",
                self.port
            );
            self.answers().then(Instant::now)
        })
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Makes it stand still (SIGSTOP): connections stay open, nothing answers.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT): since when it may answer.
    ///
    /// # Panics
    /// When it does not run.
    pub fn resume(&self) -> Instant {
        self.signal(Signal::CONT);
        Instant::now()
    }

    /// `redis://ADDRESS:PORT`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).expect("it runs");
    }

    /// A refusal for want of a password is an answer; while it loads it is not back yet.
    fn answers(&self) -> bool {
        let ping = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            stream.write_all(b"PING\r\n")?;
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line)?;
            Ok(line)
        };
        ping().is_ok_and(|line| line.starts_with("+PONG") || line.starts_with("-NOAUTH"))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
