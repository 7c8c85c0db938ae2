//! `coracle bench` measures what runs and what it starts, tells it in every form, and leaves nothing behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is how a test fails, in its helpers too"
)]

use std::{fs, net::TcpListener};

use coracle_testkit::{
    Coracle, Does, Exit, Finished, Generation, PATIENCE, Protocol, Scripted, Service, StateDir,
    TempApp, assert_golden, coracle, repository, soon,
};
use rustix::process::{Signal, getpid};
use serde_json::Value;

fn bench(url: &str) -> Coracle {
    Coracle::subcommand("bench").arg(url)
}

/// Short, and at a rate that any machine keeps.
fn short(bench: Coracle) -> Coracle {
    bench.args([
        "--duration",
        "0.5",
        "--warm-up",
        "0",
        "--rate",
        "100",
        "--connections",
        "4",
    ])
}

fn json(finished: &Finished) -> Value {
    assert_eq!(finished.exit, Exit::Code(0), "{}", finished.stderr);
    serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{}", finished.stdout))
}

/// A service that `--start` starts: where it will listen, and its command.
struct Startable {
    app: TempApp,
    state: StateDir,
    port: u16,
}

impl Startable {
    fn new() -> Self {
        Self {
            app: Generation::P2.app(""),
            state: StateDir::new(),
            port: free_port(),
        }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    fn command(&self) -> String {
        format!(
            "{} run {} --no-build --access-log off --state-dir {} --listen 127.0.0.1:{}",
            coracle().display(),
            self.app.path().display(),
            self.state.path().display(),
            self.port
        )
    }

    /// With a child that leaves the process group, and the word in its line by which it is found.
    fn command_with_a_deserter(&self) -> (String, String) {
        let word = format!("deserter-of-{}", self.port);
        let script = "while :; do sleep 0.1; done";
        let command = self.command();
        (
            format!("setsid sh -c '{script}' {word} & exec {command}"),
            word,
        )
    }

    /// Processes of it that still run.
    fn left(&self, word: &str) -> Vec<String> {
        let port = format!("--listen 127.0.0.1:{}", self.port);
        let lines = command_lines();
        let found = lines.iter();
        found
            .filter(|line| line.contains(&port) || line.contains(word))
            .cloned()
            .collect()
    }
}

/// Free a moment ago; the kernel gives others out before it gives this one again.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn nobody() -> String {
    format!("http://127.0.0.1:{}/", free_port())
}

/// Of every process but this one.
fn command_lines() -> Vec<String> {
    let own = getpid().as_raw_pid().to_string();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let others = entries.filter(|entry| entry.file_name().to_str() != Some(own.as_str()));
    others
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .collect()
}

fn answering() -> Scripted {
    Scripted::start(Protocol::Http1, |_| Does::Answer(200))
}

#[test]
fn measures_a_process_that_runs() {
    let service = Generation::P2.serve("");
    let run = short(bench(&service.url("/")));
    let json = json(
        &run.args(["--format", "json", "--pid", &service.pid().to_string()])
            .run(),
    );
    let side = &json["sides"]["this"];
    assert_eq!(
        (side["requests"].as_u64(), side["failed"].as_u64()),
        (Some(50), Some(0))
    );
    let median = |figure: &str| side["figures"][figure]["median"].as_f64();
    assert!(median("memory_idle_mb").unwrap() > 1.0);
    assert!(median("memory_peak_mb") >= median("memory_idle_mb"));
    assert!(median("cpu_us_per_request").is_some());
    assert!(side["figures"]["first_answer_ms"].is_null());
}

#[test]
fn measures_what_it_starts_beside_what_runs_and_writes_a_page() {
    let (startable, other) = (Startable::new(), answering());
    let run = short(bench(&startable.url())).args([
        "--start",
        &startable.command(),
        "--against",
        &other.base_url(),
        "--rounds",
        "2",
        "--report",
        "page.html",
        "--format",
        "json",
    ]);
    let page = run.dir().join("page.html");
    let mut running = run.spawn();
    running.wait_for_exit(PATIENCE);
    let written = fs::read_to_string(page);
    let json: Value = serde_json::from_str(&running.stdout()).unwrap();
    for (side, url) in [("this", startable.url()), ("against", other.base_url())] {
        assert_eq!(json["sides"][side]["requests"], 100);
        assert_eq!(json["sides"][side]["url"], *url);
        assert!(written.as_ref().unwrap().contains(&format!("GET {url}")));
    }
    let figures = &json["sides"]["this"]["figures"];
    assert!(figures["first_answer_ms"]["median"].as_f64().unwrap() > 0.0);
    assert!(figures["memory_idle_mb"]["median"].as_f64().unwrap() > 1.0);
    assert!(json["sides"]["against"]["figures"]["memory_idle_mb"].is_null());
    assert!(json["ratios"]["answers_per_second"]["median"].is_number());
}

#[test]
fn errors_are_counted_and_no_answer_at_all_is_a_failure() {
    let server = Scripted::start(Protocol::Http1, |number| match number {
        0 => Does::Answer(200),
        _ => Does::Answer(503),
    });
    let finished = short(bench(&server.base_url())).run();
    assert_eq!(finished.exit, Exit::Code(1), "{}", finished.stderr);
    let row = finished
        .stdout
        .lines()
        .find(|line| line.contains("status 503"));
    assert!(
        row.unwrap().trim_end().ends_with("50"),
        "{}",
        finished.stdout
    );
}

#[test]
fn speaks_http2_when_it_is_asked() {
    let service = Generation::P3.serve("");
    let run = short(bench(&service.url("/")));
    let json = json(
        &run.args(["--http2", "--streams", "3", "--format", "json"])
            .run(),
    );
    assert_eq!(json["sides"]["this"]["protocol"], "HTTP/2");
    assert_eq!(json["sides"]["this"]["succeeded"], 50);
}

