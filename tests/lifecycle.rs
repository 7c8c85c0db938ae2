//! The life of a node: it says when it is ready, swaps without dropping a request, drains, and finds its state again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is how a test fails, in its helpers too"
)]

use std::{
    fs,
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use coracle_testkit::{
    Coracle, Exit, PATIENCE, Service, StateDir, TempApp, app, example_component, guest,
    http::{self, Connection},
    one, soon,
};
use rustix::process::Signal;
use serde_json::{Value, json};

const CLOCK: &str = "[component.guest.grants]\nclock = true\n";

fn behave() -> Service {
    Coracle::new().serving(one("behave", CLOCK)).start()
}

#[test]
fn says_on_standard_output_only_that_it_is_ready() {
    let mut service = behave();
    assert_eq!(http::get(&service.url("/ok")).status, 200);
    assert_eq!(service.stop(), Exit::Code(0));
    assert_eq!(service.stdout(), format!("ready: {}", service.base_url()));
}

#[test]
fn says_on_standard_error_what_runs_and_what_it_may() {
    let grants = "[component.guest.grants]\nclock = true\nhttp = [{ host = \"tax.example.com\", methods = [\"GET\"], path = \"/rates/*\" }]\n\
                  files = [{ dir = \"etc\", at = \"/etc\" }]\nkeyvalue = [{ bucket = \"keys\", access = \"read\" }]\n[bucket.keys]\nbackend = \"memory\"\n";
    let app = one("behave", grants);
    app.write("etc/a", "");
    let mut service = Coracle::new().app(&app).start();
    service.stop();
    let said = service.stderr();
    for part in [
        "trial",
        "guest",
        "/*",
        "https://tax.example.com/rates/*",
        "GET",
        "etc",
        "keys",
        "clock",
    ] {
        assert!(said.contains(part), "{part} is missing:\n{said}");
    }
}

/// One that is in the middle of its answer.
fn dripping(service: &Service, path: &str) -> (Connection, http::h1::Head) {
    let mut connection = Connection::open(service.base_url());
    connection.sender.head("GET", path, &[]).unwrap();
    let mut head = connection.receiver.head("GET").unwrap();
    let mut first = [0; 8];
    let read = connection
        .receiver
        .read_body(&mut head, &mut first)
        .unwrap();
    assert_eq!(&first[..read], b"chunk 0\n");
    (connection, head)
}

fn refuses_connections(service: &Service) -> bool {
    let address = service
        .base_url()
        .strip_prefix("http://")
        .unwrap()
        .to_owned();
    TcpStream::connect(address).is_err()
}

#[test]
fn lets_what_runs_finish_when_it_is_asked_to_end() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut service = behave();
        let (mut connection, mut head) = dripping(&service, "/drip?chunks=10&ms=100");
        service.signal(signal);
        soon("the listener to close", PATIENCE, || {
            refuses_connections(&service).then_some(())
        });
        let (mut rest, mut buffer) = (Vec::new(), [0; 1024]);
        loop {
            match connection
                .receiver
                .read_body(&mut head, &mut buffer)
                .unwrap()
            {
                0 => break,
                read => rest.extend_from_slice(&buffer[..read]),
            }
        }
        assert!(
            rest.ends_with(b"chunk 9\n"),
            "{}",
            String::from_utf8_lossy(&rest)
        );
        assert_eq!(service.wait_for_exit(PATIENCE), Exit::Code(0));
    }
}

