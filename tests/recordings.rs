//! What a service was asked, did and answered becomes a file, and the file becomes the same answer again, with nothing behind it.
//! A held write is listed and takes no effect.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is how a test fails, in its helpers too"
)]

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
};

use coracle_testkit::{
    Case, Coracle, Exit, Finished, Generation, PATIENCE, Redis, Service, StateDir, TempApp,
    Upstream, app, assert_golden, both_generations, both_generations_over_both_protocols, example,
    example_component, guest, http, http::Connection, one, repository, soon,
};
use serde_json::{Value, json};

both_generations_over_both_protocols! {
    what_a_guest_does_replays_to_the_same_bytes,
}

both_generations! {
    clocks_and_randomness_replay_as_they_were,
    an_outbound_request_replays_without_its_server,
    a_server_that_answers_before_it_has_read_everything_replays_too,
    a_get_with_a_body_replays,
    the_token_service_on_redis_replays_a_thousand_times_without_redis,
    the_echo_replays_a_thousand_times_with_long_bodies_and_trailers,
    redacting_a_header_leaves_no_trace_of_it_and_still_replays,
    a_race_of_two_requests_is_won_by_the_same_one_in_a_thousand_replays,
    an_answer_that_the_guest_did_not_get_does_not_come_in_a_replay,
    a_directory_that_is_written_to_is_the_same_for_every_replay,
}

/// The folder of recordings of one test.
struct Recordings(TempApp);

impl Recordings {
    fn new() -> Self {
        Self(app("", &[]))
    }

    fn dir(&self) -> PathBuf {
        self.0.file("recordings")
    }

    /// Serves, records what `requests` does, ends: that many files.
    fn of(&self, run: Coracle, count: usize, requests: impl FnOnce(&Service)) -> Vec<PathBuf> {
        let mut service = self.recording(run);
        requests(&service);
        let files = soon("the recordings", PATIENCE, || {
            let files = self.files();
            (files.len() == count).then_some(files)
        });
        soon("whole recordings", PATIENCE, || {
            let whole = |file| show(file).exit == Exit::Code(0);
            files.iter().all(|file| whole(file)).then_some(())
        });
        assert_eq!(service.stop(), Exit::Code(0), "{}", service.stderr());
        let said = service.stderr();
        assert!(!said.contains("not recorded"), "{said}");
        files
    }

    fn recording(&self, run: Coracle) -> Service {
        run.arg("--record").arg(self.dir()).start()
    }

    /// One request.
    fn one(&self, run: Coracle, request: impl FnOnce(&Service)) -> PathBuf {
        self.of(run, 1, request).remove(0)
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.dir()).unwrap();
        entries.map(|file| file.unwrap().path()).collect()
    }
}

fn show(file: &Path) -> Finished {
    Coracle::subcommand("recording").arg("show").arg(file).run()
}

fn replay(file: &Path, more: &[&str]) -> Finished {
    let state = StateDir::new();
    let command = Coracle::subcommand("replay").arg(file).args(more);
    command.arg("--state-dir").arg(state.path()).run()
}

fn assert_replays(file: &Path, times: u32) {
    let replayed = replay(file, &["--times", &times.to_string()]);
    let often = match times {
        1 => String::new(),
        times => format!(", {times} times"),
    };
    assert_eq!(
        (replayed.exit, replayed.stdout.as_str()),
        (
            Exit::Code(0),
            format!("same: every call and every byte{often}").as_str()
        ),
        "{}\n{}",
        replayed.stderr,
        show(file).stdout
    );
}

fn granted(lines: &str) -> String {
    format!("[component.guest.grants]\n{lines}\n")
}

/// The behaviours of both guests that depend on nothing outside.
const BEHAVIOURS: [&str; 19] = [
    "/ok",
    "/headers",
    "/trailers",
    "/stream?bytes=300000",
    "/drip?chunks=3&ms=5",
    "/sleep?ms=5",
    "/after?ms=5&tag=x",
    "/print?text=hello",
    "/print?what=forged",
    "/env",
    "/status?code=204",
    "/status?code=418&body=1",
    "/trap",
    "/panic?text=oh+no",
    "/refuse",
    "/exit?code=1",
    "/nope",
    "/handles?n=100",
    "/random?kind=insecure",
];

fn what_a_guest_does_replays_to_the_same_bytes(case: Case) {
    let recordings = Recordings::new();
    let app = case.generation.app(&format!(
        "environment = {{ WHO = \"me\" }}\n{}",
        granted("clock = true\nrandomness = true")
    ));
    let files = recordings.of(
        Coracle::new().serving(app),
        BEHAVIOURS.len() + 2,
        |service| {
            for path in BEHAVIOURS {
                case.protocol.get(&service.url(path));
            }
            // What the client does not wait for, or does not get whole.
            let _ = case
                .protocol
                .try_request("GET", &service.url("/midtrap"), &[], b"");
            let sunk = case
                .protocol
                .try_request("POST", &service.url("/sink"), &[], &[7; 100_000]);
            assert_eq!(sunk.unwrap().json()["bytes"], 100_000);
        },
    );
    for file in files {
        assert_replays(&file, 5);
    }
}