/// A run that lasts until it is ended, some of it measured.
fn endless(startable: &Startable, command: &str, word: &str) -> Service {
    let run = bench(&startable.url()).args(["--start", command, "--rate", "200"]);
    let run = run.args(["--warm-up", "0", "--duration", "80000"]).spawn();
    soon("the load", PATIENCE, || {
        let lines = command_lines();
        let serves = lines.iter().any(|line| line.contains(word));
        let connections = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        // Established, on its port; more than a probe makes.
        let local = format!("0100007F:{:04X} ", startable.port);
        let established = connections.lines().filter(|line| {
            line.split_once(": ")
                .is_some_and(|(_, rest)| rest.starts_with(&local))
                && line.contains(" 01 ")
        });
        (serves && established.count() > 20).then_some(())
    });
    run
}

#[test]
fn stopped_it_tells_what_was_measured_so_far_and_ends_what_it_started() {
    let startable = Startable::new();
    let (command, word) = startable.command_with_a_deserter();
    let mut run = endless(&startable, &command, &word);
    run.signal(Signal::INT);
    assert_eq!(run.wait_for_exit(PATIENCE), Exit::Code(130));
    assert!(run.stdout().contains("latency p99"), "{}", run.stdout());
    assert!(run.stdout().contains("measured so far"), "{}", run.stdout());
    assert_eq!(startable.left(&word), Vec::<String>::new());
}

#[test]
fn killed_it_leaves_no_process_behind() {
    let startable = Startable::new();
    let (command, word) = startable.command_with_a_deserter();
    let mut run = endless(&startable, &command, &word);
    run.kill();
    soon("the end of what it started", PATIENCE, || {
        startable.left(&word).is_empty().then_some(())
    });
}

#[test]
fn a_run_that_ends_by_itself_leaves_no_process_behind() {
    let startable = Startable::new();
    let (command, word) = startable.command_with_a_deserter();
    let finished = short(bench(&startable.url()))
        .args(["--start", &command])
        .run();
    assert_eq!(finished.exit, Exit::Code(0), "{}", finished.stderr);
    assert_eq!(startable.left(&word), Vec::<String>::new());
}

/// The whole of what was said; what differs from run to run has a name.
fn assert_said(case: &str, finished: &Finished, names: &[(&str, &str)]) {
    let said = format!("{:?}\n--- stderr\n{}\n", finished.exit, finished.stderr);
    assert_eq!(finished.stdout, "");
    let said = names
        .iter()
        .fold(said, |said, (real, name)| said.replace(real, name));
    let file = repository().join(format!("tests/messages/bench-{case}.txt"));
    assert_golden(file, &said);
}

#[test]
fn a_url_without_a_scheme() {
    assert_said("no-scheme", &bench("localhost:8080/a").run(), &[]);
}

#[test]
fn a_url_of_https() {
    assert_said("https", &bench("https://localhost/").run(), &[]);
}

#[test]
fn a_refused_connection() {
    let url = nobody();
    assert_said("refused", &bench(&url).run(), &[(&url, "URL")]);
}

#[test]
fn no_answer_within_the_bound() {
    let server = Scripted::start(Protocol::Http1, |_| Does::Hang);
    let finished = bench(&server.base_url()).args(["--timeout", "0.2"]).run();
    assert_said("no-answer", &finished, &[(&server.base_url(), "URL")]);
}

#[test]
fn an_answer_that_was_not_expected() {
    let server = Scripted::start(Protocol::Http1, |_| Does::Answer(401));
    let finished = bench(&server.base_url()).run();
    assert_said(
        "unexpected-status",
        &finished,
        &[(&server.base_url(), "URL")],
    );
}

#[test]
fn a_process_that_does_not_exist() {
    // Above the kernel's own limit.
    let finished = bench(&answering().base_url())
        .args(["--pid", "1999999999"])
        .run();
    assert_said("no-process", &finished, &[]);
}

#[test]
fn a_control_group_that_does_not_exist() {
    let finished = bench(&answering().base_url())
        .args(["--cgroup", "/no/such/group"])
        .run();
    assert_said("no-cgroup", &finished, &[]);
}

#[test]
fn a_command_that_ends_before_it_answers() {
    let started = bench(&nobody()).args(["--start", "echo no port is free; exit 3"]);
    assert_said("start-ends", &started.run(), &[]);
}

#[test]
fn a_command_to_start_where_something_answers_already() {
    let server = answering();
    let finished = bench(&server.base_url()).args(["--start", "true"]).run();
    assert_said("already-there", &finished, &[(&server.base_url(), "URL")]);
}

#[test]
fn a_body_whose_file_is_missing() {
    let finished = bench(&answering().base_url())
        .args(["-d", "@absent.json"])
        .run();
    assert_said("no-body", &finished, &[]);
}

#[test]
fn options_of_a_side_that_is_not_there() {
    let finished = bench("http://127.0.0.1:1/")
        .args(["--against-pid", "1"])
        .run();
    assert_said("against-without-url", &finished, &[]);
}

#[test]
fn a_page_that_cannot_be_written() {
    let server = answering();
    let run = short(bench(&server.base_url()));
    let finished = run.args(["--report", "absent/page.html"]).run();
    assert_eq!(finished.exit, Exit::Code(1));
    assert!(
        finished.stderr.contains("writing absent/page.html"),
        "{}",
        finished.stderr
    );
    assert!(
        finished.stdout.contains("latency p99"),
        "the figures are told all the same"
    );
}
