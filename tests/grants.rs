//! A component can do what its manifest grants and the operator allows, and nothing else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is how a test fails, in its helpers too"
)]

use std::{fs, os::unix::fs::symlink};

use coracle_testkit::{
    Coracle, Generation, Service, TempApp, Upstream, both_generations, guest, http, one,
};
use serde_json::{Value, json};

both_generations! {
    sees_the_environment_of_the_manifest_and_no_other,
    finds_standard_input_closed,
    the_clock_without_a_grant_ends_the_request_and_names_the_line_to_add,
    the_clock_with_a_grant_tells_the_time,
    randomness_without_a_grant_ends_the_request_and_names_the_line_to_add,
    randomness_with_a_grant_is_not_the_same_twice,
    randomness_that_is_no_authority_needs_no_grant,
    a_profile_stops_the_clock_and_seeds_randomness,
    outbound_http_without_a_grant_is_denied,
    outbound_http_goes_where_the_grant_says_and_the_operator_allows,
    outbound_http_to_a_name_is_checked_by_address_too,
    reads_a_granted_directory_and_writes_nothing_there,
    writes_where_writing_is_granted,
    nothing_outside_a_granted_directory_can_be_reached,
    no_file_at_all_without_a_grant,
    what_a_guest_prints_is_labelled_with_component_and_request,
    no_guest_can_forge_a_log_line,
    a_guest_that_floods_the_log_is_cut_short,
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn traced<'a>() -> (&'a str, &'a str) {
    (
        "traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
}

fn granted(lines: &str) -> String {
    format!("[component.guest.grants]\n{lines}\n")
}

fn get_json(service: &Service, path: &str) -> Value {
    let answer = http::get(&service.url(path));
    assert_eq!(answer.status, 200, "{path}: {}", answer.body_text());
    answer.json()
}

fn sees_the_environment_of_the_manifest_and_no_other(generation: Generation) {
    let with = generation.app("environment = { LOG = \"info\", EMPTY = \"\" }");
    let service = Coracle::new()
        .env("SECRET", "of the node")
        .serving(with)
        .start();
    assert_eq!(
        get_json(&service, "/env"),
        json!({ "environment": [["EMPTY", ""], ["LOG", "info"]], "arguments": [] })
    );
    let without = Coracle::new()
        .env("SECRET", "of the node")
        .serving(generation.app(""))
        .start();
    assert_eq!(
        get_json(&without, "/env"),
        json!({ "environment": [], "arguments": [] })
    );
}

fn finds_standard_input_closed(generation: Generation) {
    let service = generation.serve("");
    assert_eq!(http::get(&service.url("/stdin")).body_text(), "0 bytes");
}

#[test]
fn reads_its_configuration_and_no_other() {
    for store in ["config", "config_draft"] {
        let service = Coracle::new()
            .serving(one(
                store,
                "config = { issuer = \"shop\", region = \"eu\" }",
            ))
            .start();
        assert_eq!(
            get_json(&service, "/config"),
            json!([["issuer", "shop"], ["region", "eu"]]),
            "{store}"
        );
        assert_eq!(
            get_json(&service, "/config?key=issuer"),
            json!({ "value": "shop" })
        );
        assert_eq!(
            get_json(&service, "/config?key=other"),
            json!({ "value": null })
        );
    }
}

fn the_clock_without_a_grant_ends_the_request_and_names_the_line_to_add(generation: Generation) {
    let service = generation.serve("");
    http::get(&service.url("/clock")).assert_problem(500, "not-granted");
    let line = service.wait_for_line(|line| line.contains("clock = true"));
    assert!(
        line.contains("guest") && line.contains("wasi:clocks/"),
        "{line}"
    );
    assert!(line.contains("#now"), "{line}");
    assert!(line.contains("[component.guest.grants]"), "{line}");
    assert_eq!(http::get(&service.url("/ok")).status, 200);
}

fn the_clock_with_a_grant_tells_the_time(generation: Generation) {
    let service = generation.serve(&granted("clock = true"));
    let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let told = get_json(&service, "/clock");
    for clock in ["wall_s", "std_s"] {
        let told = told[clock].as_u64().unwrap();
        assert!(told.abs_diff(since) <= 5, "{clock}: {told}, it is {since}");
    }
}

fn randomness_without_a_grant_ends_the_request_and_names_the_line_to_add(generation: Generation) {
    let service = generation.serve("");
    http::get(&service.url("/random")).assert_problem(500, "not-granted");
    let line = service.wait_for_line(|line| line.contains("randomness = true"));
    assert!(
        line.contains("guest") && line.contains("wasi:random/random@"),
        "{line}"
    );
    assert!(line.contains("#get-random-bytes"), "{line}");
    http::get(&service.url("/random?kind=u64")).assert_problem(500, "not-granted");
}

fn randomness_with_a_grant_is_not_the_same_twice(generation: Generation) {
    let service = generation.serve(&granted("randomness = true"));
    let draw = || http::get(&service.url("/random?n=16")).body_text();
    let (one, other) = (draw(), draw());
    assert_eq!((one.len(), other.len()), (32, 32));
    assert_ne!(one, other);
}

fn randomness_that_is_no_authority_needs_no_grant(generation: Generation) {
    let service = generation.serve("");
    assert_eq!(http::get(&service.url("/random?kind=insecure")).status, 200);
    let order = || {
        let answer = http::get(&service.url("/hashmap"));
        assert_eq!(answer.status, 200, "{}", answer.body_text());
        answer.body_text()
    };
    assert_ne!(order(), order(), "each invocation has its own seed");
}

const BUCKETS: [&str; 2] = ["kv", "kv_draft2"];

fn with_bucket(store: &str, grant: &str) -> TempApp {
    let app = one(store, &granted(&format!("keyvalue = [{{ {grant} }}]")));
    let mut manifest = fs::read_to_string(app.file("coracle.toml")).unwrap();
    manifest.push_str("\n[bucket.keys]\nbackend = \"memory\"\nseed = \"keys.json\"\n\n[bucket.other]\nbackend = \"memory\"\n");
    app.write("coracle.toml", manifest);
    app.write("keys.json", r#"{ "a": "1", "users/x": "2" }"#);
    app
}

fn kv(service: &Service, query: &str) -> Value {
    get_json(service, &format!("/kv?{query}"))
}

#[test]
fn a_bucket_granted_to_read_cannot_be_changed() {
    for store in BUCKETS {
        let app = with_bucket(
            store,
            "bucket = \"keys\", as = \"default\", access = \"read\"",
        );
        let service = Coracle::new().serving(app).start();
        assert_eq!(kv(&service, "op=get&key=a"), json!({ "ok": "1" }));
        assert_eq!(kv(&service, "op=exists&key=a"), json!({ "ok": true }));
        for change in [
            "op=set&key=a&value=2",
            "op=delete&key=a",
            "op=increment&key=n",
            "op=delete-many&keys=a",
        ] {
            assert_eq!(
                kv(&service, change)["error"],
                "access-denied",
                "{store}: {change}"
            );
        }
        assert_eq!(kv(&service, "op=get&key=a"), json!({ "ok": "1" }));
    }
}

#[test]
fn a_bucket_that_is_not_granted_does_not_exist() {
    for store in BUCKETS {
        let app = with_bucket(
            store,
            "bucket = \"keys\", as = \"mine\", access = \"read-write\"",
        );
        let service = Coracle::new().serving(app).start();
        assert_eq!(
            kv(&service, "op=get&key=a&bucket=mine"),
            json!({ "ok": "1" })
        );
        for name in ["keys", "other", "default", "", "..%2Fkeys"] {
            assert_eq!(
                kv(&service, &format!("op=get&key=a&bucket={name}")),
                json!({ "error": "no-such-store" }),
                "{store}: {name}"
            );
        }
    }
}

#[test]
fn a_bucket_granted_to_write_is_written() {
    for store in BUCKETS {
        let app = with_bucket(
            store,
            "bucket = \"keys\", as = \"default\", access = \"read-write\"",
        );
        let service = Coracle::new().serving(app).start();
        kv(&service, "op=set&key=b&value=new");
        assert_eq!(kv(&service, "op=get&key=b"), json!({ "ok": "new" }));
        kv(&service, "op=delete&key=b");
        assert_eq!(kv(&service, "op=get&key=b"), json!({ "ok": null }));
    }
}

/// The prefix is put before every key the guest names, and taken from every key it is told.
#[test]
fn keys_outside_a_granted_prefix_cannot_be_named() {
    for store in BUCKETS {
        let app = with_bucket(
            store,
            "bucket = \"keys\", as = \"default\", access = \"read-write\", prefix = \"users/\"",
        );
        let service = Coracle::new().serving(app).start();
        assert_eq!(
            kv(&service, "op=get&key=x"),
            json!({ "ok": "2" }),
            "{store}"
        );
        for outside in ["a", "users/x", "../a", "/a"] {
            let found = kv(&service, &format!("op=get&key={outside}"));
            assert_eq!(found, json!({ "ok": null }), "{store}: {outside}");
        }
        assert_eq!(
            kv(&service, "op=list")["ok"]["keys"],
            json!(["x"]),
            "{store}"
        );
    }
}

/// What the operator says so that a guest may call this machine.
const LOCAL: &str = "[allow]\nnetworks = [\"127.0.0.0/8\", \"::1/128\"]\nhosts = [\"localhost\"]\n";

fn fetch(service: &Service, url: &str, more: &str) -> Value {
    get_json(service, &format!("/fetch?url={}{more}", encoded(url)))
}

fn encoded(url: &str) -> String {
    url.replace('%', "%25")
        .replace('&', "%26")
        .replace('?', "%3F")
}

/// For tests of a service: the same answers each time. Another seed draws something else.
fn a_profile_stops_the_clock_and_seeds_randomness(generation: Generation) {
    let app = generation.app(&format!(
        "{}[profile.test.component.guest]\nclock = \"2026-01-01T00:00:00Z\"\nrandomness = 42\n[profile.other.component.guest]\nrandomness = 43\n",
        granted("clock = true\nrandomness = true")
    ));
    let run = |profile: &str| {
        Coracle::new()
            .app(&app)
            .args(["--profile", profile])
            .start()
    };
    let service = run("test");
    let first = get_json(&service, "/clock");
    assert_eq!(first["wall_s"], 1_767_225_600, "{first}");
    assert_eq!(first["std_s"], 1_767_225_600, "{first}");
    assert_eq!(get_json(&service, "/clock"), first);
    let draw = |service: &Service, kind: &str| {
        http::get(&service.url(&format!("/random?n=32&kind={kind}"))).body_text()
    };
    let secure = draw(&service, "");
    for kind in ["", "insecure", "seed"] {
        assert_eq!(draw(&service, kind), draw(&service, kind), "{kind}");
    }
    assert_ne!(draw(&service, "insecure"), secure);
    drop(service);
    assert_ne!(draw(&run("other"), ""), secure);
}

fn outbound_http_without_a_grant_is_denied(generation: Generation) {
    let upstream = Upstream::answering("secret");
    let service = Coracle::new()
        .host_file(LOCAL)
        .serving(generation.app(""))
        .start();
    assert_eq!(
        fetch(&service, &upstream.base_url(), ""),
        json!({ "error": "HttpRequestDenied" })
    );
    assert_eq!(upstream.requests().len(), 0);
    service.wait_for_line(|line| line.contains("guest") && line.contains("http = [{"));
}

fn outbound_http_goes_where_the_grant_says_and_the_operator_allows(generation: Generation) {
    let (upstream, other) = (Upstream::answering("rates"), Upstream::answering("secret"));
    let grant = format!(
        "http = [{{ host = \"127.0.0.1\", port = {}, scheme = \"http\", methods = [\"GET\"], path = \"/rates/*\" }}]",
        upstream.port()
    );
    let service = Coracle::new()
        .host_file(LOCAL)
        .serving(generation.app(&granted(&grant)))
        .start();
    let answer = fetch(&service, &format!("{}/rates/eur", upstream.base_url()), "");
    assert_eq!(
        (&answer["status"], &answer["body"]),
        (&json!(200), &json!("rates")),
        "{answer}"
    );
    assert_eq!(upstream.requests().len(), 1);

    let here = upstream.base_url();
    for (url, more, what) in [
        (format!("{here}/other"), "", "another path"),
        (format!("{here}/rates/../other"), "", "a path that climbs"),
        (
            format!("{here}/rates/%2e%2e/other"),
            "",
            "a path that climbs, encoded",
        ),
        (
            format!("{here}/rates/eur"),
            "&method=POST",
            "another method",
        ),
        (
            format!("{}/rates/eur", other.base_url()),
            "",
            "another port",
        ),
        (
            format!("http://localhost:{}/rates/eur", upstream.port()),
            "",
            "another name",
        ),
        (
            format!("http://127.0.0.2:{}/rates/eur", upstream.port()),
            "",
            "another address",
        ),
        (
            format!("https://127.0.0.1:{}/rates/eur", upstream.port()),
            "",
            "another scheme",
        ),
    ] {
        let answer = fetch(&service, &url, more);
        assert!(answer["error"].is_string(), "{what}: {answer}");
    }
    assert_eq!((upstream.requests().len(), other.requests().len()), (1, 0));
}

fn outbound_http_to_a_name_is_checked_by_address_too(generation: Generation) {
    let upstream = Upstream::answering("here");
    let grant = format!(
        "http = [{{ host = \"localhost\", port = {}, scheme = \"http\" }}]",
        upstream.port()
    );
    let url = format!("http://localhost:{}/", upstream.port());
    let allowed = Coracle::new()
        .host_file(LOCAL)
        .serving(generation.app(&granted(&grant)))
        .start();
    assert_eq!(fetch(&allowed, &url, "")["body"], "here");
}

fn with_files(generation: Generation, access: &str) -> (TempApp, TempApp) {
    let outside = one("behave", "");
    outside.write("secret", "outside");
    let grant = format!("files = [{{ dir = \"data\", at = \"/data\", access = \"{access}\" }}]");
    let app = generation.app(&granted(&grant));
    app.write("data/a.txt", "inside");
    app.write("data/below/b.txt", "below");
    app.write("secret", "beside");
    symlink("../secret", app.file("data/link")).unwrap();
    symlink(outside.file("secret"), app.file("data/link-absolute")).unwrap();
    symlink(outside.path(), app.file("data/link-dir")).unwrap();
    (app, outside)
}

fn file(service: &Service, query: &str) -> http::Response {
    http::get(&service.url(&format!("/file?{query}")))
}

fn reads_a_granted_directory_and_writes_nothing_there(generation: Generation) {
    let (app, _outside) = with_files(generation, "read");
    let service = Coracle::new().app(&app).start();
    assert_eq!(file(&service, "path=/data/a.txt").body_text(), "inside");
    assert_eq!(
        file(&service, "path=/data/below/b.txt").body_text(),
        "below"
    );
    for change in [
        "path=/data/a.txt&op=write&value=x",
        "path=/data/a.txt&op=append&value=x",
        "path=/data/new&op=write&value=x",
        "path=/data/a.txt&op=remove",
        "path=/data/new&op=mkdir",
        "path=/data/a.txt&op=rename&to=/data/z",
        "path=/data/a.txt&op=link&to=/data/z",
    ] {
        assert_eq!(file(&service, change).status, 403, "{change}");
    }
    assert_eq!(
        fs::read_to_string(app.file("data/a.txt")).unwrap(),
        "inside"
    );
    assert!(!app.file("data/new").exists() && !app.file("data/z").exists());
}

fn writes_where_writing_is_granted(generation: Generation) {
    let (app, _outside) = with_files(generation, "read-write");
    let service = Coracle::new().app(&app).start();
    assert_eq!(
        file(&service, "path=/data/new&op=write&value=hello").body_text(),
        "written"
    );
    assert_eq!(fs::read_to_string(app.file("data/new")).unwrap(), "hello");
    assert_eq!(
        file(&service, "path=/data/new&op=append&value=+again").body_text(),
        "appended"
    );
    assert_eq!(file(&service, "path=/data/new").body_text(), "hello again");
    assert_eq!(
        file(&service, "path=/data/new&op=remove").body_text(),
        "removed"
    );
    assert!(!app.file("data/new").exists());
}

fn nothing_outside_a_granted_directory_can_be_reached(generation: Generation) {
    let (app, outside) = with_files(generation, "read-write");
    let service = Coracle::new().app(&app).start();
    let absolute = outside.file("secret");
    for path in [
        "/data/../secret",
        "/data/below/../../secret",
        "/data/link",
        "/data/link-absolute",
        "/data/link-dir/secret",
        "/secret",
        "/etc/passwd",
        "secret",
        "../secret",
        absolute.to_str().unwrap(),
        "/proc/self/environ",
        "/data/../../../../../../../../etc/passwd",
    ] {
        for op in ["read", "write&value=gone", "append&value=gone", "remove"] {
            // A link itself may be removed: it is inside. What it leads to may not.
            if op == "remove" && path.starts_with("/data/link") && !path.contains("secret") {
                continue;
            }
            let answer = file(&service, &format!("path={path}&op={op}"));
            assert_eq!(answer.status, 403, "{op} {path}: {}", answer.body_text());
        }
    }
    for escape in [
        "path=/data/a.txt&op=rename&to=/data/../stolen",
        "path=/data/a.txt&op=link&to=/data/link-dir/stolen",
        "path=/data/../secret&op=rename&to=/data/stolen",
        "path=/data/../made&op=mkdir",
        "path=/data/..&op=list",
        "path=/&op=list",
    ] {
        assert_eq!(file(&service, escape).status, 403, "{escape}");
    }
    assert_eq!(fs::read_to_string(app.file("secret")).unwrap(), "beside");
    assert_eq!(fs::read_to_string(absolute).unwrap(), "outside");
    assert!(!app.file("stolen").exists() && !outside.file("stolen").exists());
    assert!(!app.file("made").exists());
}

fn no_file_at_all_without_a_grant(generation: Generation) {
    let app = generation.app("");
    app.write("a.txt", "beside the manifest");
    let service = Coracle::new().app(&app).start();
    for path in ["a.txt", "/a.txt", ".", "/", "/etc/hostname"] {
        for op in ["read", "list", "stat", "write"] {
            assert_eq!(
                file(&service, &format!("path={path}&op={op}")).status,
                403,
                "{op} {path}"
            );
        }
    }
}

fn what_a_guest_prints_is_labelled_with_component_and_request(generation: Generation) {
    let service = generation.serve("");
    http::request("GET", &service.url("/print?text=hello"), &[traced()], b"");
    for stream in ["stdout", "stderr"] {
        let line = service.wait_for_line(|line| line.contains(&format!("hello on {stream}")));
        let label = format!(" trial/guest {TRACE} {stream}: hello on {stream}");
        assert!(line.ends_with(&label), "{line}");
    }
}

#[test]
fn what_a_guest_logs_is_labelled_with_component_request_level_and_context() {
    let service = Coracle::new().serving(one("logger", "")).start();
    let path = "/log?level=warn&context=billing&message=two%0Alines";
    http::request("GET", &service.url(path), &[traced()], b"");
    let line = service.wait_for_line(|line| line.contains("billing"));
    assert!(
        line.contains(" trial/guest ") && line.contains(TRACE),
        "{line}"
    );
    assert!(line.contains("warn"), "{line}");
    service.wait_for_line(|line| line.contains("trial/guest") && line.contains("lines"));
}

fn no_guest_can_forge_a_log_line(generation: Generation) {
    forged(
        guest(generation.behave()).to_str().unwrap(),
        "/print?what=forged",
    );
}

#[test]
fn no_guest_can_forge_a_log_line_through_wasi_logging() {
    forged(guest("logger").to_str().unwrap(), "/forged");
}

/// In both formats: every line is the node's, with the component's name where the node puts it.
fn forged(component: &str, path: &str) {
    let end = |line: &str| line.contains("line separator");
    let service = Coracle::new().arg(component).start();
    http::get(&service.url(path));
    service.wait_for_line(end);
    service.wait_for_line(|line| line.contains(" 200 "));
    let started = service.stderr_lines();
    for line in &started {
        let controls = line.chars().any(|character| {
            character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
        });
        assert!(!controls, "{line:?}");
        assert!(!line.starts_with("second, forged"), "{line:?}");
        assert!(!line.starts_with("{\"level\""), "{line:?}");
    }

    let service = Coracle::new()
        .arg(component)
        .args(["--log", "json"])
        .start();
    http::get(&service.url(path));
    service.wait_for_line(end);
    service.wait_for_line(|line| line.contains("\"access\""));
    let mut said = 0;
    for line in service.stderr_lines() {
        let Ok(line) = serde_json::from_str::<Value>(&line) else {
            assert!(!line.contains("forged"), "not JSON: {line:?}");
            continue;
        };
        if line["kind"] == "guest" {
            said += 1;
            assert_ne!(line["component"], "another");
            assert_ne!(line["request_id"], "forged");
        } else {
            assert_eq!(line["kind"], "access", "{line}");
        }
    }
    assert!(said >= 6, "{said} lines of the guest");
}

fn a_guest_that_floods_the_log_is_cut_short(generation: Generation) {
    let service = generation.serve("limits = { cpu = \"20s\" }");
    assert_eq!(
        http::get(&service.url("/print?what=flood&lines=200000")).status,
        200
    );
    service.wait_for_line(|line| line.contains("lines dropped"));
    assert_eq!(
        http::get(&service.url("/print?what=long&bytes=10000000")).status,
        200
    );
    let lines = service.stderr_lines();
    assert!(lines.len() < 10_000, "{} lines", lines.len());
    let longest = lines.iter().map(String::len).max().unwrap_or(0);
    assert!(longest < 64 << 10, "a line of {longest} bytes");
}
