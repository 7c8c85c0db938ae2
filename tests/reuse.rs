//! An instance serves more than one request where the manifest asks for it; what the host keeps for a request ends with it all the same.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is how a test fails, in its helpers too"
)]

use std::{
    thread,
    time::{Duration, Instant},
};

use coracle_testkit::{
    Coracle, Generation, PATIENCE, Service, TempApp, app, both_generations, guest, http,
    http::Connection, soon,
};

both_generations! {
    a_request_has_an_instance_of_its_own_when_nobody_asks,
    an_instance_serves_as_many_requests_as_the_manifest_says_and_no_more,
    an_instance_that_failed_serves_nobody_else,
    an_instance_that_hit_its_memory_limit_serves_nobody_else,
    an_instance_whose_client_left_serves_nobody_else,
    an_instance_that_still_holds_something_of_its_request_serves_nobody_else,
    a_program_that_keeps_its_standard_streams_and_files_goes_on,
    cpu_is_limited_for_each_request,
    a_line_carries_the_request_it_was_said_in,
    an_instance_ends_when_it_waited_too_long,
    components_and_apps_share_no_instance,
    a_swap_leaves_the_instances_of_the_former_behind,
    a_recorded_request_and_one_with_held_writes_have_an_instance_of_their_own,
}

const CLOCK: &str = "[component.guest.grants]\nclock = true\n";

/// Requests that this instance was asked to count.
fn count(service: &Service) -> u64 {
    let answer = http::get(&service.url("/count"));
    answer.json()["calls"].as_u64().unwrap()
}

fn reusing(generation: Generation, more: &str) -> Service {
    generation.serve(&format!("reuse = {{ requests = 10000 }}\n{more}"))
}

/// What `/metrics` says of the guest's instances.
fn metric(service: &Service, name: &str) -> Option<u64> {
    let text = http::get(&format!("{}/metrics", service.admin_url())).body_text();
    let line = format!("{name}{{app=\"trial\",component=\"guest\"}} ");
    let value = text.lines().find_map(|said| said.strip_prefix(&line))?;
    value.parse().ok()
}

fn a_request_has_an_instance_of_its_own_when_nobody_asks(generation: Generation) {
    let service = generation.serve("");
    assert_eq!([(); 3].map(|()| count(&service)), [1, 1, 1]);
}

fn an_instance_serves_as_many_requests_as_the_manifest_says_and_no_more(generation: Generation) {
    let app = generation.app("reuse = { requests = 3 }");
    let run = Coracle::new().serving(app);
    let service = run.args(["--admin", "127.0.0.1:0"]).start();
    assert_eq!([(); 7].map(|()| count(&service)), [1, 2, 3, 1, 2, 3, 1]);
    let created = metric(&service, "coracle_instances_created_total");
    let reused = metric(&service, "coracle_instances_reused_total");
    let idle = metric(&service, "coracle_instances_idle");
    assert_eq!((created, reused, idle), (Some(3), Some(4), Some(1)));
}

fn an_instance_that_failed_serves_nobody_else(generation: Generation) {
    let service = reusing(generation, "");
    let mut failures = vec![
        ("/trap", 500),
        ("/refuse", 500),
        ("/exit?code=0", 500),
        ("/status?code=100", 502),
    ];
    if generation == Generation::P2 {
        failures.push(("/never", 500));
    }
    for (path, status) in failures {
        count(&service);
        assert!(count(&service) > 1, "it is used again before {path}");
        assert_eq!(http::get(&service.url(path)).status, status, "{path}");
        assert_eq!(count(&service), 1, "after {path}");
    }
}

/// It was told no, and went on: what it can do for the next request is not what it could do for the first.
fn an_instance_that_hit_its_memory_limit_serves_nobody_else(generation: Generation) {
    let service = reusing(generation, "limits = { memory = \"32MiB\", cpu = \"10s\" }");
    assert_eq!([count(&service), count(&service)], [1, 2]);
    let grown = http::get(&service.url("/grow")).json();
    assert_eq!(grown["refused"], true);
    assert_eq!(count(&service), 1);
}