#[test]
fn an_idle_connection_does_not_keep_it_from_ending() {
    let mut service = behave();
    let mut connection = Connection::open(service.base_url());
    assert_eq!(
        connection.request("GET", "/ok", &[], b"").unwrap().status,
        200
    );
    let started = Instant::now();
    assert_eq!(service.stop(), Exit::Code(0));
    let took = started.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut service = behave();
    let (_connection, _head) = dripping(&service, "/drip?chunks=1000&ms=20");
    service.signal(Signal::TERM);
    service.wait_for_line(|line| line.starts_with("draining"));
    let started = Instant::now();
    service.signal(Signal::TERM);
    assert_eq!(service.wait_for_exit(PATIENCE), Exit::Code(130));
    let took = started.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn what_does_not_finish_within_the_grace_is_cut() {
    let mut service = Coracle::new()
        .serving(one("behave", CLOCK))
        .args(["--grace", "1"])
        .start();
    let (mut connection, _head) = dripping(&service, "/drip?chunks=1000&ms=20");
    let started = Instant::now();
    assert_eq!(service.stop(), Exit::Code(0));
    let took = started.elapsed();
    assert!(
        took >= Duration::from_secs(1) && took < Duration::from_secs(4),
        "{took:?}"
    );
    let end = connection.receiver.response("GET");
    assert!(end.is_err(), "a cut answer must not look whole");
}

fn on_route(name: &str, path: &str, source: &Path, more: &str) -> TempApp {
    let manifest = format!(
        "[app]\nname = \"{name}\"\n[component.guest]\nsource = {source:?}\n{more}\n[[route]]\npath = \"{path}\"\ncomponent = \"guest\"\n"
    );
    app(&manifest, &[])
}

#[test]
fn serves_two_apps_behind_one_listener() {
    let service = Coracle::new()
        .serving(on_route(
            "one",
            "/config",
            &guest("config"),
            "config = { who = \"one\" }",
        ))
        .serving(on_route(
            "other",
            "/*",
            &guest("behave"),
            "environment = { WHO = \"other\" }",
        ))
        .start();
    assert_eq!(
        http::get(&service.url("/config")).json(),
        json!([["who", "one"]])
    );
    assert_eq!(
        http::get(&service.url("/env")).json()["environment"],
        json!([["WHO", "other"]])
    );
    service.wait_for_line(|line| line.contains(" one/guest "));
    service.wait_for_line(|line| line.contains(" other/guest "));
}

#[test]
fn serves_one_component_without_a_manifest() {
    let service = Coracle::new()
        .arg(guest("behave"))
        .args(["--grant", "clock = true"])
        .args(["--grant", "randomness = true"])
        .start();
    for path in ["/ok", "/clock", "/random"] {
        assert_eq!(http::get(&service.url(path)).status, 200, "{path}");
    }
    let service = Coracle::new().arg(guest("behave")).start();
    http::get(&service.url("/clock")).assert_problem(500, "not-granted");
}

fn with_bucket() -> TempApp {
    let grants = "[component.guest.grants]\nkeyvalue = [{ bucket = \"keys\", as = \"default\", access = \"read-write\" }]\n\
                  [bucket.keys]\nseed = \"keys.json\"\n";
    let app = one("kv", grants);
    app.write("keys.json", r#"{ "a": "seeded", "b": "seeded" }"#);
    app
}

fn kv(service: &Service, query: &str) -> Value {
    let answer = http::get(&service.url(&format!("/kv?{query}")));
    assert_eq!(answer.status, 200, "{}", answer.body_text());
    answer.json()["ok"].clone()
}

#[test]
fn an_embedded_bucket_outlives_its_node_and_is_seeded_once() {
    let (app, state) = (with_bucket(), StateDir::new());
    let start = || Coracle::new().app(&app).state(&state).start();

    let mut service = start();
    assert_eq!(kv(&service, "op=get&key=a"), "seeded");
    kv(&service, "op=set&key=a&value=changed");
    kv(&service, "op=delete&key=b");
    assert_eq!(service.stop(), Exit::Code(0));

    let mut service = start();
    assert_eq!(kv(&service, "op=get&key=a"), "changed");
    assert_eq!(
        kv(&service, "op=get&key=b"),
        Value::Null,
        "what was deleted is not seeded again"
    );
    kv(&service, "op=set&key=a&value=acknowledged");
    service.kill();

    let service = start();
    assert_eq!(kv(&service, "op=get&key=a"), "acknowledged");
}

#[test]
fn what_was_acknowledged_survives_kill_9_under_load() {
    let (app, state) = (with_bucket(), StateDir::new());
    for round in 0..3 {
        let mut service = Coracle::new().app(&app).state(&state).start();
        let acknowledged = AtomicU32::new(0);
        let url = service.url("/kv?op=set&key=count&value=");
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut n = 0;
                while http::try_request("GET", &format!("{url}{n}"), &[], b"")
                    .is_ok_and(|answer| answer.body_text() == "{\"ok\":null}")
                {
                    acknowledged.store(n, Relaxed);
                    n += 1;
                }
            });
            soon("some writes", PATIENCE, || {
                (acknowledged.load(Relaxed) >= 50).then_some(())
            });
            service.kill();
        });
        let service = Coracle::new().app(&app).state(&state).start();
        let found: u32 = kv(&service, "op=get&key=count")
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let acknowledged = acknowledged.load(Relaxed);
        assert!(
            found == acknowledged || found == acknowledged + 1,
            "round {round}: {acknowledged} was acknowledged, {found} is there"
        );
    }
}