fn clocks_and_randomness_replay_as_they_were(generation: Generation) {
    let recordings = Recordings::new();
    let grants = granted("clock = true\nrandomness = true");
    let run = Coracle::new().serving(generation.app(&grants));
    let paths = [
        "/clock",
        "/random?n=32",
        "/random?kind=u64",
        "/random?kind=insecure",
        "/random?kind=seed",
        "/hashmap",
    ];
    let files = recordings.of(run, paths.len(), |service| {
        for path in paths {
            http::get(&service.url(path));
        }
    });
    for file in files {
        assert_replays(&file, 100);
    }
}

/// What the operator says so that a guest may call this machine.
const LOCAL: &str = "[allow]\nnetworks = [\"127.0.0.0/8\"]\n";

fn calling(generation: Generation, port: u16) -> Coracle {
    let grants = granted(&format!(
        "http = [{{ host = \"127.0.0.1\", port = {port}, scheme = \"http\" }}]"
    ));
    Coracle::new()
        .host_file(LOCAL)
        .serving(generation.app(&grants))
}

fn an_outbound_request_replays_without_its_server(generation: Generation) {
    let recordings = Recordings::new();
    let upstream = Upstream::answering(&"rates ".repeat(2_000));
    let files = recordings.of(calling(generation, upstream.port()), 3, |service| {
        let url = upstream.base_url();
        let ask = |path: &str| http::get(&service.url(path)).json();
        let answer = ask(&format!(
            "/fetch?url={url}/eur&method=POST&body=sent&header=x-a:b"
        ));
        assert_eq!(answer["status"], 200, "{answer}");
        let answers = ask(&format!("/fetch?url={url}/eur&count=3"));
        assert_eq!(answers.as_array().unwrap().len(), 3, "{answers}");
        let denied = ask("/fetch?url=http://127.0.0.2:1/");
        assert!(denied["error"].is_string(), "{denied}");
    });
    let (port, asked) = (upstream.port(), upstream.requests().len());
    drop(upstream);
    assert_eq!(asked, 4);
    soon("the end of the server", PATIENCE, || {
        Connection::try_open(&format!("http://127.0.0.1:{port}")).err()
    });
    for file in files {
        assert_replays(&file, 100);
    }
}

/// Neither server is faster: the two answers arrive as it happens, in pieces, and the guest tells in which order it saw them.
fn a_race_of_two_requests_is_won_by_the_same_one_in_a_thousand_replays(generation: Generation) {
    let recordings = Recordings::new();
    let upstream = Upstream::answering(&"rates ".repeat(10_000));
    let told = Mutex::new(BTreeSet::new());
    let files = recordings.of(calling(generation, upstream.port()), 8, |service| {
        let url = upstream.base_url();
        let path = format!("/race?url={url}/a&other={url}/b&rounds=3");
        for _ in 0..8 {
            let answer = http::get(&service.url(&path)).body_text();
            let rounds: Vec<_> = answer.lines().map(str::to_owned).collect();
            assert_eq!(rounds.len(), 3, "{answer}");
            told.lock().unwrap().extend(rounds);
        }
    });
    drop(upstream);
    let told = told.into_inner().unwrap();
    assert!(told.len() > 1, "nothing raced: {told:?}");
    for file in &files {
        assert_replays(file, 125);
    }
}

/// The server says nothing until the recorded guest has given up.
fn an_answer_that_the_guest_did_not_get_does_not_come_in_a_replay(generation: Generation) {
    let recordings = Recordings::new();
    let (quick, slow) = (
        Upstream::answering("quick"),
        TcpListener::bind("127.0.0.1:0").unwrap(),
    );
    let grants = granted(&format!(
        "http = [{{ host = \"127.0.0.1\", port = {}, scheme = \"http\" }}, {{ host = \"127.0.0.1\", port = {}, scheme = \"http\" }}]",
        quick.port(),
        slow.local_addr().unwrap().port(),
    ));
    let run = Coracle::new()
        .host_file(LOCAL)
        .serving(generation.app(&grants));
    let file = recordings.one(run, |service| {
        let path = format!(
            "/race?first=1&url=http://{}/&other={}/",
            slow.local_addr().unwrap(),
            quick.base_url()
        );
        assert_eq!(http::get(&service.url(&path)).body_text(), "b");
    });
    drop(slow);
    assert_replays(&file, 100);
}

