//! What stands behind a bucket or an outbound request is the operator's word alone, and a backend that fails costs its own callers a
//! bounded time and nobody else anything (FAULTS.md, C5 and C7).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is how a test fails, in its helpers too"
)]

use std::{
    collections::BTreeMap,
    fs,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use coracle_testkit::{
    Certified, Coracle, Exit, Generation, PATIENCE, Redis, Service, TempApp, Upstream, Vault, app,
    both_generations, example, guest, http, http::Connection, one, soon,
};
use serde_json::{Value, json};

/// Method, fields, status, user.
type Check = (
    &'static str,
    &'static [(&'static str, &'static str)],
    u16,
    Option<&'static str>,
);

/// The answers of the token service that tell whether it read its bucket.
const CHECKS: [Check; 8] = [
    (
        "GET",
        &[("authorization", "Bearer key_123")],
        200,
        Some("user_123"),
    ),
    (
        "POST",
        &[("authorization", "Bearer key_456")],
        200,
        Some("user_456"),
    ),
    (
        "GET",
        &[("authorization", "BEARER   key_789")],
        200,
        Some("user_789"),
    ),
    ("GET", &[("authorization", "Bearer key_000")], 401, None),
    ("GET", &[("authorization", "Bearer key_999")], 401, None),
    ("GET", &[("authorization", "Basic key_123")], 401, None),
    ("GET", &[], 401, None),
    (
        "GET",
        &[
            ("authorization", "Bearer key_123"),
            ("authorization", "Bearer key_456"),
        ],
        401,
        None,
    ),
];

/// Serves the example under this operator's file: its answers, and the digest of the component that gave them.
fn token_service(host_file: &str) -> (Vec<(http::Fields, String)>, String) {
    let recordings = tempfile_dir();
    let mut service = Coracle::new()
        .host_file(host_file)
        .app(example("auth"))
        .arg("--record")
        .arg(recordings.file("all"))
        .start();
    let url = service.url("/auth/validate");
    let answers = CHECKS.map(|(method, headers, status, user)| {
        let mut answer = http::request(method, &url, headers, b"");
        assert_eq!(answer.status, status, "{method} {headers:?}: {host_file}");
        if let Some(user) = user {
            let expected =
                format!(r#"{{"valid":true,"user_id":"{user}","expires_at":4102444800}}"#);
            assert_eq!(answer.body_text(), expected, "{headers:?}: {host_file}");
        }
        answer.headers.retain(|(name, _)| name != "date");
        let body = answer.body_text();
        (answer.headers, body)
    });
    assert_eq!(service.stop(), Exit::Code(0));
    let mut digests: Vec<_> = fs::read_dir(recordings.file("all"))
        .unwrap()
        .map(|file| {
            let show = Coracle::subcommand("recording").arg("show");
            let shown = show.arg(file.unwrap().path()).run().stdout;
            shown.split_whitespace().nth(1).unwrap().to_owned()
        })
        .collect();
    digests.dedup();
    assert_eq!(digests.len(), 1, "one component served: {digests:?}");
    (answers.into(), digests.remove(0))
}

/// A folder of a test's own.
fn tempfile_dir() -> TempApp {
    app("", &[])
}

#[test]
fn one_component_gives_the_same_answers_on_embedded_redis_and_vault() {
    let embedded = token_service("");

    let redis = Redis::start();
    let on_redis = token_service(&format!(
        "[backend.main-redis]\nkind = \"redis\"\nurl = \"{}\"\n[app.auth.bucket.api-keys]\nbackend = \"main-redis\"\n",
        redis.url()
    ));

    let vault = Vault::start("hvs.test");
    let keys = fs::read_to_string(example("auth/keys.json")).unwrap();
    vault.put("apps/auth/keys", serde_json::from_str(&keys).unwrap());
    let token = tempfile_dir();
    let token = token.write("token", "hvs.test\n");
    let on_vault = token_service(&format!(
        "[backend.corp-vault]\nkind = \"vault\"\naddress = \"{}\"\ntoken = {{ file = {token:?} }}\n[app.auth.bucket.api-keys]\nbackend = \"corp-vault\"\npath = \"apps/auth/keys\"\n",
        vault.url()
    ));
    assert!(!vault.asked().is_empty(), "the keys came from the vault");

    assert_eq!(on_redis, embedded, "Redis answers as the embedded store");
    assert_eq!(on_vault, embedded, "Vault answers as the embedded store");
}

#[test]
fn says_at_start_which_backend_stands_behind_a_bucket() {
    let redis = Redis::start();
    let host_file = format!(
        "[backend.main-redis]\nkind = \"redis\"\nurl = \"{}\"\n[bucket.api-keys]\nbackend = \"main-redis\"\n",
        redis.url()
    );
    let service = Coracle::new()
        .host_file(&host_file)
        .app(example("auth"))
        .start();
    let backend = "may read bucket api-keys (main-redis) as \"default\"";
    service.wait_for_line(|line| line.trim() == backend);
    let mocked = Coracle::new()
        .host_file(&host_file)
        .app(example("auth"))
        .args(["--profile", "test"])
        .start();
    // The mock of a profile stands before the operator's word.
    let mock = "may read bucket api-keys (memory) as \"default\"";
    mocked.wait_for_line(|line| line.trim() == mock);
}

/// How long an operation on Redis may take, of the operator's word.
const TIMEOUT: &str = "500ms";
/// The timeout, the wait for a place in the pool, and two cores that do other things at the same time.
const BOUND: Duration = Duration::from_secs(3);
/// How long a backend may need to find a server that is back (FAULTS.md, C5).
const RECOVERY: Duration = Duration::from_secs(2);

/// One node: an app on Redis that also has an embedded bucket, and an app that has neither.
fn on_redis(redis: &Redis) -> Service {
    let source = guest("kv");
    let keys = app(
        &format!(
            "[app]\nname = \"keys\"\n[component.guest]\nsource = {source:?}\n[component.guest.grants]\nkeyvalue = [{{ bucket = \"far\", as = \"default\", access = \"read-write\" }}, {{ bucket = \"near\", as = \"near\", access = \"read-write\" }}]\n[bucket.far]\nseed = \"seed.json\"\n[bucket.near]\n[[route]]\npath = \"/kv\"\ncomponent = \"guest\"\n"
        ),
        &[("seed.json", br#"{ "seeded": "1" }"#)],
    );
    let host_file = format!(
        "[backend.main-redis]\nkind = \"redis\"\nurl = \"{}\"\ntimeout = \"{TIMEOUT}\"\n[app.keys.bucket.far]\nbackend = \"main-redis\"\n",
        redis.url()
    );
    Coracle::new()
        .host_file(&host_file)
        .serving(keys)
        .serving(one("behave", ""))
        .start()
}

fn kv(service: &Service, query: &str) -> Value {
    let answer = http::get(&service.url(&format!("/kv?{query}")));
    assert_eq!(answer.status, 200, "{query}: {}", answer.body_text());
    answer.json()
}

/// What it takes: the answer and how long it took.
fn timed<T>(ask: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let answer = ask();
    (answer, began.elapsed())
}

/// While Redis does not answer: its callers get an error in time, the others what they always get.
fn refuses_in_time_and_nobody_else_notices(service: &Service) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let callers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut slowest = Duration::ZERO;
                    while !done.load(Relaxed) {
                        let (answer, took) = timed(|| kv(service, "op=get&key=a"));
                        assert_eq!(answer["error"], "other", "{answer}");
                        slowest = slowest.max(took);
                    }
                    slowest
                })
            })
            .collect();
        for n in 0..30 {
            let (answer, took) = timed(|| http::get(&service.url("/ok")));
            assert_eq!(answer.body_text(), "ok");
            assert!(took < BOUND, "another app waited {took:?}");
            let written = kv(service, &format!("op=set&bucket=near&key=n&value={n}"));
            assert_eq!(written, json!({ "ok": null }));
            let (read, took) = timed(|| kv(service, "op=get&bucket=near&key=n"));
            assert_eq!(read, json!({ "ok": n.to_string() }));
            assert!(took < BOUND, "another backend waited {took:?}");
        }
        done.store(true, Relaxed);
        for caller in callers {
            let slowest = caller.join().unwrap();
            assert!(slowest < BOUND, "a caller waited {slowest:?}");
        }
    });
    // After some errors in a row nobody waits for the timeout any more.
    let fastest = (0..10).map(|_| timed(|| kv(service, "op=get&key=a")).1);
    let fastest = fastest.min().unwrap();
    assert!(fastest < Duration::from_millis(250), "{fastest:?}");
}