fn an_instance_whose_client_left_serves_nobody_else(generation: Generation) {
    let service = reusing(generation, CLOCK);
    assert_eq!([count(&service), count(&service)], [1, 2]);
    let mut connection = Connection::open(service.base_url());
    let sent = connection
        .sender
        .request("GET", "/drip?chunks=9&ms=60000", &[], b"");
    sent.unwrap();
    let head = connection.receiver.head("GET").unwrap();
    assert_eq!(head.status, 200);
    drop(connection);
    service.wait_for_line(|line| line.contains("/drip") && line.ends_with("client-left"));
    assert_eq!(count(&service), 1);
}

/// A handle cannot be taken from a guest, so it is not given to the next request either.
fn an_instance_that_still_holds_something_of_its_request_serves_nobody_else(
    generation: Generation,
) {
    let service = reusing(generation, CLOCK);
    let mut kinds = vec!["fields", "request", "response"];
    kinds.extend(match generation {
        Generation::P2 => &["pollable"][..],
        Generation::P3 => &["stream", "future"],
    });
    for kind in kinds {
        count(&service);
        assert!(count(&service) > 1, "it is used again before {kind}");
        let answer = http::get(&service.url(&format!("/handles?n=1&kind={kind}")));
        assert_eq!(answer.status, 200, "{kind}");
        assert_eq!(count(&service), 1, "after {kind}");
    }
}

fn a_program_that_keeps_its_standard_streams_and_files_goes_on(generation: Generation) {
    let app = generation.app(
        "reuse = { requests = 100 }\n[component.guest.grants]\nfiles = [{ dir = \".\", at = \"/data\" }]\n",
    );
    app.write("note", "kept");
    let service = Coracle::new().serving(app).start();
    for turn in 1..=5 {
        assert_eq!(http::get(&service.url("/print")).status, 200);
        let read = http::get(&service.url("/file?path=/data/note&op=read"));
        assert!(read.body_text().contains("kept"), "{}", read.body_text());
        assert_eq!(count(&service), turn);
    }
}

/// Together they take more than one may, and each is answered; one that takes too much is ended as ever.
fn cpu_is_limited_for_each_request(generation: Generation) {
    let service = reusing(generation, "limits = { cpu = \"300ms\" }");
    let (before, mut turns) = (service.cpu_time(), 0);
    while service.cpu_time().saturating_sub(before) < Duration::from_millis(900) {
        let answer = http::get(&service.url("/burn?spins=400000"));
        assert_eq!(answer.status, 200, "turn {turns}: {}", answer.body_text());
        turns += 1;
        assert_eq!(count(&service), turns);
    }
    http::get(&service.url("/spin")).assert_problem(504, "cpu-limit");
    assert_eq!(count(&service), 1);
}

fn a_line_carries_the_request_it_was_said_in(generation: Generation) {
    let service = Coracle::new()
        .serving(generation.app("reuse = { requests = 100 }"))
        .args(["--log", "json"])
        .start();
    for turn in 1..=3_u64 {
        let id = format!("{turn:032x}");
        let parent = format!("00-{id}-{turn:016x}-01");
        let ask =
            |path: &str| http::request("GET", &service.url(path), &[("traceparent", &parent)], b"");
        assert_eq!(ask(&format!("/print?text=turn-{turn}")).status, 200);
        for stream in ["stdout", "stderr"] {
            let said = format!("turn-{turn} on {stream}");
            let line = service.wait_for_line(|line| line.contains(&said));
            assert!(line.contains(&id), "{line}");
        }
        // What one request did not end is not the beginning of the next one's line.
        assert_eq!(ask("/print?what=unfinished").status, 200);
        let line = service.wait_for_line(|line| line.contains("no newline") && line.contains(&id));
        assert!(line.contains("\"no newline at the end\""), "{line}");
        assert_eq!(count(&service), turn);
    }
}

