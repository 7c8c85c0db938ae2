//! Compiles components in a child process, so that a hostile one costs a child and not the node.
//!
//! In: the bytes of a component. Out: the artifact, or the compiler's message. The child gets the component on standard
//! input and returns the artifact on standard output; it sees no path (Landlock) and is limited in processor time, address
//! space and wall time. The serving process never compiles.

use std::{
    io::{Read, Write},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Command, ExitCode, ExitStatus, Stdio},
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

use landlock::{Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr};
use rustix::process::{Resource, Rlimit, setrlimit};
use thiserror::Error;

use crate::{
    profile::{Kind, compiling},
    shim,
};

/// The hidden subcommand under which a binary becomes the compiler.
pub const CHILD_COMMAND: &str = "compile-component";

const CPU_LIMIT_S: u64 = 240;
const WALL_LIMIT: Duration = Duration::from_secs(300);
const ADDRESS_SPACE_BYTES: u64 = 8 << 30;
const MESSAGE_BYTES: u64 = 64 << 10;
const WALL_LIMIT_STATUS: u8 = 124;

/// Starts compiling children, a bounded number at once.
pub struct Compiler {
    program: PathBuf,
    free: Mutex<usize>,
    freed: Condvar,
}

/// Why there is no artifact.
#[derive(Debug, Error)]
pub enum CompileError {
    /// The component is invalid, or uses what this engine does not offer.
    #[error("{0}")]
    Invalid(String),
    /// The child exceeded a limit and was ended.
    #[error("compiling used more than {0}")]
    Exceeded(String),
    /// The child could not be run.
    #[error("running the compiler {program}: {source}")]
    Run {
        /// What was to be run.
        program: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl Compiler {
    /// A compiler that runs `program compile-component KIND`, which calls [`child`].
    pub fn new(program: PathBuf) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            program,
            free: Mutex::new(cores),
            freed: Condvar::new(),
        }
    }

    /// Compiles one component. Blocks; waits when as many children run as there are cores.
    ///
    /// # Errors
    /// See [`CompileError`].
    pub fn compile(&self, kind: Kind, component: &[u8]) -> Result<Vec<u8>, CompileError> {
        let _turn = self.wait_for_turn();
        let (status, artifact, message) =
            self.run(kind, component)
                .map_err(|source| CompileError::Run {
                    program: self.program.clone(),
                    source,
                })?;
        if status.success() {
            Ok(artifact)
        } else {
            Err(failure(status, message))
        }
    }

    fn run(&self, kind: Kind, component: &[u8]) -> std::io::Result<(ExitStatus, Vec<u8>, String)> {
        let mut child = Command::new(&self.program)
            .args([CHILD_COMMAND, kind.as_str()])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (mut input, mut output, errors) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut artifact = Vec::new();
        let message = std::thread::scope(|scope| {
            // A child that ends early closes its input: its status and message tell why, not this write.
            scope.spawn(move || input.take().map(|mut input| input.write_all(component)));
            let message = scope.spawn(move || {
                let mut message = Vec::new();
                let _ = errors.map(|errors| errors.take(MESSAGE_BYTES).read_to_end(&mut message));
                String::from_utf8_lossy(&message).trim().to_string()
            });
            let read = output
                .as_mut()
                .map_or(Ok(0), |output| output.read_to_end(&mut artifact));
            read.map(|_| message.join().unwrap_or_default())
        })?;
        Ok((child.wait()?, artifact, message))
    }

    fn wait_for_turn(&self) -> Turn<'_> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = self
                .freed
                .wait(free)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Turn(self)
    }
}

struct Turn<'a>(&'a Compiler);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

fn failure(status: ExitStatus, message: String) -> CompileError {
    if status.code() == Some(i32::from(WALL_LIMIT_STATUS)) {
        return CompileError::Exceeded(format!("{} s", WALL_LIMIT.as_secs()));
    }
    match status.signal() {
        // SIGXCPU, or SIGKILL at the hard limit; an allocation beyond the address space aborts (SIGABRT).
        Some(9 | 24) => CompileError::Exceeded(format!("{CPU_LIMIT_S} s of processor time")),
        Some(6) => CompileError::Exceeded(format!(
            "{} GiB of address space",
            ADDRESS_SPACE_BYTES >> 30
        )),
        Some(signal) => CompileError::Invalid(format!("the compiler ended by signal {signal}")),
        None => CompileError::Invalid(message),
    }
}

/// The child's main: component from standard input, artifact to standard output, message and status 1 on failure.
pub fn child(kind: Kind) -> ExitCode {
    match confine().and_then(|()| compile_standard_input(kind)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "{message}");
            ExitCode::FAILURE
        }
    }
}

fn confine() -> Result<(), String> {
    let limit = |resource, value| {
        setrlimit(
            resource,
            Rlimit {
                current: Some(value),
                maximum: Some(value),
            },
        )
        .map_err(|error| format!("setting a limit: {error}"))
    };
    limit(Resource::Cpu, CPU_LIMIT_S)?;
    limit(Resource::As, ADDRESS_SPACE_BYTES)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    std::thread::spawn(|| {
        std::thread::sleep(WALL_LIMIT);
        std::process::exit(i32::from(WALL_LIMIT_STATUS));
    });
    // Every access of every Landlock version is handled and no path is allowed. Kernels without Landlock keep the limits.
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(landlock::ABI::V5))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(|error| format!("confining the compiler: {error}"))?;
    Ok(())
}

fn compile_standard_input(kind: Kind) -> Result<(), String> {
    let mut component = Vec::new();
    std::io::stdin()
        .read_to_end(&mut component)
        .map_err(|error| format!("reading the component: {error}"))?;
    let engine = wasmtime::Engine::new(&compiling(kind)).map_err(|error| format!("{error:#}"))?;
    // What is wrong with a component is said of the component as it came.
    let artifact = shim::without_shims(&component)
        .and_then(|without| engine.precompile_component(&without).ok())
        .map_or_else(|| engine.precompile_component(&component), Ok)
        .map_err(|error| format!("{error:#}"))?;
    std::io::stdout()
        .write_all(&artifact)
        .map_err(|error| format!("returning the artifact: {error}"))
}
