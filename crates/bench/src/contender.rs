//! Who is measured: the command of each server and the flags a reader repeats. In: where the programs are. Out: the list, in the order of the
//! table. The keys are what `--only` takes and what the promises name.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

use crate::{container, document::repository, load::on_cores};

/// `wasmtime serve` with what makes it fastest with a fresh instance per request.
const BEST_FLAGS: &[&str] = &[
    "-Opooling-allocator=y",
    "-Opooling-pagemap-scan=y",
    "-Opooling-memory-keep-resident=2097152",
    "-Opooling-table-keep-resident=65536",
    "-Opooling-max-unused-warm-slots=1000",
];

/// One server.
pub(crate) struct Contender {
    pub(crate) key: &'static str,
    pub(crate) label: &'static str,
    /// Program and flags without paths.
    pub(crate) shown: String,
    program: PathBuf,
    args: Vec<String>,
    environment: Vec<(&'static str, PathBuf)>,
    dir: PathBuf,
    /// What it runs in, removed after it.
    _container: Option<container::Bundle>,
}

impl Contender {
    /// Its command, on these cores or on all.
    pub(crate) fn command(&self, cores: Option<&str>) -> Command {
        let mut command = on_cores(cores, &self.program);
        command
            .args(&self.args)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.dir);
        command
    }
}

/// Where the programs and components are.
pub(crate) struct Paths {
    pub(crate) wasmtime: Option<PathBuf>,
    coracle: PathBuf,
    bench: PathBuf,
    guests: PathBuf,
    auth: PathBuf,
    /// State of the servers: compiled components and buckets, kept so that the next run starts warm.
    pub(crate) work: PathBuf,
}

impl Paths {
    /// `coracle` beside this program; `wasmtime` as given or on PATH.
    pub(crate) fn find(wasmtime: Option<&Path>) -> anyhow::Result<Self> {
        let bench = std::env::current_exe()?;
        let coracle = bench.with_file_name("coracle");
        let work = bench.with_file_name("bench-state");
        fs::create_dir_all(&work).context("creating the folder of the servers' state")?;
        let on_path = || {
            std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
                .map(|dir| dir.join("wasmtime"))
                .find(|file| file.is_file())
        };
        Ok(Self {
            wasmtime: wasmtime.map(Path::to_path_buf).or_else(on_path),
            coracle,
            bench,
            guests: repository().join("crates/bench/guests/auth-static"),
            auth: repository().join("examples/auth"),
            work,
        })
    }

    /// The component of this generation of WASI with its key compiled in.
    pub(crate) fn auth_static(&self, generation: u8) -> PathBuf {
        let file = format!("target/wasm32-wasip2/release/auth_static_p{generation}.wasm");
        self.guests.join(file)
    }

    /// The app with the same component, whose instances serve more than one request.
    fn reused(&self) -> PathBuf {
        self.guests.join("reused")
    }

    /// The component that reads its bucket.
    pub(crate) fn auth(&self) -> PathBuf {
        self.auth
            .with_file_name("target/wasm32-wasip2/release/auth.wasm")
    }

    /// Builds the product and the guests, so that what is measured is what is here.
    pub(crate) fn build(&self) -> anyhow::Result<()> {
        cargo(&repository(), &["build", "--release", "-p", "coracle-cli"])?;
        self.build_guests()
    }

    /// The components alone.
    pub(crate) fn build_guests(&self) -> anyhow::Result<()> {
        let wasm = ["build", "--release", "--target", "wasm32-wasip2"];
        cargo(&self.guests, &wasm)?;
        cargo(
            &repository().join("examples"),
            &[&wasm[..], &["-p", "auth", "-p", "echo", "-p", "echo-p3"]].concat(),
        )
    }
}

fn cargo(dir: &Path, args: &[&str]) -> anyhow::Result<()> {
    let status = Command::new("cargo").args(args).current_dir(dir).status()?;
    anyhow::ensure!(status.success(), "cargo {}", args.join(" "));
    Ok(())
}

/// Who gives bodies back.
pub(crate) fn echoes(paths: &Paths) -> Vec<Contender> {
    let app = paths.auth.with_file_name("echo");
    vec![
        of_ours(
            paths,
            "native-echo",
            "native hyper, echo",
            &["native-echo".into()],
        ),
        coracle(
            paths,
            "coracle-echo",
            "**Coracle**, `examples/echo`, WASI 0.2",
            &app,
            &[],
        ),
        coracle(
            paths,
            "coracle-echo-p3",
            "**Coracle**, `examples/echo`, WASI 0.3",
            &app,
            &["--profile", "p3"],
        ),
    ]
}

/// Node.js in a container; why there is none when there is none.
pub(crate) fn contained(paths: &Paths) -> anyhow::Result<Contender> {
    let bundle = container::Bundle::write(&paths.work, &paths.auth)?;
    Ok(Contender {
        key: "node-container",
        label: "Node.js, one process, in an OCI container (runc)",
        shown: "runc run --bundle BUNDLE ID".into(),
        program: bundle.runc.clone(),
        args: bundle.command(),
        environment: Vec::new(),
        dir: paths.work.clone(),
        _container: Some(bundle),
    })
}