fn an_instance_ends_when_it_waited_too_long(generation: Generation) {
    let app = generation.app("reuse = { requests = 100, idle = \"50ms\" }");
    let run = Coracle::new().serving(app);
    let service = run.args(["--admin", "127.0.0.1:0"]).start();
    assert_eq!(count(&service), 1);
    soon("the end of the instance", PATIENCE, || {
        (metric(&service, "coracle_instances_idle") == Some(0)).then_some(())
    });
    assert_eq!(count(&service), 1);
    assert_eq!(metric(&service, "coracle_instances_created_total"), Some(2));
}

fn components_and_apps_share_no_instance(generation: Generation) {
    let source = guest(generation.behave());
    let manifest = |name: &str, hosts: [&str; 2]| {
        let [one, two] = hosts;
        app(
            &format!(
                "[app]\nname = {name:?}\n\
                 [component.one]\nsource = {source:?}\nreuse = {{ requests = 100 }}\n\
                 [component.two]\nsource = {source:?}\nreuse = {{ requests = 100 }}\n\
                 [[route]]\npath = \"/*\"\nhost = {one:?}\ncomponent = \"one\"\n\
                 [[route]]\npath = \"/*\"\nhost = {two:?}\ncomponent = \"two\"\n"
            ),
            &[],
        )
    };
    let service = Coracle::new()
        .serving(manifest("a", ["one.a", "two.a"]))
        .serving(manifest("b", ["one.b", "two.b"]))
        .start();
    for turn in 1..=3 {
        for host in ["one.a", "two.a", "one.b", "two.b"] {
            let answer = http::request("GET", &service.url("/count"), &[("host", host)], b"");
            assert_eq!(answer.json()["calls"], turn, "{host}");
        }
    }
}

fn a_swap_leaves_the_instances_of_the_former_behind(generation: Generation) {
    let app: TempApp = generation.app("reuse = { requests = 10000 }");
    let manifest = std::fs::read_to_string(app.file("coracle.toml")).unwrap();
    let service = Coracle::new().app(&app).arg("--watch").start();
    assert_eq!([(); 3].map(|()| count(&service)), [1, 2, 3]);
    app.write(
        "coracle.toml",
        manifest.replace("\nreuse =", "\nenvironment = { SWAPPED = \"1\" }\nreuse ="),
    );
    soon("the swap", PATIENCE, || {
        let environment = http::get(&service.url("/env")).body_text();
        environment.contains("SWAPPED").then_some(())
    });
    assert_eq!([count(&service), count(&service)], [1, 2]);
}

fn a_recorded_request_and_one_with_held_writes_have_an_instance_of_their_own(
    generation: Generation,
) {
    let recordings = app("", &[]);
    let dir = recordings.file("recordings");
    let observed = [
        vec!["--record", dir.to_str().unwrap()],
        vec!["--hold-writes"],
    ];
    for arguments in observed {
        let app = generation.app("reuse = { requests = 100 }");
        let service = Coracle::new().serving(app).args(&arguments).start();
        assert_eq!(
            [(); 3].map(|()| count(&service)),
            [1, 1, 1],
            "{arguments:?}"
        );
    }
}

/// They may take a quarter of the node's thousand slots, and no request is turned away for their sake.
#[test]
fn instances_that_wait_give_way_to_fresh_ones() {
    const WAITING: usize = 250;
    const FRESH: usize = 800;
    let source = guest("behave");
    let component = |name: &str, reuse: &str| {
        format!(
            "[component.{name}]\nsource = {source:?}\ngrants = {{ clock = true }}\nlimits = {{ concurrency = 1000 }}\n{reuse}\n\
             [[route]]\npath = \"/*\"\nhost = \"{name}.test\"\ncomponent = {name:?}\n"
        )
    };
    let reuse = "reuse = { requests = 100, idle = \"5m\" }";
    let app = app(
        &format!(
            "[app]\nname = \"trial\"\n{}{}",
            component("guest", reuse),
            component("fresh", "")
        ),
        &[],
    );
    let run = Coracle::new().serving(app);
    let service = run.args(["--admin", "127.0.0.1:0"]).start();
    let begin = |host: &str, target: &str| {
        let mut connection = Connection::open(service.base_url());
        let sent = connection.sender.head("GET", target, &[("host", host)]);
        sent.unwrap();
        connection
    };
    let idle = || metric(&service, "coracle_instances_idle").unwrap_or_default();
    let mut at_once: Vec<_> = (0..WAITING + 20)
        .map(|_| begin("guest.test", "/sleep?ms=2000"))
        .collect();
    for connection in &mut at_once {
        assert_eq!(connection.receiver.response("GET").unwrap().status, 200);
    }
    drop(at_once);
    assert_eq!(idle(), WAITING as u64, "no more than a quarter");
    let mut fresh: Vec<_> = (0..FRESH)
        .map(|_| begin("fresh.test", "/drip?chunks=2&ms=60000"))
        .collect();
    for connection in &mut fresh {
        assert_eq!(connection.receiver.head("GET").unwrap().status, 200);
    }
    assert_eq!(idle(), 0);
}

