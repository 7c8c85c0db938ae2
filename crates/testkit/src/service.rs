//! A server that runs as a process of its own, and what can be seen of it from outside.
//! In: a command that says `ready: http://…` on standard output. Out: its address, its lines, its exit. Dropped, it is killed.

use std::{
    fs,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{PATIENCE, artifacts, coracle::Coracle, output::Lines, state::StateDir, wait::soon};

/// A component may have to be compiled first.
const READY: Duration = Duration::from_secs(120);

/// How a process ended: by itself with a code, or by a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited.
    Code(i32),
    /// It was ended.
    Signal(i32),
}

/// A running server.
#[derive(Debug)]
pub struct Service {
    child: Child,
    base_url: String,
    stdout: Lines,
    stderr: Lines,
    /// What it works in; gone after it.
    _dirs: Vec<TempDir>,
    _state: Option<StateDir>,
}

impl Service {
    /// `coracle run` of an app below `examples/`, already built.
    ///
    /// # Panics
    /// When it does not start.
    pub fn coracle(app: &str, profile: Option<&str>) -> Self {
        let run = Coracle::new().app(artifacts::example(app));
        profile
            .into_iter()
            .fold(run, |run, profile| run.args(["--profile", profile]))
            .start()
    }

    /// A Node.js server below `examples/`.
    ///
    /// # Panics
    /// When there is no Node.js, or the server does not start.
    pub fn node(script: &str) -> Self {
        let mut node = Command::new("node");
        node.arg(artifacts::example(script)).env("PORT", "0");
        Self::spawn(node, Vec::new(), None)
            .unwrap_or_else(|error| panic!("needs Node.js (`apt-get install nodejs`): {error}"))
            .wait_until_ready()
    }

    pub(crate) fn spawn(
        mut command: Command,
        dirs: Vec<TempDir>,
        state: Option<StateDir>,
    ) -> std::io::Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let stdout = Lines::of(child.stdout.take().expect("piped"));
        let stderr = Lines::of(child.stderr.take().expect("piped"));
        Ok(Self {
            child,
            base_url: String::new(),
            stdout,
            stderr,
            _dirs: dirs,
            _state: state,
        })
    }

    pub(crate) fn wait_until_ready(mut self) -> Self {
        if !self.becomes_ready() {
            self.stderr.wait_for_end(Duration::from_secs(1));
            panic!("it did not become ready; it said:\n{}", self.stderr());
        }
        self
    }

    /// Waits for the line that says so, or for its end.
    pub(crate) fn becomes_ready(&mut self) -> bool {
        let ready = self
            .stdout
            .wait_for(READY, |line| line.starts_with("ready: http://"));
        let url = ready
            .as_deref()
            .and_then(|line| line["ready: ".len()..].split_whitespace().next());
        if let Some(url) = url {
            url.trim_end_matches('/').clone_into(&mut self.base_url);
        }
        ready.is_some()
    }

    /// `http://ADDRESS:PORT`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    /// Where its operator asks: the address that `--admin` got.
    ///
    /// # Panics
    /// When it has none.
    pub fn admin_url(&self) -> String {
        let line = self.wait_for_line(|line| line.starts_with("admin http://"));
        let url = line.split_whitespace().nth(1).expect("a URL");
        crate::http::split(url).0.to_owned()
    }

    /// Everything it said on standard output.
    pub fn stdout(&self) -> String {
        self.stdout.all().join("\n")
    }

    /// Everything it said on standard error.
    pub fn stderr(&self) -> String {
        self.stderr.all().join("\n")
    }

    /// The lines it said on standard error.
    pub fn stderr_lines(&self) -> Vec<String> {
        self.stderr.all()
    }

    /// The first line on standard error that is wanted, also of those already said.
    ///
    /// # Panics
    /// When none comes.
    pub fn wait_for_line(&self, wanted: impl Fn(&str) -> bool) -> String {
        let line = self.stderr.wait_for(PATIENCE, wanted);
        line.unwrap_or_else(|| panic!("no such line came; it said:\n{}", self.stderr()))
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("its status").is_none()
    }

    /// Memory that is resident.
    ///
    /// # Panics
    /// When it ended.
    pub fn rss_bytes(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    /// The most memory that ever was resident.
    ///
    /// # Panics
    /// When it ended.
    pub fn peak_rss_bytes(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    /// Processor time of all its threads, to a hundredth of a second.
    ///
    /// # Panics
    /// When it ended.
    pub fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("it runs");
        let (_, after_name) = stat.rsplit_once(") ").expect("its name in brackets");
        let ticks: u64 = after_name
            .split(' ')
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().expect("a number"))
            .sum();
        Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second())
    }

    /// Descriptors that are open.
    ///
    /// # Panics
    /// When it ended.
    pub fn open_fds(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid()))
            .expect("it runs")
            .count()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When it ended.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("it runs");
    }

    /// Waits for its end and for its last line.
    ///
    /// # Panics
    /// When it does not end.
    pub fn wait_for_exit(&mut self, limit: Duration) -> Exit {
        let status = soon("the end of the process", limit, || {
            self.child.try_wait().expect("its status")
        });
        self.stdout.wait_for_end(PATIENCE);
        self.stderr.wait_for_end(PATIENCE);
        exit(status)
    }

    /// Asks it to end (SIGTERM) and waits.
    ///
    /// # Panics
    /// When it does not.
    pub fn stop(&mut self) -> Exit {
        self.signal(Signal::TERM);
        self.wait_for_exit(PATIENCE)
    }

    /// Ends it at once (SIGKILL) and waits.
    pub fn kill(&mut self) -> Exit {
        let _ = self.child.kill();
        exit(self.child.wait().expect("its status"))
    }

    fn status_bytes(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.expect("a number of KiB") * 1024
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn exit(status: ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt as _;
    status
        .code()
        .map(Exit::Code)
        .or(status.signal().map(Exit::Signal))
        .expect("it exited or was ended")
}