/// It may answer as soon as it has seen the head, as one that refuses does.
fn a_server_that_answers_before_it_has_read_everything_replays_too(generation: Generation) {
    let recordings = Recordings::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap() > 2 {
            line.clear();
        }
        let refusal =
            b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        reader.get_mut().write_all(refusal).unwrap();
        // It reads no further, and leaves when the test does.
        reader
    });
    let file = recordings.one(calling(generation, port), |service| {
        let body = "long".repeat(500);
        let path = format!("/fetch?url=http://127.0.0.1:{port}/&method=POST&body={body}");
        let answer = http::get(&service.url(&path)).json();
        assert_eq!(answer["status"], 413, "{answer}");
    });
    drop(server.join().unwrap());
    assert_replays(&file, 20);
}

/// A body that goes with no length and such a method is not sent; nothing of it is told apart afterwards.
fn a_get_with_a_body_replays(generation: Generation) {
    let recordings = Recordings::new();
    let upstream = Upstream::answering("rates");
    let file = recordings.one(calling(generation, upstream.port()), |service| {
        let path = format!("/fetch?url={}/&body=hello", upstream.base_url());
        assert_eq!(http::get(&service.url(&path)).json()["status"], 200);
    });
    assert_replays(&file, 5);
}

#[test]
fn a_component_that_does_something_else_with_a_request_is_caught() {
    let recordings = Recordings::new();
    let upstream = Upstream::answering("rates");
    let file = recordings.one(calling(Generation::P2, upstream.port()), |service| {
        let url = format!("/fetch?url={}/eur", upstream.base_url());
        http::get(&service.url(&url));
    });
    let with = format!("guest={}", guest("kv").display());
    let unfit = replay(&file, &["--with", &with]);
    assert_eq!(unfit.exit, Exit::Code(2), "{}", unfit.stdout);
    assert!(unfit.stderr.contains("wasi:keyvalue"), "{}", unfit.stderr);

    let with = format!("guest={}", example_component("echo").display());
    let other = replay(&file, &["--with", &with]);
    assert_eq!(other.exit, Exit::Code(1), "{}", other.stderr);
    assert!(!other.stdout.is_empty());
}

const VALIDATE: &str = "/auth/validate";

fn profiled(app: &str, generation: Generation) -> Coracle {
    let run = Coracle::new().app(example(app));
    match generation {
        Generation::P2 => run,
        Generation::P3 => run.args(["--profile", "p3"]),
    }
}

fn the_token_service_on_redis_replays_a_thousand_times_without_redis(generation: Generation) {
    let recordings = Recordings::new();
    let mut redis = Redis::start();
    let host_file = format!(
        "[backend.main-redis]\nkind = \"redis\"\nurl = \"{}\"\n[app.auth.bucket.api-keys]\nbackend = \"main-redis\"\n",
        redis.url()
    );
    let run = profiled("auth", generation).host_file(&host_file);
    let files = recordings.of(run, 4, |service| {
        let url = service.url(VALIDATE);
        for (value, status) in [
            ("Bearer key_123", 200),
            ("Bearer key_000", 401),
            ("Bearer key_999", 401),
        ] {
            let answer = http::request("GET", &url, &[("authorization", value)], b"");
            assert_eq!(answer.status, status, "{value}");
        }
        redis.kill();
        let failed = http::request("GET", &url, &[("authorization", "Bearer key_123")], b"");
        assert_eq!(failed.status, 500, "what fails is recorded as well");
    });
    for file in files {
        assert_replays(&file, 1_000);
    }
}

fn the_echo_replays_a_thousand_times_with_long_bodies_and_trailers(generation: Generation) {
    let recordings = Recordings::new();
    let long: Vec<u8> = (0..1_u32 << 20).map(|n| (n % 251) as u8).collect();
    let files = recordings.of(profiled("echo", generation), 3, |service| {
        let url = service.url("/upper");
        assert_eq!(http::request("POST", &url, &[], b"hello").body, b"HELLO");
        let answer = http::request("POST", &service.url("/"), &[], &long);
        assert!(answer.body == long);

        let mut connection = Connection::open(service.base_url());
        let head = [
            ("transfer-encoding", "chunked"),
            ("trailer", "x-sum, x-count"),
            ("te", "trailers"),
        ];
        connection.sender.head("POST", "/", &head).unwrap();
        connection.sender.chunk(b"one").unwrap();
        connection.sender.chunk(b"two").unwrap();
        let trailers = [("x-sum", "42"), ("x-count", "2")];
        connection.sender.last_chunk(&trailers).unwrap();
        let answer = connection.receiver.response("POST").unwrap();
        assert_eq!(answer.body, b"onetwo");
        assert_eq!(answer.trailer("x-sum"), Some("42"));
    });
    for file in files {
        assert_replays(&file, 1_000);
    }
}