#[test]
fn two_nodes_do_not_share_a_state_directory() {
    let (app, state) = (with_bucket(), StateDir::new());
    let service = Coracle::new().app(&app).state(&state).start();
    let second = Coracle::new().app(&app).state(&state).run();
    assert_eq!(second.exit, Exit::Code(1), "{}", second.stderr);
    assert_eq!(kv(&service, "op=get&key=a"), "seeded");
}

/// The artifacts in a cache.
fn artifacts(state: &StateDir) -> Vec<PathBuf> {
    let versions = fs::read_dir(state.path().join("cache")).unwrap();
    versions
        .filter_map(|version| fs::read_dir(version.unwrap().path()).ok())
        .flatten()
        .map(|file| file.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "artifact")
        })
        .collect()
}

fn start_on(state: &StateDir) -> Service {
    Coracle::new()
        .serving(one("behave", ""))
        .state(state)
        .start()
}

/// Starts on what is in the cache, answers, ends; how often it said that it had to compile again.
fn told_of_the_cache(state: &StateDir) -> usize {
    let mut service = start_on(state);
    assert_eq!(http::get(&service.url("/ok")).body_text(), "ok");
    assert_eq!(service.stop(), Exit::Code(0));
    let lines = service.stderr_lines();
    lines
        .iter()
        .filter(|line| line.contains("damaged or from another version"))
        .count()
}

/// What happens to the bytes of a file.
type Damage = fn(&mut Vec<u8>);

#[test]
fn a_damaged_cache_file_is_rebuilt_and_said_once() {
    let state = StateDir::with_own_cache();
    assert_eq!(told_of_the_cache(&state), 0);
    let damages: [(&str, Damage); 4] = [
        ("a byte in the middle", |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }),
        ("the first byte", |bytes| bytes[0] ^= 0x80),
        ("cut in two", |bytes| bytes.truncate(bytes.len() / 2)),
        ("empty", Vec::clear),
    ];
    for (damage, apply) in damages {
        let file = artifacts(&state).pop().expect("an artifact");
        let mut bytes = fs::read(&file).unwrap();
        apply(&mut bytes);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, bytes).unwrap();

        assert_eq!(told_of_the_cache(&state), 1, "{damage}");
        assert_eq!(told_of_the_cache(&state), 0, "{damage} is repaired");
    }
}

#[test]
fn an_artifact_under_another_component_s_name_is_never_loaded() {
    let state = StateDir::with_own_cache();
    told_of_the_cache(&state);
    let behave = artifacts(&state).pop().expect("an artifact");
    drop(
        Coracle::new()
            .serving(one("config", ""))
            .state(&state)
            .start(),
    );
    let config = artifacts(&state)
        .into_iter()
        .find(|path| *path != behave)
        .unwrap();
    fs::remove_file(&behave).unwrap();
    fs::copy(&config, &behave).unwrap();
    fs::copy(
        config.with_extension("tag"),
        behave.with_extension("tag.new"),
    )
    .unwrap();
    fs::rename(
        behave.with_extension("tag.new"),
        behave.with_extension("tag"),
    )
    .unwrap();

    assert_eq!(told_of_the_cache(&state), 1);
}

#[test]
fn a_cache_of_another_version_is_rebuilt_and_said_once() {
    let state = StateDir::with_own_cache();
    told_of_the_cache(&state);
    let file = artifacts(&state).pop().expect("an artifact");
    let version = file.parent().unwrap();
    let name = version.file_name().unwrap().to_str().unwrap();
    let (kind, _) = name.rsplit_once('-').unwrap();
    fs::rename(
        version,
        version.with_file_name(format!("{kind}-{}", "0".repeat(32))),
    )
    .unwrap();

    assert_eq!(told_of_the_cache(&state), 1);
    assert_eq!(told_of_the_cache(&state), 0);
}

/// An app whose component is a file of its own, to be replaced.
fn replaceable() -> TempApp {
    let app = on_route(
        "trial",
        "/*",
        Path::new("service.wasm"),
        "config = { who = \"other\" }",
    );
    fs::copy(guest("behave"), app.file("service.wasm")).unwrap();
    app
}

