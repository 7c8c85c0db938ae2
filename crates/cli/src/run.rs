//! `coracle run`: builds what is stale, starts a node, watches, drains.
//!
//! In: what was typed. Out: a ready line on standard output when requests are accepted; everything else on standard error; exit
//! status 0 after a drain, 1 when something prevents the start, 130 when a second signal ended it.

use std::{
    collections::HashMap,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use coracle_engine::{Origin, Pool};
use coracle_host::{Node, NodeError, Observing, Settings, load::Watching};
use coracle_manifest::{Operator, Problems, app::App, operator};
use coracle_observability::{Format, HostLog, LogWriter};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::{
    args::{AccessLog, LogFormat, Run, Served},
    build::{self, Building},
    progress::{Progress, Step},
    watch::{Change, Targets, Watch},
};

/// How long lines may take to reach standard error when the process ends.
const FLUSH: Duration = Duration::from_secs(1);
/// Ended by a second signal, as shells count: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

/// Runs until a signal ends it.
pub(crate) fn run(args: &Run) -> anyhow::Result<ExitCode> {
    let served = args.served().unwrap_or_else(|error| error.exit());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let code = runtime.block_on(Session { args, served }.run());
    // What still runs was cut by the drain: nobody waits for it.
    runtime.shutdown_background();
    code
}

struct Session<'a> {
    args: &'a Run,
    served: Served,
}

impl Session<'_> {
    async fn run(&self) -> anyhow::Result<ExitCode> {
        let log = LogWriter::stderr(format(self.args.log))?;
        let filter =
            EnvFilter::try_from_env("CORACLE_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
        tracing_subscriber::registry()
            .with(filter)
            .with(HostLog::new(log.clone()))
            .init();
        let mut signals = Signals::new()?;
        let code = tokio::select! {
            // Signals of one kind that come before anybody looks count as one: the first is seen here before it is answered below.
            biased;
            () = signals.second() => ExitCode::from(INTERRUPTED),
            code = self.start_and_serve(&log) => code?,
        };
        log.flush(FLUSH);
        Ok(code)
    }

    async fn start_and_serve(&self, log: &LogWriter) -> anyhow::Result<ExitCode> {
        let mut signals = Signals::new()?;
        let progress = Progress::stderr();
        let started = tokio::select! {
            started = self.start(log, &progress) => started,
            () = signals.first() => return Ok(ExitCode::from(INTERRUPTED)),
        };
        let (node, running, watch) = match started {
            Ok(started) => started,
            Err(error) => {
                eprintln!("{error}");
                return Ok(ExitCode::FAILURE);
            }
        };
        eprint!("{running}");
        if let Some(address) = node.admin_addr() {
            eprintln!("admin http://{address}/metrics, /livez, /readyz");
        }
        if let Some(dir) = &self.args.record {
            eprintln!(
                "recording every request into {}: the files hold what requests hold, mode 0600",
                dir.display()
            );
        }
        if self.args.hold_writes {
            eprintln!("holding writes back: each is listed in the log and none takes effect");
        }
        announce(node.local_addr())?;
        tokio::select! {
            () = self.keep_current(&node, watch) => {}
            () = signals.first() => {}
        }
        eprintln!(
            "draining: what runs may finish for {} s; a second signal ends at once",
            self.args.grace.as_secs()
        );
        let cut = node.drain(self.args.grace).await;
        if cut > 0 {
            eprintln!("{cut} requests were cut after the grace period");
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn start(
        &self,
        log: &LogWriter,
        progress: &Progress,
    ) -> Result<(Node, String, Option<Watch>), StartError> {
        let operator = self.operator()?;
        let apps = self.apps()?;
        // What changes from now on is a change: watching begins before the first build.
        let mut watch = match self.args.watch {
            true => Some(
                Watch::new(self.targets(&apps))
                    .await
                    .map_err(StartError::Watch)?,
            ),
            false => None,
        };
        self.build(&apps, &[], progress).await?;
        if let Some(watch) = &mut watch {
            watch.built();
        }
        let settings = Settings {
            listen: self.args.listen,
            admin: self.args.admin,
            state_dir: self.args.state_dir.clone(),
            operator,
            log: log.clone(),
            access_log: self.args.access_log == AccessLog::On,
            compiler: PathBuf::from("/proc/self/exe"),
            pool: Pool::default(),
            observing: self.observing(),
        };
        let (node, running) = Node::start(settings, apps, &Preparing::new(progress)).await?;
        Ok((node, running, watch))
    }

    fn observing(&self) -> Observing {
        match &self.args.record {
            Some(dir) => Observing::Record {
                dir: dir.clone(),
                redact: self.args.redact.clone(),
            },
            None if self.args.hold_writes => Observing::HoldWrites,
            None => Observing::Nothing,
        }
    }

    fn host_file(&self) -> &Path {
        self.args
            .host_file
            .as_deref()
            .unwrap_or(Path::new(operator::OPERATOR_FILE))
    }

    fn operator(&self) -> Result<Operator, Problems> {
        match &self.args.host_file {
            Some(file) => operator::load(file),
            None => operator::load_if_present(self.host_file()),
        }
    }

    fn apps(&self) -> Result<Vec<App>, Problems> {
        let dirs = match &self.served {
            Served::Component { file, grants } => {
                let (grants, buckets) = coracle_manifest::grants_from_lines(grants)?;
                return Ok(vec![coracle_manifest::single(file, grants, buckets)?]);
            }
            Served::Apps(dirs) => dirs,
        };
        let mut apps = Vec::new();
        let mut problems = Problems::default();
        for dir in dirs {
            match coracle_manifest::load(dir, self.args.profile.as_deref()) {
                Ok(app) => apps.push(app),
                Err(more) => problems.extend(more),
            }
        }
        if problems.is_empty() {
            Ok(apps)
        } else {
            Err(problems)
        }
    }

    async fn build(
        &self,
        apps: &[App],
        untimed: &[PathBuf],
        progress: &Progress,
    ) -> Result<(), StartError> {
        if self.args.building() == Building::Stale {
            for app in apps {
                build::build_all(app, untimed, progress)
                    .await
                    .map_err(StartError::Build)?;
            }
        }
        Ok(())
    }

    fn targets(&self, apps: &[App]) -> Targets {
        Targets::of(apps, self.host_file(), self.args.building())
    }

    /// Rebuilds and swaps whenever something changes; without `--watch` it never returns. What does not build or load is told,
    /// and the revision before goes on.
    async fn keep_current(&self, node: &Node, watch: Option<Watch>) {
        let Some(mut watch) = watch else {
            return std::future::pending().await;
        };
        let progress = Progress::lines();
        loop {
            let change = watch.next().await;
            progress.say(format_args!("changed: {change}"));
            if change
                .paths
                .iter()
                .any(|path| path.ends_with(self.host_file()))
            {
                progress.say(format_args!(
                    "{} is read at the start: restart to apply it",
                    self.host_file().display()
                ));
            }
            match self.reload(node, &mut watch, &change, &progress).await {
                Ok(None) => progress.say("nothing to swap: the same components and grants"),
                Ok(Some(running)) => progress.say(format_args!("swapped\n{}", running.trim_end())),
                Err(error) => progress.say(format_args!(
                    "{error}\nhint: what was served before is still served"
                )),
            }
        }
    }

    async fn reload(
        &self,
        node: &Node,
        watch: &mut Watch,
        change: &Change,
        progress: &Progress,
    ) -> Result<Option<String>, StartError> {
        let apps = self.apps()?;
        watch
            .follow(self.targets(&apps))
            .await
            .map_err(StartError::Watch)?;
        let built = self.build(&apps, &change.untimed, progress).await;
        watch.built();
        built?;
        Ok(node.swap(apps, &Preparing::new(progress)).await?)
    }
}

/// Why there is nothing to serve.
#[derive(Debug)]
enum StartError {
    Problems(Problems),
    Build(build::BuildFailure),
    Watch(anyhow::Error),
    Node(NodeError),
}

impl From<Problems> for StartError {
    fn from(problems: Problems) -> Self {
        StartError::Problems(problems)
    }
}

impl From<NodeError> for StartError {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::Apps(problems) => StartError::Problems(problems),
            error => StartError::Node(error),
        }
    }
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StartError::Problems(problems) => f.write_str(problems.render(false).trim_end()),
            StartError::Build(failure) => write!(f, "error: {failure}"),
            StartError::Watch(error) => write!(f, "error: {error:#}"),
            StartError::Node(error) => write!(f, "error: {error}"),
        }
    }
}