#[test]
fn the_edge_service_replays_a_thousand_times() {
    let recordings = Recordings::new();
    let files = recordings.of(Coracle::new().app(example("edge")), 3, |service| {
        let url = service.url("/offer");
        let page = http::get(&url);
        let tag = page.header("etag").unwrap();
        let again = http::request("GET", &url, &[("if-none-match", tag)], b"");
        assert_eq!(again.status, 304);
        let visitor = [("x-country", "JP"), ("cookie", "theme=dark; visitor=7")];
        assert_eq!(http::request("GET", &url, &visitor, b"").status, 200);
    });
    for file in files {
        assert_replays(&file, 1_000);
    }
}

#[test]
fn the_text_processor_replays_a_thousand_times_when_its_directory_is_gone() {
    let recordings = Recordings::new();
    let manifest = fs::read_to_string(example("process/coracle.toml")).unwrap();
    let component = example_component("process");
    let source = "\"../target/wasm32-wasip2/release/process.wasm\"";
    assert!(manifest.contains(source));
    let manifest = manifest.replace(source, &format!("{component:?}"));
    let config = fs::read(example("process/etc/config.json")).unwrap();
    let app = app(&manifest, &[("etc/config.json", &config)]);
    let files = recordings.of(Coracle::new().app(&app), 2, |service| {
        let url = service.url("/process");
        for (body, status) in [("straße 1".as_bytes(), 200), (b"ab\xff", 400)] {
            assert_eq!(http::request("POST", &url, &[], body).status, status);
        }
    });
    fs::rename(app.file("etc"), app.file("moved-away")).unwrap();
    for file in files {
        assert_replays(&file, 1_000);
    }
}

fn a_directory_that_is_written_to_is_the_same_for_every_replay(generation: Generation) {
    let recordings = Recordings::new();
    let grants = granted("files = [{ dir = \"data\", at = \"/data\", access = \"read-write\" }]");
    let app = generation.app(&grants);
    app.write("data/a", "one");
    app.write("data/below/b", "two");
    let files = recordings.of(Coracle::new().app(&app), 6, |service| {
        for query in [
            "path=/data/a&op=append&value=+more",
            "path=/data/a",
            "path=/data/new&op=mkdir",
            "path=/data/a&op=rename&to=/data/z",
            "path=/data/z&op=remove",
            "path=/data&op=list",
        ] {
            let answer = http::get(&service.url(&format!("/file?{query}")));
            assert_eq!(answer.status, 200, "{query}: {}", answer.body_text());
        }
    });
    fs::remove_dir_all(app.file("data")).unwrap();
    for file in files {
        assert_replays(&file, 3);
    }
    assert!(!app.file("data").exists(), "a replay writes nowhere else");
}

/// A bucket of the app `trial`.
const KEYS: &str = "[component.guest.grants]\nkeyvalue = [{ bucket = \"keys\", as = \"default\", access = \"read-write\" }]\n[bucket.keys]\nbackend = \"memory\"\n";

/// The same guest, but for one word that it writes.
fn changed() -> Vec<u8> {
    let mut component = fs::read(guest("kv")).unwrap();
    let places = component.windows(4).enumerate();
    let places: Vec<_> = places
        .filter(|(_, word)| word == b"done")
        .map(|(at, _)| at)
        .collect();
    assert_eq!(places.len(), 1, "the word stands in one place");
    component[places[0]] = b'g';
    component
}

#[test]
fn a_changed_component_is_caught_at_the_call_that_differs() {
    let recordings = Recordings::new();
    let file = recordings.one(Coracle::new().serving(one("kv", KEYS)), |service| {
        assert_eq!(http::get(&service.url("/after")).body_text(), "answered");
    });
    let folder = app("", &[]);
    let changed = folder.write("changed.wasm", changed());
    let with = format!("guest={}", changed.display());
    let caught = replay(&file, &["--with", &with, "--times", "3"]);
    assert_eq!(caught.exit, Exit::Code(1), "{}", caught.stderr);
    let said: Vec<_> = caught.stdout.lines().collect();
    assert_eq!(
        said,
        [
            "call 2 (keyvalue \"default\")",
            "  recorded: {Set: {key: \"after\", value: b\"done\"}}",
            "  now:      {Set: {key: \"after\", value: b\"gone\"}}",
        ]
    );
}

/// Calls of both drafts are the same values to the host, and a call that is not made any more differs where it was.
#[test]
fn a_component_of_another_draft_is_compared_call_by_call() {
    let recordings = Recordings::new();
    let run = Coracle::new().serving(one("kv", KEYS));
    let file = recordings.one(run, |service| {
        http::get(&service.url("/kv?op=increment&key=a"));
    });
    let with = format!("guest={}", guest("kv_draft2").display());
    let same = replay(&file, &["--with", &with]);
    assert_eq!(same.exit, Exit::Code(0), "{}{}", same.stdout, same.stderr);
    let with = format!("guest={}", guest("logger").display());
    let caught = replay(&file, &["--with", &with]);
    assert_eq!(caught.exit, Exit::Code(1), "{}", caught.stderr);
    for part in ["\n  recorded: ", "\n  now:      "] {
        assert!(caught.stdout.contains(part), "{}", caught.stdout);
    }
}

