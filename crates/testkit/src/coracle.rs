//! The command itself. In: what a person would type, and the folder they stand in. Out: a running node, or how it ended.

use std::{
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{
    PATIENCE,
    app::TempApp,
    artifacts,
    service::{Exit, Service},
    state::StateDir,
};

/// A command line in the making; `coracle run --listen 127.0.0.1:0 --no-build` unless said otherwise.
#[derive(Debug)]
pub struct Coracle {
    subcommand: &'static str,
    arguments: Vec<OsString>,
    environment: Vec<(String, String)>,
    listen: String,
    builds: bool,
    state: State,
    dir: TempDir,
    dirs: Vec<TempDir>,
}

#[derive(Debug)]
enum State {
    Shared,
    Own(StateDir),
    At(PathBuf),
}

/// A command that ended.
#[derive(Debug)]
pub struct Finished {
    /// How.
    pub exit: Exit,
    /// What it said on standard output.
    pub stdout: String,
    /// What it said on standard error.
    pub stderr: String,
}

impl Coracle {
    /// `coracle run` in an empty folder.
    pub fn new() -> Self {
        Self::subcommand("run")
    }

    /// Another subcommand.
    pub fn subcommand(name: &'static str) -> Self {
        Self {
            subcommand: name,
            arguments: Vec::new(),
            environment: Vec::new(),
            listen: "127.0.0.1:0".into(),
            builds: false,
            state: State::Shared,
            dir: tempfile::tempdir().expect("a temporary directory"),
            dirs: Vec::new(),
        }
    }

    /// Another app.
    #[must_use]
    pub fn app(self, dir: impl AsRef<Path>) -> Self {
        self.arg(dir.as_ref())
    }

    /// Another app, whose folder goes when the node does.
    #[must_use]
    pub fn serving(mut self, app: TempApp) -> Self {
        self = self.arg(app.path());
        self.dirs.push(app.into_dir());
        self
    }

    /// Another argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().into());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = A>) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }

    /// An environment variable of the node.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Where to listen instead of a free port.
    #[must_use]
    pub fn listen(mut self, address: &str) -> Self {
        self.listen = address.into();
        self
    }

    /// The operator's file, in the folder the command runs in.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn host_file(self, text: &str) -> Self {
        fs::write(self.dir.path().join("host.toml"), text).expect("host.toml");
        self
    }

    /// Runs the build commands.
    #[must_use]
    pub fn building(mut self) -> Self {
        self.builds = true;
        self
    }

    /// Keeps its state there, to be found by a later run. The folder outlives the node.
    #[must_use]
    pub fn state(mut self, state: &StateDir) -> Self {
        self.state = State::At(state.path().to_path_buf());
        self
    }

    /// Keeps its state there, and nobody else will.
    #[must_use]
    pub fn state_in(mut self, state: StateDir) -> Self {
        self.state = State::Own(state);
        self
    }

    /// Keeps its state in any directory, also in one that is no good.
    #[must_use]
    pub fn state_at(mut self, dir: impl AsRef<Path>) -> Self {
        self.state = State::At(dir.as_ref().to_path_buf());
        self
    }

    /// The folder the command runs in.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts it and waits until it accepts requests.
    ///
    /// # Panics
    /// When it does not.
    pub fn start(self) -> Service {
        self.spawn().wait_until_ready()
    }

    /// Starts it without waiting for anything.
    ///
    /// # Panics
    /// When there is no such command.
    pub fn spawn(self) -> Service {
        let (command, dirs, state) = self.into_command();
        Service::spawn(command, dirs, state).expect("the command")
    }

    /// Starts it; when it ends instead, tells how.
    ///
    /// # Errors
    /// When it ended without becoming ready.
    pub fn try_start(self) -> Result<Service, Finished> {
        let mut service = self.spawn();
        if service.becomes_ready() {
            return Ok(service);
        }
        let exit = service.wait_for_exit(PATIENCE);
        Err(Finished {
            exit,
            stdout: service.stdout(),
            stderr: service.stderr(),
        })
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it does not end, as a node that serves.
    pub fn run(self) -> Finished {
        let Err(finished) = self.try_start() else {
            panic!("it serves, and should have ended");
        };
        finished
    }

    fn into_command(self) -> (Command, Vec<TempDir>, Option<StateDir>) {
        let mut command = Command::new(artifacts::coracle());
        command
            .arg(self.subcommand)
            .args(&self.arguments)
            .current_dir(self.dir.path())
            .env("NO_COLOR", "1")
            .env_remove("RUST_LOG")
            .envs(self.environment);
        let mut own = None;
        if self.subcommand == "run" {
            let state = match self.state {
                State::At(path) => path,
                State::Shared => own.insert(StateDir::new()).path().to_path_buf(),
                State::Own(state) => own.insert(state).path().to_path_buf(),
            };
            command.args(["--listen", &self.listen]);
            command.arg("--state-dir").arg(state);
            if !self.builds {
                command.arg("--no-build");
            }
        }
        let mut dirs = self.dirs;
        dirs.push(self.dir);
        (command, dirs, own)
    }
}

impl Default for Coracle {
    fn default() -> Self {
        Self::new()
    }
}