fn recovers(service: &Service, since: Instant, key: &str) -> Value {
    let found = soon("an answer from Redis", PATIENCE, || {
        let answer = kv(service, &format!("op=get&key={key}"));
        answer.get("ok").cloned()
    });
    let took = since.elapsed();
    assert!(took <= RECOVERY, "it was back for {took:?}");
    found
}

#[test]
fn starts_while_redis_is_down_and_uses_it_when_it_is_there() {
    let mut redis = Redis::down();
    let (service, took) = timed(|| on_redis(&redis));
    assert!(took < PATIENCE, "the start took {took:?}");
    service.wait_for_line(|line| line.contains("not seeded") && line.contains("far"));
    refuses_in_time_and_nobody_else_notices(&service);
    let since = redis.up();
    assert_eq!(recovers(&service, since, "a"), Value::Null);
    kv(&service, "op=set&key=a&value=1");
    assert_eq!(kv(&service, "op=get&key=a"), json!({ "ok": "1" }));
}

#[test]
fn survives_that_redis_is_killed_and_comes_back() {
    let mut redis = Redis::start();
    let service = on_redis(&redis);
    assert_eq!(kv(&service, "op=get&key=seeded"), json!({ "ok": "1" }));
    assert_eq!(
        kv(&service, "op=set&key=a&value=before"),
        json!({ "ok": null })
    );
    for _ in 0..2 {
        redis.kill();
        refuses_in_time_and_nobody_else_notices(&service);
        let since = redis.up();
        assert_eq!(
            recovers(&service, since, "a"),
            "before",
            "what was acknowledged is there"
        );
    }
}