#[test]
fn the_token_service_in_the_other_generation_does_the_same_as_the_recorded_one() {
    for (recorded, other) in [(Generation::P2, "auth_p3"), (Generation::P3, "auth")] {
        let recordings = Recordings::new();
        let file = recordings.one(profiled("auth", recorded), |service| {
            let key = [("authorization", "Bearer key_123")];
            let answer = http::request("GET", &service.url(VALIDATE), &key, b"");
            assert_eq!(answer.status, 200);
        });
        let with = format!("auth={}", example_component(other).display());
        let replayed = replay(&file, &["--with", &with]);
        assert_eq!(replayed.exit, Exit::Code(0), "{other}: {}", replayed.stdout);
    }
}

#[test]
fn a_component_that_was_rebuilt_is_not_taken_for_the_recorded_one() {
    let recordings = Recordings::new();
    let app = one("behave", "");
    let manifest = fs::read_to_string(app.file("coracle.toml")).unwrap();
    let source = format!("{:?}", guest("behave"));
    app.write(
        "coracle.toml",
        manifest.replace(&source, "\"service.wasm\""),
    );
    fs::copy(guest("behave"), app.file("service.wasm")).unwrap();
    let file = recordings.one(Coracle::new().app(&app), |service| {
        http::get(&service.url("/ok"));
    });
    assert_replays(&file, 1);
    fs::copy(example_component("echo"), app.file("service.wasm")).unwrap();
    let other = replay(&file, &[]);
    assert_eq!(other.exit, Exit::Code(2));
    for part in ["is not the component that was recorded", "--with guest="] {
        assert!(other.stderr.contains(part), "{}", other.stderr);
    }
    fs::remove_file(app.file("service.wasm")).unwrap();
    let absent = replay(&file, &[]);
    assert_eq!(absent.exit, Exit::Code(2));
    assert!(
        absent
            .stderr
            .contains("hint: name another place: --with guest=FILE.wasm"),
        "{}",
        absent.stderr
    );
    let with = format!("guest={}", guest("behave").display());
    assert_eq!(replay(&file, &["--with", &with]).exit, Exit::Code(0));
    let with = format!("other={}", guest("behave").display());
    let wrong = replay(&file, &["--with", &with]);
    assert_eq!(wrong.exit, Exit::Code(2));
    assert!(
        wrong
            .stderr
            .contains("the recording is of component guest, not other"),
        "{}",
        wrong.stderr
    );
}

fn one_recording(recordings: &Recordings, path: &str) -> PathBuf {
    recordings.one(Coracle::new().serving(one("behave", "")), |service| {
        http::get(&service.url(path));
    })
}

#[test]
fn what_is_not_a_whole_recording_of_this_version_is_refused() {
    let recordings = Recordings::new();
    let whole = fs::read(one_recording(&recordings, "/ok")).unwrap();
    let folder = app("", &[]);
    let mut longer = whole.clone();
    longer.extend_from_slice(b"more");
    let not_one = "is not a recording: ";
    let cases: [(&str, &[u8], &str); 9] = [
        ("garbage", b"hello", not_one),
        ("empty", b"", not_one),
        (
            "of the version before",
            b"coracle-recording 1\nx",
            "is not a recording of this version: it begins with \"coracle-recording 1\"",
        ),
        (
            "of a version to come",
            b"coracle-recording 3\nx",
            "is not a recording of this version",
        ),
        (
            "the first line alone",
            b"coracle-recording 2\n",
            "is damaged",
        ),
        ("cut in two", &whole[..whole.len() / 2], "is damaged"),
        (
            "without its last byte",
            &whole[..whole.len() - 1],
            "is damaged",
        ),
        (
            "of another shape",
            b"coracle-recording 2\n\x83\x01\x02\x03",
            "is damaged",
        ),
        ("with something after it", &longer, "is damaged"),
    ];
    for (what, bytes, part) in cases {
        let file = folder.write("file", bytes);
        let (replayed, shown) = (replay(&file, &[]), show(&file));
        assert_eq!(replayed.exit, Exit::Code(2), "{what}: {}", replayed.stdout);
        assert!(
            matches!(shown.exit, Exit::Code(1 | 2)),
            "{what}: {}",
            shown.stdout
        );
        for said in [&replayed.stderr, &shown.stderr] {
            assert!(said.contains(part), "{what}: {said}");
            assert!(said.contains(&file.display().to_string()), "{what}: {said}");
            // A person reads this, not a Rust programmer.
            assert!(!said.contains("Error {"), "{what}: {said}");
        }
        assert_eq!((replayed.stdout.as_str(), shown.stdout.as_str()), ("", ""));
    }
    let absent = replay(&folder.file("absent"), &[]);
    assert_eq!(absent.exit, Exit::Code(2));
    assert_eq!(
        absent.stderr.matches("No such file or directory").count(),
        1,
        "the cause is told once: {}",
        absent.stderr
    );
}