/// SIGINT and SIGTERM alike.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn first(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    async fn second(&mut self) {
        self.first().await;
        self.first().await;
    }
}

#[expect(clippy::print_stdout, reason = "the one line of data of this command")]
fn announce(address: SocketAddr) -> std::io::Result<()> {
    println!("ready: http://{address}");
    std::io::stdout().flush()
}

/// One step per component that is compiled.
struct Preparing<'a> {
    progress: &'a Progress,
    steps: Mutex<HashMap<String, Step>>,
}

impl<'a> Preparing<'a> {
    fn new(progress: &'a Progress) -> Self {
        Self {
            progress,
            steps: Mutex::default(),
        }
    }
}

impl Watching for Preparing<'_> {
    fn preparing(&self, app: &str, component: &str) {
        let step = self.progress.step(format!("preparing {component}"));
        self.steps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(format!("{app}/{component}"), step);
    }

    fn prepared(&self, app: &str, component: &str, origin: Origin) {
        let step = self
            .steps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&format!("{app}/{component}"));
        let Some(step) = step else { return };
        match origin {
            Origin::Cached => drop(step),
            Origin::Compiled => step.finish(format_args!("compiled {component}")),
            Origin::Rebuilt => step.finish(format_args!(
                "compiled {component} again, because what the cache held was damaged or from another version,"
            )),
        }
    }
}

fn format(format: LogFormat) -> Format {
    match format {
        LogFormat::Human => Format::Human,
        LogFormat::Json => Format::Json,
    }
}