#[test]
fn watching_swaps_a_component_without_a_dropped_request() {
    let app = replaceable();
    let service = Coracle::new().app(&app).arg("--watch").start();
    let (done, asked) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let (done, asked, service) = (&done, &asked, &service);
                scope.spawn(move || {
                    let mut connection = Connection::open(service.base_url());
                    let mut bodies = Vec::new();
                    while !done.load(Relaxed) {
                        // Some keep their connection, some come anew.
                        let answer = if client % 2 == 0 {
                            connection.request("GET", "/", &[], b"").unwrap()
                        } else {
                            http::get(&service.url("/"))
                        };
                        assert_eq!(answer.status, 200, "{}", answer.body_text());
                        asked.fetch_add(1, Relaxed);
                        if bodies.last() != Some(&answer.body_text()) {
                            bodies.push(answer.body_text());
                        }
                    }
                    bodies
                })
            })
            .collect();
        soon("some requests", PATIENCE, || {
            (asked.load(Relaxed) > 100).then_some(())
        });
        // The echo answers an empty body with an empty one, where the guest before says "ok".
        replace(&app, &example_component("echo"));
        soon("the new component", PATIENCE, || {
            http::get(&service.url("/")).body.is_empty().then_some(())
        });
        let before = asked.load(Relaxed);
        soon("some more requests", PATIENCE, || {
            (asked.load(Relaxed) > before + 100).then_some(())
        });
        done.store(true, Relaxed);
        for client in clients {
            assert_eq!(
                client.join().unwrap(),
                ["ok", ""],
                "first the old one, then the new one"
            );
        }
    });
}

/// As a build tool does it: beside, then renamed.
fn replace(app: &TempApp, component: &Path) {
    fs::copy(component, app.file("service.wasm.new")).unwrap();
    fs::rename(app.file("service.wasm.new"), app.file("service.wasm")).unwrap();
}

#[test]
fn watching_keeps_what_runs_when_the_new_one_is_no_good() {
    let app = replaceable();
    let service = Coracle::new().app(&app).arg("--watch").start();
    app.write("service.wasm", "this is no component");
    service.wait_for_line(|line| line.contains("WebAssembly"));
    assert_eq!(http::get(&service.url("/")).body_text(), "ok");
    let manifest = fs::read_to_string(app.file("coracle.toml")).unwrap();
    app.write("coracle.toml", "[app");
    service.wait_for_line(|line| line.contains("error[syntax]"));
    assert_eq!(http::get(&service.url("/")).body_text(), "ok");

    replace(&app, &example_component("echo"));
    app.write("coracle.toml", manifest);
    soon("the repaired app", PATIENCE, || {
        http::get(&service.url("/")).body.is_empty().then_some(())
    });
}

#[test]
fn a_request_in_flight_ends_with_the_component_it_began_with() {
    let app = replaceable();
    let manifest = fs::read_to_string(app.file("coracle.toml")).unwrap();
    app.write(
        "coracle.toml",
        format!("{manifest}[component.guest.grants]\nclock = true\n"),
    );
    let service = Coracle::new().app(&app).arg("--watch").start();
    let (mut connection, mut head) = dripping(&service, "/drip?chunks=100&ms=20");
    replace(&app, &example_component("echo"));
    soon("the new component", PATIENCE, || {
        http::get(&service.url("/")).body.is_empty().then_some(())
    });
    let (mut rest, mut buffer) = (Vec::new(), [0; 1024]);
    loop {
        match connection
            .receiver
            .read_body(&mut head, &mut buffer)
            .unwrap()
        {
            0 => break,
            read => rest.extend_from_slice(&buffer[..read]),
        }
    }
    assert!(rest.ends_with(b"chunk 99\n"));
}