/// WASI 0.3, several requests in one instance.
mod at_once {
    use coracle_testkit::http::{Error, h1::Head};

    use super::*;

    fn sharing(more: &str) -> Service {
        let app = Generation::P3.app(&format!(
            "reuse = {{ requests = 10000, concurrent = 8 }}\n{more}"
        ));
        let run = Coracle::new().serving(app);
        run.args(["--admin", "127.0.0.1:0"]).start()
    }

    fn created(service: &Service) -> u64 {
        metric(service, "coracle_instances_created_total").unwrap()
    }

    /// Begins a request that the guest is slow to answer, and returns when the guest has begun.
    fn dripping(service: &Service) -> Dripping {
        let mut connection = Connection::open(service.base_url());
        let sent = connection
            .sender
            .request("GET", "/drip?chunks=9&ms=60000", &[], b"");
        sent.unwrap();
        let head = connection.receiver.head("GET").unwrap();
        assert_eq!(head.status, 200);
        Dripping { connection, head }
    }

    struct Dripping {
        connection: Connection,
        head: Head,
    }

    impl Dripping {
        /// Whether it ended, and not as an answer ends.
        fn breaks_off(mut self) -> bool {
            let mut buffer = [0; 1_000];
            loop {
                let read = self
                    .connection
                    .receiver
                    .read_body(&mut self.head, &mut buffer);
                match read {
                    Ok(0) => return false,
                    Ok(_) => {}
                    Err(error) => return !matches!(error, Error::TimedOut),
                }
            }
        }
    }

    #[test]
    fn one_instance_serves_requests_that_wait_at_once() {
        let service = sharing(CLOCK);
        let _waiting: Vec<_> = (0..6).map(|_| dripping(&service)).collect();
        count(&service);
        // One that is at work at the very moment of a request is passed over as long as there are fewer than cores.
        assert!(created(&service) < 7, "{} instances", created(&service));
    }

    #[test]
    fn an_instance_takes_no_more_at_once_than_the_manifest_says() {
        let service = sharing(CLOCK);
        let _waiting: Vec<_> = (0..17).map(|_| dripping(&service)).collect();
        let created = created(&service);
        assert!((3..17).contains(&created), "{created} instances, 8 each");
    }

    #[test]
    fn answers_are_whole_and_their_own() {
        let service = sharing("limits = { cpu = \"10s\" }");
        thread::scope(|scope| {
            for client in 0..6_usize {
                let service = &service;
                scope.spawn(move || {
                    let mut connection = Connection::open(service.base_url());
                    for turn in 0..40 {
                        let bytes = 1 + client * 70_000 + turn * 17;
                        let target = format!("/stream?bytes={bytes}");
                        let answer = connection.request("GET", &target, &[], b"").unwrap();
                        assert_eq!((answer.status, answer.body.len()), (200, bytes));
                        let body = vec![b'a'; bytes];
                        let answer = connection.request("POST", "/sink", &[], &body).unwrap();
                        assert_eq!(answer.json()["bytes"], bytes);
                    }
                });
            }
        });
        assert!(metric(&service, "coracle_instances_reused_total").unwrap() > 400);
    }