#[test]
fn recordings_are_for_their_owner_only_and_the_start_says_what_they_hold() {
    let recordings = Recordings::new();
    let service = recordings.recording(Coracle::new().serving(one("behave", "")));
    let line = service.wait_for_line(|line| line.contains("recording every request"));
    assert!(
        line.contains("0600") && line.contains("what requests hold"),
        "{line}"
    );
    drop(service);
    let file = one_recording(&recordings, "/ok");
    assert_eq!(
        fs::metadata(file).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

/// Callers of one trace ask several times within a millisecond.
#[test]
fn every_request_of_one_trace_is_recorded() {
    let recordings = Recordings::new();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut service = recordings.recording(Coracle::new().serving(one("behave", "")));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut connection = Connection::open(service.base_url());
                for _ in 0..25 {
                    let traced = [("traceparent", trace)];
                    let answer = connection.request("GET", "/ok", &traced, b"");
                    assert_eq!(answer.unwrap().status, 200);
                }
            });
        }
    });
    assert_eq!(service.stop(), Exit::Code(0));
    let lost = service.stderr_lines();
    let lost = lost.iter().find(|line| line.contains("writing"));
    assert_eq!(
        recordings.files().len(),
        100,
        "recordings were lost: {lost:?}"
    );
}

/// A client gets its answer before the recording is written: the end of the node waits for what is still to be written.
#[test]
fn what_was_answered_before_the_end_of_the_node_is_recorded() {
    let recordings = Recordings::new();
    let mut service = recordings.recording(Coracle::new().serving(one("behave", "")));
    let mut connection = Connection::open(service.base_url());
    for _ in 0..20 {
        let answer = connection.request("GET", "/stream?bytes=200000", &[], b"");
        assert_eq!(answer.unwrap().body.len(), 200_000);
    }
    assert_eq!(service.stop(), Exit::Code(0));
    let files = recordings.files();
    assert_eq!(files.len(), 20, "recordings were lost");
    for file in files {
        assert_eq!(show(&file).exit, Exit::Code(0), "a recording is torn");
    }
}

fn redacting_a_header_leaves_no_trace_of_it_and_still_replays(generation: Generation) {
    let recordings = Recordings::new();
    let upstream = Upstream::answering("rates");
    let grants = granted(&format!(
        "http = [{{ host = \"127.0.0.1\", port = {}, scheme = \"http\" }}]",
        upstream.port()
    ));
    let run = Coracle::new()
        .host_file(LOCAL)
        .serving(generation.app(&grants))
        .args(["--redact", "authorization", "--redact", "X-Pin"]);
    let files = recordings.of(run, 4, |service| {
        let secret = [
            ("authorization", "Bearer hunter2-hunter2"),
            ("x-pin", "9173"),
        ];
        let fetch = format!(
            "/fetch?url={}/hunter2-hunter2&method=POST&header=authorization:Bearer+hunter2-hunter2&body=hunter2-hunter2",
            upstream.base_url()
        );
        for path in ["/headers", "/print?text=hunter2-hunter2", "/ok?pin=9173", &fetch] {
            http::request("GET", &service.url(path), &secret, b"");
        }
    });
    for file in files {
        let bytes = fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for value in ["hunter2", "9173"] {
            assert!(!text.contains(value), "{}", show(&file).stdout);
        }
        let shown = show(&file).stdout;
        assert!(shown.contains("redacted: authorization, x-pin"), "{shown}");
        assert_replays(&file, 10);
    }
}

/// As it is, percent-encoded and inside base64: in a body whose length was declared, and which comes back.
#[test]
fn a_redacted_value_is_found_in_its_encodings_and_the_recording_still_replays() {
    let recordings = Recordings::new();
    let run = profiled("echo", Generation::P2).args(["--redact", "x-pin"]);
    let file = recordings.one(run, |service| {
        // "user:s/e&cret+1" in base64.
        let body = b"s/e&cret+1 s%2Fe%26cret%2B1 s%2fe%26cret%2b1 dXNlcjpzL2UmY3JldCsx";
        let pin = [("x-pin", "s/e&cret+1")];
        let answer = http::request("POST", &service.url("/"), &pin, body);
        assert_eq!(answer.body, body);
    });
    let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
    for found in ["e&cret", "cret%2", "Y3JldCsx"] {
        assert!(!text.contains(found), "{}", show(&file).stdout);
    }
    assert_replays(&file, 10);
}