#[test]
fn survives_that_redis_stands_still_and_confuses_no_answers_afterwards() {
    let redis = Redis::start();
    let service = on_redis(&redis);
    for n in 0..20 {
        kv(&service, &format!("op=set&key=k{n}&value={n}"));
    }
    redis.pause();
    refuses_in_time_and_nobody_else_notices(&service);
    let since = redis.resume();
    assert_eq!(recovers(&service, since, "k7"), "7");
    for n in 0..20 {
        let found = kv(&service, &format!("op=get&key=k{n}"));
        assert_eq!(found, json!({ "ok": n.to_string() }));
    }
}

/// Keys and names that would lead somewhere else if anybody glued strings together.
const NASTY: [&str; 24] = [
    "a",
    "a:../b",
    "..",
    "../../two/shared/a",
    "*",
    "?",
    "[a-z]",
    "{",
    "}",
    "{3:two:6:shared}",
    "coracle:{3:two:6:shared}:v:a",
    "coracle:{3:one:6:shared}:i",
    "two:shared:a",
    "one",
    ":",
    "::",
    " ",
    "%2e%2e%2f",
    "\u{e9}",
    "e\u{301}",
    "\\",
    "a b",
    "$<^|",
    "\u{1f980}",
];

/// A tenant, and what its bucket must hold.
struct Tenant {
    name: &'static str,
    connection: Connection,
    model: BTreeMap<String, String>,
}

impl Tenant {
    fn ask(&mut self, query: &str) -> Value {
        let host = format!("{}.test", self.name);
        let target = format!("/kv?{query}");
        let answer = self
            .connection
            .request("GET", &target, &[("host", &host)], b"");
        let answer = answer.unwrap().json();
        assert!(answer.get("ok").is_some(), "{query}: {answer}");
        answer["ok"].clone()
    }