    #[test]
    fn a_short_answer_leaves_with_its_length() {
        let service = sharing("");
        for _ in 0..20 {
            let answer = http::get(&service.url("/ok"));
            assert_eq!(answer.header("content-length"), Some("2"));
        }
    }

    /// What cannot be told apart fails together, and nothing that broke off looks whole; the next request has another instance.
    #[test]
    fn a_trap_ends_every_request_of_its_instance() {
        let service = sharing(CLOCK);
        let waiting: Vec<_> = (0..3).map(|_| dripping(&service)).collect();
        http::get(&service.url("/trap")).assert_problem(500, "trap");
        assert!(waiting.into_iter().all(Dripping::breaks_off));
        assert_eq!(count(&service), 1);
        assert_eq!(created(&service), 2);
    }

    /// Its guest has no word of it and goes on; what it does then reaches nobody, and its place is its own until then.
    #[test]
    fn the_work_of_a_client_that_left_runs_on_to_its_limit() {
        let service = sharing(&format!(
            "limits = {{ timeout = \"1s\", concurrency = 1 }}\n{CLOCK}"
        ));
        assert_eq!(count(&service), 1);
        let left = Instant::now();
        let mut connection = Connection::open(service.base_url());
        let sent = connection.sender.request("GET", "/hang", &[], b"");
        sent.unwrap();
        // Nothing tells from outside that the guest has begun but that its place is taken.
        soon("a full house", PATIENCE, || {
            let live = http::get(&format!("{}/metrics", service.admin_url())).body_text();
            live.contains("coracle_instances_live{pool=\"instances\"} 1")
                .then_some(())
        });
        drop(connection);
        let turned = http::get(&service.url("/count"));
        let took = left.elapsed();
        match turned.status {
            200 => assert!(took >= Duration::from_millis(900), "{took:?}"),
            _ => turned.assert_problem(503, "queue-timeout"),
        }
        soon("its end", PATIENCE, || {
            let answer = http::get(&service.url("/count"));
            (answer.status == 200).then_some(())
        });
        assert_eq!(
            created(&service),
            2,
            "an instance whose call never ended is not used again"
        );
    }

    #[test]
    fn a_guest_that_spins_is_ended_within_the_time_of_those_it_shares_with() {
        let service = sharing("limits = { cpu = \"200ms\" }");
        let began = Instant::now();
        http::get(&service.url("/spin")).assert_problem(504, "cpu-limit");
        assert!(began.elapsed() < Duration::from_secs(2));
        assert_eq!(count(&service), 1);
        assert_eq!(created(&service), 2);
    }

    #[test]
    fn a_guest_that_hangs_is_answered_for_at_its_timeout() {
        let service = sharing(&format!("limits = {{ timeout = \"300ms\" }}\n{CLOCK}"));
        for path in ["/hang", "/never"] {
            http::get(&service.url(path)).assert_problem(504, "timeout");
        }
        assert!(dripping(&service).breaks_off());
        assert_eq!(count(&service), 1);
    }

    #[test]
    fn a_line_names_no_request_that_may_not_have_said_it() {
        let app = Generation::P3.app("reuse = { requests = 100, concurrent = 8 }");
        let service = Coracle::new().serving(app).args(["--log", "json"]).start();
        assert_eq!(http::get(&service.url("/print?text=shared")).status, 200);
        let line = service.wait_for_line(|line| line.contains("shared on stdout"));
        assert!(line.contains("\"component\":\"guest\""), "{line}");
        assert!(!line.contains("request_id"), "{line}");
    }

    #[test]
    fn wasi_0_2_is_told_that_it_serves_one_after_the_other() {
        let app = Generation::P2.app("reuse = { requests = 100, concurrent = 2 }");
        let Err(ended) = Coracle::new().serving(app).try_start() else {
            panic!("it serves");
        };
        assert!(ended.stderr.contains("error[reuse]"), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("one after the other"),
            "{}",
            ended.stderr
        );
    }
}