#[test]
fn the_token_service_replays_with_its_key_redacted() {
    let recordings = Recordings::new();
    let run = profiled("auth", Generation::P2).args(["--redact", "authorization"]);
    let file = recordings.one(run, |service| {
        let key = [("authorization", "Bearer key_123")];
        let answer = http::request("GET", &service.url(VALIDATE), &key, b"");
        assert_eq!(answer.status, 200);
    });
    let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
    assert!(!text.contains("key_123"), "{}", show(&file).stdout);
    assert_replays(&file, 100);
}

/// Numbers that differ from run to run, and what stands for them.
fn normalised(shown: &str, service: &str) -> String {
    let shown = shown.replace(service.trim_start_matches("http://"), "HOST");
    let mut named = String::new();
    let mut digits = String::new();
    for character in shown.chars().chain(['\0']) {
        if matches!(character, '0'..='9' | 'a'..='f') {
            digits.push(character);
            continue;
        }
        named.push_str(if digits.len() < 16 { &digits } else { "ID" });
        digits.clear();
        named.push(character);
    }
    let lines = named.trim_end_matches('\0').lines();
    let mut clock = false;
    let lines = lines.map(|line| {
        let answer = line.trim_start().strip_prefix("= ");
        let hides = std::mem::take(&mut clock) && answer.is_some();
        clock = line.contains(". clock ") || line.contains(". randomness ");
        if hides {
            "   = DRAWN".to_owned()
        } else {
            line.to_owned()
        }
    });
    lines.map(|line| line + "\n").collect()
}

#[test]
fn a_recording_is_shown_as_a_person_reads_it() {
    let recordings = Recordings::new();
    let mut url = String::new();
    let run = profiled("auth", Generation::P2).args(["--redact", "authorization"]);
    let file = recordings.one(run, |service| {
        service.base_url().clone_into(&mut url);
        let key = [("authorization", "Bearer key_000"), ("x-line", "caf\u{e9}")];
        http::request(
            "POST",
            &service.url("/auth/validate?trace=1"),
            &key,
            b"{\"anything\":true}",
        );
    });
    let shown = show(&file);
    assert_eq!((shown.exit, shown.stderr.as_str()), (Exit::Code(0), ""));
    let file = repository().join("tests/recordings/show.txt");
    assert_golden(file, &normalised(&shown.stdout, &url));
}

/// A guest with a bucket that it may change, and the same bucket under a name that only reads.
fn keys(store: &str) -> TempApp {
    let grants = "keyvalue = [{ bucket = \"keys\", as = \"default\", access = \"read-write\", prefix = \"p/\" }, { bucket = \"keys\", as = \"all\", access = \"read\" }]";
    let app = one(
        store,
        &format!("{}\n[bucket.keys]\nseed = \"keys.json\"\n", granted(grants)),
    );
    app.write("keys.json", r#"{ "p/a": "1", "p/b": "2", "other": "3" }"#);
    app
}

fn kv(service: &Service, query: &str) -> Value {
    let answer = http::get(&service.url(&format!("/kv?{query}")));
    assert_eq!(answer.status, 200, "{query}: {}", answer.body_text());
    answer.json()
}

/// Everything in the bucket.
fn content(service: &Service) -> Vec<(String, Value)> {
    let listed = kv(service, "op=list&bucket=all");
    let keys = listed["ok"]["keys"].as_array().unwrap().clone();
    let keys = keys.iter().map(|key| key.as_str().unwrap().to_owned());
    keys.map(|key| {
        let value = kv(service, &format!("op=get&bucket=all&key={key}"))["ok"].clone();
        (key, value)
    })
    .collect()
}

/// What the log says was held back, in order.
fn held(service: &Service) -> Vec<String> {
    let lines = service.stderr_lines();
    let held = lines.iter().filter_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["context"] == "held back").then(|| line["message"].as_str().unwrap().to_owned())
    });
    held.collect()
}