    /// One operation at random, on the bucket and on what it must hold.
    fn operate(&mut self, random: &mut impl FnMut(usize) -> usize) {
        let key = NASTY[random(NASTY.len())];
        let place = format!("key={}", encoded(key));
        match random(6) {
            0 | 1 => {
                let value = format!("{}-{}", self.name, random(1_000));
                self.ask(&format!("op=set&{place}&value={value}"));
                self.model.insert(key.into(), value);
            }
            2 => {
                self.ask(&format!("op=delete&{place}"));
                self.model.remove(key);
            }
            3 => {
                let exists = self.ask(&format!("op=exists&{place}"));
                assert_eq!(
                    exists,
                    self.model.contains_key(key),
                    "{}: {key:?}",
                    self.name
                );
            }
            4 => assert_eq!(
                self.listed(),
                self.model.keys().cloned().collect::<Vec<_>>(),
                "{}",
                self.name
            ),
            _ => {
                let found = self.ask(&format!("op=get&{place}"));
                let expected = self.model.get(key);
                assert_eq!(
                    found.as_str(),
                    expected.map(String::as_str),
                    "{}: {key:?}",
                    self.name
                );
            }
        }
    }

    fn listed(&mut self) -> Vec<String> {
        let (mut keys, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.ask(&format!("op=list&cursor={cursor}"));
            let names = page["keys"].as_array().unwrap();
            keys.extend(names.iter().map(|key| key.as_str().unwrap().to_owned()));
            match &page["cursor"] {
                Value::Null => break,
                next => cursor = next.as_str().map_or(next.to_string(), str::to_owned),
            }
        }
        keys.sort();
        keys
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// 100,000 operations against the backend alone are in `coracle-backends`; these go through the whole product.
#[test]
fn two_apps_with_one_bucket_name_on_one_redis_never_see_each_other_s_keys() {
    let redis = Redis::start();
    let source = guest("kv");
    let tenant = |name: &str| {
        app(
            &format!(
                "[app]\nname = \"{name}\"\n[component.guest]\nsource = {source:?}\n[component.guest.grants]\nkeyvalue = [{{ bucket = \"shared\", as = \"default\", access = \"read-write\" }}]\n[bucket.shared]\n[[route]]\nhost = \"{name}.test\"\npath = \"/*\"\ncomponent = \"guest\"\n"
            ),
            &[],
        )
    };
    let service = Coracle::new()
        .host_file(&format!(
            "[backend.main-redis]\nkind = \"redis\"\nurl = \"{}\"\n[bucket.shared]\nbackend = \"main-redis\"\n",
            redis.url()
        ))
        .serving(tenant("one"))
        .serving(tenant("two"))
        .start();
    let mut tenants = ["one", "two"].map(|name| Tenant {
        name,
        connection: Connection::open(service.base_url()),
        model: BTreeMap::new(),
    });
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for _ in 0..800 {
        let tenant = random(2);
        tenants[tenant].operate(&mut random);
    }
    for tenant in &mut tenants {
        assert!(!tenant.model.is_empty());
        let model: Vec<_> = tenant.model.keys().cloned().collect();
        assert_eq!(tenant.listed(), model, "{}", tenant.name);
    }
}

fn limits(lines: &str) -> String {
    format!("[component.guest.limits]\n{lines}\n")
}

#[test]
fn the_operator_s_default_limits_hold_where_a_manifest_says_nothing() {
    let host_file = "[limits.default]\nmemory = \"8MiB\"\ncpu = \"200ms\"\n";
    let service = Coracle::new()
        .host_file(host_file)
        .serving(one("behave", ""))
        .start();
    let grown = http::get(&service.url("/grow?mib=64")).json();
    assert_eq!(grown["refused"], true, "{grown}");
    assert!(grown["grown_mib"].as_u64().unwrap() < 8, "{grown}");
    let (answer, took) = timed(|| http::get(&service.url("/spin")));
    answer.assert_problem(504, "cpu-limit");
    assert!(took < BOUND, "{took:?}");

    let asks = Coracle::new()
        .host_file(host_file)
        .serving(one("behave", &limits("memory = \"64MiB\"")))
        .start();
    let grown = http::get(&asks.url("/grow?mib=32")).json();
    assert_eq!(grown["refused"], false, "a default is no ceiling: {grown}");
}

#[test]
fn no_manifest_gets_more_than_the_operator_s_ceiling() {
    let ceiling = "[limits.max]\nmemory = \"32MiB\"\ncpu = \"1s\"\n";
    let run = |host_file: &str, lines: &str| {
        Coracle::new()
            .host_file(host_file)
            .serving(one("behave", &limits(lines)))
    };
    let refused = run(ceiling, "memory = \"64MiB\"\ncpu = \"2s\"").run();
    assert_eq!(refused.exit, Exit::Code(1));
    for part in [
        "error[limit]",
        "`guest` asks for more `memory` than the host gives: at most `32MiB`",
        "`guest` asks for more `cpu` than the host gives: at most `1s`",
        "the operator's ceiling",
        "[app.trial.limits.max]",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }

    let raised = format!("{ceiling}[app.trial.limits.max]\nmemory = \"64MiB\"\n");
    let service = run(&raised, "memory = \"64MiB\"").start();
    let grown = http::get(&service.url("/grow?mib=48")).json();
    assert_eq!(grown["refused"], false, "{grown}");
    let (answer, took) = timed(|| http::get(&service.url("/spin")));
    answer.assert_problem(504, "cpu-limit");
    assert!(
        took < BOUND,
        "the ceiling holds where nothing is said: {took:?}"
    );
}

both_generations! {
    outbound_tls_trusts_the_authority_that_the_operator_names,
}

fn outbound_tls_trusts_the_authority_that_the_operator_names(generation: Generation) {
    let (ours, strangers) = (Certified::of("localhost"), Certified::of("localhost"));
    let upstream = Upstream::answering_with_tls("sealed", &ours);
    let port = upstream.port();
    let grants = format!(
        "[component.guest.grants]\nhttp = [{{ host = \"localhost\", port = {port} }}, {{ host = \"127.0.0.1\", port = {port} }}]\n"
    );
    let authorities = tempfile_dir();
    let ca = authorities.write("ca.pem", ours.ca_pem());
    let stranger = authorities.write("stranger.pem", strangers.ca_pem());
    let fetch = |outbound: &str, host: &str| {
        let allow = "[allow]\nnetworks = [\"127.0.0.0/8\", \"::1/128\"]\nhosts = [\"localhost\"]\n";
        let service = Coracle::new()
            .host_file(&format!("{allow}{outbound}"))
            .serving(generation.app(&grants))
            .start();
        let url = format!("/fetch?url=https://{host}:{port}/");
        http::get(&service.url(&url)).json()
    };
    for outbound in [
        format!("[outbound]\nca = {ca:?}\n"),
        format!("[outbound]\nca = {ca:?}\nonly-ca = true\n"),
        format!("[outbound]\nca = {stranger:?}\n[app.trial.outbound]\nca = {ca:?}\n"),
    ] {
        let answer = fetch(&outbound, "localhost");
        assert_eq!(answer["body"], "sealed", "{outbound}: {answer}");
    }
    let asked = upstream.requests().len();
    assert_eq!(asked, 3);
    for (outbound, host, what) in [
        (String::new(), "localhost", "nobody knows the authority"),
        (
            format!("[outbound]\nca = {stranger:?}\n"),
            "localhost",
            "another authority",
        ),
        (
            format!("[outbound]\nca = {ca:?}\n"),
            "127.0.0.1",
            "another name",
        ),
        (
            format!("[app.other.outbound]\nca = {ca:?}\n"),
            "localhost",
            "another app's",
        ),
    ] {
        let answer = fetch(&outbound, host);
        assert_eq!(answer["error"], "TlsCertificateError", "{what}: {answer}");
    }
    assert_eq!(upstream.requests().len(), asked, "nothing was sent");
}