#[test]
fn tells_its_operator_whether_it_lives_is_ready_and_what_it_counted() {
    let mut service = Coracle::new()
        .serving(one("behave", CLOCK))
        .args(["--admin", "127.0.0.1:0"])
        .start();
    let admin = service.admin_url();
    let get = |path: &str| http::try_request("GET", &format!("{admin}{path}"), &[], b"").unwrap();
    assert_eq!((get("/livez").status, get("/readyz").status), (200, 200));
    for _ in 0..7 {
        assert_eq!(http::get(&service.url("/ok")).status, 200);
    }
    assert_eq!(http::get(&service.url("/trap")).status, 500);
    let counted = soon("the count of the last request", PATIENCE, || {
        let text = get("/metrics").body_text();
        text.contains("reason=\"trap\"").then_some(text)
    });
    for line in [
        "coracle_requests_total{app=\"trial\",component=\"guest\",status_class=\"2xx\"} 7",
        "coracle_requests_total{app=\"trial\",component=\"guest\",status_class=\"5xx\"} 1",
        "coracle_limits_total{app=\"trial\",component=\"guest\",reason=\"trap\"} 1",
        "coracle_request_duration_seconds_count{app=\"trial\",component=\"guest\"} 8",
        "coracle_request_cpu_seconds_count{app=\"trial\",component=\"guest\"} 8",
        "coracle_memory_peak_bytes_count{app=\"trial\",component=\"guest\"} 8",
    ] {
        assert!(
            counted.lines().any(|found| found == line),
            "{line} is missing:\n{counted}"
        );
    }
    assert!(counted.contains("coracle_pool_slots{"), "{counted}");
    // Not on the listener of the services.
    assert_eq!(http::get(&service.url("/metrics")).status, 404);

    let (_connection, _head) = dripping(&service, "/drip?chunks=100&ms=20");
    service.signal(Signal::TERM);
    service.wait_for_line(|line| line.starts_with("draining"));
    soon("the drain to be told", PATIENCE, || {
        (get("/readyz").status == 503).then_some(())
    });
    assert_eq!(get("/livez").status, 200);
    assert_eq!(service.wait_for_exit(PATIENCE), Exit::Code(0));
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const TRACEPARENT: (&str, &str) = (
    "traceparent",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
);

#[test]
fn leaves_a_line_for_a_person_after_every_request() {
    let service = behave();
    let url = service.url("/burn?spins=1000000&secret=x");
    http::request("GET", &url, &[TRACEPARENT], b"");
    let line = service.wait_for_line(|line| line.contains("/burn"));
    for part in [
        " 200 ",
        "cpu",
        "mem",
        " GET /burn ",
        " trial/guest ",
        " /* ",
        TRACE,
    ] {
        assert!(line.contains(part), "{part:?} is missing: {line}");
    }
    assert!(!line.contains("secret"), "{line}");
    http::get(&service.url("/trap"));
    let line = service.wait_for_line(|line| line.contains(" GET /trap "));
    assert!(
        line.contains(" 500 ") && line.contains("reason=trap"),
        "{line}"
    );
}

#[test]
fn leaves_a_line_for_a_program_after_every_request() {
    let service = Coracle::new()
        .serving(one("behave", CLOCK))
        .args(["--log", "json"])
        .start();
    let url = service.url("/burn?spins=10000000&secret=x");
    let answer = http::request("GET", &url, &[TRACEPARENT], b"");
    let line = service.wait_for_line(|line| line.contains("/burn"));
    let line: Value = serde_json::from_str(&line).unwrap();
    for (key, value) in [
        ("kind", json!("access")),
        ("status", json!(200)),
        ("method", json!("GET")),
        ("path", json!("/burn")),
        ("app", json!("trial")),
        ("component", json!("guest")),
        ("route", json!("/*")),
        ("request_id", json!(TRACE)),
        ("ending", json!("complete")),
        ("response_bytes", json!(answer.body.len())),
    ] {
        assert_eq!(line[key], value, "{key}: {line}");
    }
    let number = |key: &str| {
        line[key]
            .as_u64()
            .unwrap_or_else(|| panic!("{key}: {line}"))
    };
    assert!(number("cpu_us") > 1_000, "{line}");
    assert!(number("duration_us") >= number("cpu_us") * 9 / 10, "{line}");
    assert!(number("memory_peak_bytes") >= 1 << 16, "{line}");

    // Without a trace of the client's, every request has an id of its own; the problem and the line agree on it.
    let problem = http::get(&service.url("/trap"));
    let id = problem.json()["request_id"].as_str().unwrap().to_owned();
    let line = service.wait_for_line(|line| line.contains("/trap"));
    assert!(
        line.contains(&id) && line.contains("\"reason\":\"trap\""),
        "{line}"
    );
}

#[test]
fn leaves_no_line_when_it_is_told_not_to() {
    let mut service = Coracle::new()
        .serving(one("behave", CLOCK))
        .args(["--access-log", "off"])
        .start();
    assert_eq!(http::get(&service.url("/ok")).status, 200);
    assert_eq!(service.stop(), Exit::Code(0));
    assert!(
        !service.stderr().contains("GET /ok"),
        "{}",
        service.stderr()
    );
}

/// Needs the crates that the new service uses, from the registry or the local cache.
#[test]
fn slow_a_new_service_builds_and_answers_at_once() {
    let folder = app("", &[]);
    let dir = folder.file("hello");
    let new = Coracle::subcommand("new").args(["hello", "--dir"]);
    let created = new.arg(&dir).run();
    assert_eq!(created.exit, Exit::Code(0), "{}", created.stderr);
    let service = Coracle::new().building().app(&dir).start();
    let answer = http::get(&service.url("/hello/world"));
    assert_eq!(answer.status, 200, "{}", answer.body_text());
    assert!(answer.body_text().contains("world"));
}