#[test]
fn held_writes_are_listed_exactly_and_the_bucket_is_as_before() {
    for store in ["kv", "kv_draft2"] {
        let (app, state) = (keys(store), StateDir::new());
        let mut before = Coracle::new().app(&app).state(&state).start();
        let was = content(&before);
        assert_eq!(was.len(), 3, "{was:?}");
        assert_eq!(before.stop(), Exit::Code(0));
        let files = bucket_files(&state);

        let mut service = Coracle::new()
            .app(&app)
            .state(&state)
            .args(["--hold-writes", "--log", "json"])
            .start();
        let asked = [
            ("op=get&key=a", json!("1")),
            ("op=set&key=a&value=new", json!(null)),
            // Of another invocation: the write before is gone with its own.
            ("op=increment&key=a&delta=4", json!(5)),
            ("op=delete&key=b", json!(null)),
            ("op=exists&key=b", json!(true)),
            ("op=set-many&keys=x,y&value=z", json!(null)),
            ("op=delete-many&keys=a,b", json!(null)),
        ];
        for (query, answer) in asked {
            assert_eq!(
                kv(&service, query),
                json!({ "ok": answer }),
                "{store}: {query}"
            );
        }
        http::get(&service.url("/after"));
        assert_eq!(http::get(&service.url("/trap?key=t&value=v")).status, 500);
        let now = content(&service);
        assert_eq!(service.stop(), Exit::Code(0));
        // Keys as the bucket holds them, with the grant's prefix: what would have changed.
        assert_eq!(
            held(&service),
            [
                "bucket \"default\": {Set: {key: \"p/a\", value: b\"new\"}}",
                "bucket \"default\": {Increment: {key: \"p/a\", delta: 4}}",
                "bucket \"default\": {Delete: {key: \"p/b\"}}",
                "bucket \"default\": {SetMany: {pairs: [[\"p/x\", b\"z\"], [\"p/y\", b\"z\"]]}}",
                "bucket \"default\": {DeleteMany: {keys: [\"p/a\", \"p/b\"]}}",
                "bucket \"default\": {Set: {key: \"p/after\", value: b\"done\"}}",
                "bucket \"default\": {Set: {key: \"p/t\", value: b\"v\"}}",
            ],
            "{store}"
        );
        assert_eq!(now, was, "{store}");
        let after = Coracle::new().app(&app).state(&state).start();
        assert_eq!(content(&after), was, "{store}");
        drop(after);
        assert_eq!(bucket_files(&state), files, "{store}");
    }
}

/// What the state directory holds beside the cache.
fn bucket_files(state: &StateDir) -> BTreeSet<String> {
    let entries = fs::read_dir(state.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[test]
fn a_held_run_refuses_what_a_plain_run_refuses() {
    for store in ["kv", "kv_draft2"] {
        let mut service = Coracle::new()
            .serving(keys(store))
            .args(["--hold-writes", "--log", "json"])
            .start();
        for change in [
            "op=set&bucket=all&key=a&value=2",
            "op=delete&bucket=all&key=a",
            "op=increment&bucket=all&key=n",
            "op=delete-many&bucket=all&keys=a",
        ] {
            let answer = kv(&service, change);
            assert_eq!(
                answer["error"], "access-denied",
                "{store}: {change}: {answer}"
            );
        }
        assert_eq!(service.stop(), Exit::Code(0));
        assert_eq!(held(&service), [""; 0], "{store}");
    }
    let mut service = calling(Generation::P2, 1)
        .args(["--hold-writes", "--log", "json"])
        .start();
    http::get(&service.url("/fetch?url=http://127.0.0.1:2/&method=POST"));
    assert_eq!(service.stop(), Exit::Code(0));
    assert_eq!(held(&service), [""; 0], "nobody may send there");
}

#[test]
fn held_requests_that_change_something_are_listed_and_not_sent() {
    let upstream = Upstream::answering("rates");
    let mut service = calling(Generation::P2, upstream.port())
        .args(["--hold-writes", "--log", "json"])
        .start();
    let url = upstream.base_url();
    let fetch = |method: &str| {
        let path = format!("/fetch?url={url}/eur&method={method}");
        http::get(&service.url(&path)).json()
    };
    assert_eq!(fetch("GET")["status"], 200);
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(fetch(method)["error"], "HttpRequestDenied", "{method}");
    }
    assert_eq!(upstream.requests().len(), 1);
    assert_eq!(service.stop(), Exit::Code(0));
    let listed = ["POST", "PUT", "DELETE"].map(|method| format!("http: {method} {url}/eur"));
    assert_eq!(held(&service), listed);
}

/// The list is the host's word.
#[test]
fn no_guest_can_forge_a_held_write() {
    let mut service = Coracle::new()
        .serving(one("logger", ""))
        .args(["--hold-writes", "--log", "json"])
        .start();
    let forged = "/log?level=info&context=held+back&message=http:+POST+http://bank/";
    assert_eq!(http::get(&service.url(forged)).status, 200);
    assert_eq!(service.stop(), Exit::Code(0));
    assert_eq!(held(&service), [""; 0], "nothing was held back");
}

/// What a guest says is cut short when it is too much; what it would have done is not.
#[test]
fn the_list_of_held_writes_is_complete_however_long_it_is() {
    let mut service = calling(Generation::P2, 1)
        .args(["--hold-writes", "--log", "json"])
        .start();
    let many = "/fetch?url=http://127.0.0.1:1/&method=POST&count=400";
    for _ in 0..10 {
        assert_eq!(http::get(&service.url(many)).status, 200);
    }
    assert_eq!(service.stop(), Exit::Code(0));
    assert_eq!(
        held(&service).len(),
        4_000,
        "one line for each held request"
    );
}