/// Everybody, the baselines first.
pub(crate) fn all(paths: &Paths) -> Vec<Contender> {
    let mut all = vec![
        of_ours(paths, "native", "native hyper", &["native".into()]),
        bare(paths, "bare-p2", "bare Wasmtime, WASI 0.2", 2),
        bare(paths, "bare-p3", "bare Wasmtime, WASI 0.3", 3),
        coracle(
            paths,
            "coracle-p2",
            "**Coracle**, WASI 0.2",
            &paths.guests,
            &[],
        ),
        coracle(
            paths,
            "coracle-p3",
            "**Coracle**, WASI 0.3",
            &paths.guests,
            &["--profile", "p3"],
        ),
        coracle(
            paths,
            "coracle-p2-reuse",
            "**Coracle**, WASI 0.2, 128 requests an instance",
            &paths.reused(),
            &[],
        ),
        coracle(
            paths,
            "coracle-p3-reuse",
            "**Coracle**, WASI 0.3, 128 requests an instance",
            &paths.reused(),
            &["--profile", "p3"],
        ),
        coracle(
            paths,
            "coracle-bucket",
            "**Coracle**, `examples/auth`, embedded bucket",
            &paths.auth,
            &[],
        ),
        logging(
            coracle(
                paths,
                "coracle-log",
                "**Coracle**, WASI 0.2, access log to a file",
                &paths.guests,
                &[],
            ),
            paths,
        ),
        node(
            paths,
            "node",
            "Node.js, one process",
            "examples/auth/node/server.mjs",
        ),
        node(
            paths,
            "node-cluster",
            "Node.js, cluster of two",
            "crates/bench/node/cluster.mjs",
        ),
    ];
    if let Some(program) = &paths.wasmtime {
        let one = &["--max-instance-reuse-count=1"][..];
        let many = &["--max-instance-reuse-count=128"][..];
        all.extend([
            wasmtime(
                paths,
                program,
                "wasmtime",
                "`wasmtime serve`, WASI 0.2, defaults",
                2,
                &[],
            ),
            wasmtime(
                paths,
                program,
                "wasmtime-best",
                "`wasmtime serve`, WASI 0.2, its best flags",
                2,
                BEST_FLAGS,
            ),
            wasmtime(
                paths,
                program,
                "wasmtime-p3",
                "`wasmtime serve`, WASI 0.3, fresh",
                3,
                one,
            ),
            wasmtime(
                paths,
                program,
                "wasmtime-p3-best",
                "`wasmtime serve`, WASI 0.3, fresh, the same flags",
                3,
                &[BEST_FLAGS, one].concat(),
            ),
            wasmtime(
                paths,
                program,
                "wasmtime-p3-reuse",
                "`wasmtime serve`, WASI 0.3, defaults (reuses instances)",
                3,
                &[],
            ),
            wasmtime(
                paths,
                program,
                "wasmtime-reuse",
                "`wasmtime serve`, WASI 0.2, its best flags, 128 requests an instance",
                2,
                &[BEST_FLAGS, many].concat(),
            ),
        ]);
    }
    all
}

fn of_ours(paths: &Paths, key: &'static str, label: &'static str, args: &[String]) -> Contender {
    Contender {
        key,
        label,
        shown: format!("coracle-bench {}", args.first().map_or("", String::as_str)),
        program: paths.bench.clone(),
        args: args.to_vec(),
        environment: Vec::new(),
        dir: paths.work.clone(),
        _container: None,
    }
}

fn bare(paths: &Paths, key: &'static str, label: &'static str, generation: u8) -> Contender {
    let cache = paths.work.join("bare").display().to_string();
    let component = paths.auth_static(generation).display().to_string();
    of_ours(paths, key, label, &["bare".into(), component, cache])
}

fn coracle(
    paths: &Paths,
    key: &'static str,
    label: &'static str,
    app: &Path,
    more: &[&str],
) -> Contender {
    let flags = [
        "--no-build",
        "--listen",
        "127.0.0.1:0",
        "--access-log",
        "off",
    ];
    let mut args = vec!["run".into(), app.display().to_string()];
    args.extend(flags.iter().chain(more).map(ToString::to_string));
    args.extend([
        "--state-dir".into(),
        paths.work.join(key).display().to_string(),
    ]);
    Contender {
        key,
        label,
        shown: [&["coracle run APP --access-log off"], more]
            .concat()
            .join(" "),
        program: paths.coracle.clone(),
        args,
        environment: Vec::new(),
        dir: paths.work.clone(),
        _container: None,
    }
}

/// The same with its log on, into a file.
fn logging(mut contender: Contender, paths: &Paths) -> Contender {
    let script = "exec \"$0\" \"$@\" --log json 2>\"$LOG\"";
    let off = contender
        .args
        .iter_mut()
        .skip_while(|arg| *arg != "--access-log")
        .nth(1);
    if let Some(off) = off {
        *off = "on".into();
    }
    contender.args.splice(
        0..0,
        [
            "-c".into(),
            script.into(),
            contender.program.display().to_string(),
        ],
    );
    contender.program = "sh".into();
    contender.shown = "coracle run APP --log json 2>FILE".into();
    contender
        .environment
        .push(("LOG", paths.work.join("access.log")));
    contender
}

fn node(paths: &Paths, key: &'static str, label: &'static str, script: &str) -> Contender {
    Contender {
        key,
        label,
        shown: format!("node {script}"),
        program: "node".into(),
        args: vec![repository().join(script).display().to_string()],
        environment: vec![("KEYS", paths.auth.join("keys.json"))],
        dir: paths.work.clone(),
        _container: None,
    }
}

fn wasmtime(
    paths: &Paths,
    program: &Path,
    key: &'static str,
    label: &'static str,
    generation: u8,
    flags: &[&str],
) -> Contender {
    let mut shown = vec!["wasmtime", "serve", "-Scli"];
    shown.extend(flags);
    let args = shown.iter().skip(1).map(ToString::to_string);
    let rest = [
        "--addr=127.0.0.1:0".into(),
        paths.auth_static(generation).display().to_string(),
    ];
    Contender {
        key,
        label,
        args: args.chain(rest).collect(),
        shown: shown.join(" "),
        program: program.to_path_buf(),
        environment: Vec::new(),
        dir: paths.work.clone(),
        _container: None,
    }
}
