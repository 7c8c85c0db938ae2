//! Load on real servers that do what a test says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is how a test fails, in its helpers too"
)]

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use coracle_load::{
    Failure, Load, Measured, Pace, Plan, ProbeError, Protocol, Report, Side, Stop, Tally, Target,
    Watched, drive, measure,
};
use coracle_testkit::{Does, PATIENCE, Protocol as Served, Scripted};

const STALL: Duration = Duration::from_millis(500);

/// Two connections, no warm-up.
fn load(pace: Pace, duration_ms: u64) -> Load {
    Load {
        connections: 2,
        streams: 1,
        pace,
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(duration_ms),
        timeout: PATIENCE,
    }
}

fn target(server: &Scripted) -> Target {
    Target::new(&server.base_url()).unwrap()
}

fn run(server: &Scripted, load: &Load) -> Tally {
    drive(&target(server), load, &Stop::new(), || {}).unwrap()
}

fn failures(counts: &[(Failure, u64)]) -> BTreeMap<Failure, u64> {
    counts.iter().copied().collect()
}

#[test]
fn sends_as_many_as_are_due_and_no_more() {
    let server = Scripted::start(Served::Http1, |_| Does::Answer(200));
    let tally = run(&server, &load(Pace::PerSecond(200.0), 1000));
    assert_eq!(tally.succeeded() + tally.failed(), 200);
}

/// Two connections notice the stall with two requests, of some three hundred: a loop that waited for answers before it sent the
/// next ones would see it in p99.9 at most. All that were due meanwhile waited, a quarter of all, up to the whole of it.
#[test]
fn a_server_that_stops_is_charged_with_every_request_that_was_due_meanwhile() {
    let server = Scripted::start(Served::Http1, |number| match number {
        100 => Does::Stall(STALL),
        _ => Does::Answer(200),
    });
    let tally = run(&server, &load(Pace::PerSecond(200.0), 2000));
    assert_eq!(tally.succeeded() + tally.failed(), 400);
    let (p90, p99) = (tally.latency_ms(0.9), tally.latency_ms(0.99));
    assert!(p90 > 200.0 && p99 > 400.0, "p90 {p90} ms, p99 {p99} ms");
}

#[test]
fn what_was_due_and_could_not_be_sent_is_counted() {
    let server = Scripted::start(Served::Http1, |_| Does::Hang);
    let hanging = Load {
        timeout: Duration::from_secs(1),
        ..load(Pace::PerSecond(100.0), 500)
    };
    let tally = run(&server, &hanging);
    let kinds: Vec<&Failure> = tally.failures().keys().collect();
    assert_eq!(kinds, [&Failure::TimedOut, &Failure::NotSent]);
    assert_eq!((tally.succeeded(), tally.failed()), (0, 50));
}

#[test]
fn every_kind_of_error_is_counted_apart_and_in_no_latency() {
    let server = Scripted::start(Served::Http1, |number| match number % 4 {
        0 => Does::Answer(200),
        1 => Does::Answer(503),
        2 => Does::Answer(404),
        _ => Does::Close,
    });
    let one_connection = Load {
        connections: 1,
        ..load(Pace::PerSecond(200.0), 1000)
    };
    let tally = run(&server, &one_connection);
    assert_eq!(tally.succeeded(), 50);
    let expected = [
        (Failure::Status(404), 50),
        (Failure::Status(503), 50),
        (Failure::Closed, 50),
    ];
    assert_eq!(tally.failures(), &failures(&expected));
}

#[test]
fn a_status_that_is_expected_is_no_error() {
    let server = Scripted::start(Served::Http1, |_| Does::Answer(404));
    let target = target(&server).expecting("404".parse().unwrap());
    let tally = drive(
        &target,
        &load(Pace::PerSecond(100.0), 200),
        &Stop::new(),
        || {},
    );
    assert_eq!(tally.unwrap().succeeded(), 20);
}

#[test]
fn a_server_that_is_gone_is_an_error_and_never_an_endless_loop() {
    let gone = Scripted::start(Served::Http1, |_| Does::Answer(200)).base_url();
    let target = Target::new(&gone).unwrap();
    let load = load(Pace::Max, 300);
    let tally = drive(&target, &load, &Stop::new(), || {}).unwrap();
    assert_eq!(tally.succeeded(), 0);
    // One each 10 ms and connection.
    let tried = tally.failures()[&Failure::Connect];
    assert!((1..=62).contains(&tried), "{tried} times");
}

#[test]
fn as_fast_as_answers_come_every_answer_is_counted_once() {
    let server = Scripted::start(Served::Http1, |_| Does::Answer(200));
    let tally = run(&server, &load(Pace::Max, 300));
    assert!(tally.succeeded() > 0);
    assert_eq!(tally.failures(), &BTreeMap::new());
    assert_eq!(tally.succeeded(), server.requests());
}

#[test]
fn the_warm_up_is_not_counted() {
    let server = Scripted::start(Served::Http1, |_| Does::Answer(200));
    let warm = Load {
        warm_up: Duration::from_millis(500),
        ..load(Pace::PerSecond(100.0), 500)
    };
    let mut begun = 0;
    let tally = drive(&target(&server), &warm, &Stop::new(), || {
        begun += 1;
    });
    assert_eq!(tally.unwrap().succeeded(), 50);
    assert_eq!((begun, server.requests()), (1, 100));
}

#[test]
fn many_requests_are_at_once_on_one_connection_of_http2() {
    // Nobody is answered until four are there, and one connection carries them all.
    let server = Scripted::start(Served::Http2, |number| match number {
        0..3 => Does::Hang,
        _ => Does::Answer(200),
    });
    let streams = Load {
        connections: 1,
        streams: 4,
        timeout: Duration::from_secs(3),
        ..load(Pace::PerSecond(100.0), 500)
    };
    let target = target(&server).protocol(Protocol::Http2);
    let tally = drive(&target, &streams, &Stop::new(), || {}).unwrap();
    assert_eq!(tally.failures(), &failures(&[(Failure::TimedOut, 3)]));
    assert_eq!(tally.succeeded(), 47);
}

#[test]
fn sends_method_headers_and_body() {
    let server = Scripted::start(Served::Http1, |_| Does::Answer(200));
    let target = target(&server)
        .method("PUT")
        .unwrap()
        .header("x-a: b")
        .unwrap()
        .body("twelve bytes".into());
    let load = load(Pace::PerSecond(100.0), 100);
    let tally = drive(&target, &load, &Stop::new(), || {}).unwrap();
    assert_eq!((tally.succeeded(), tally.bytes()), (10, 120));
    let last = server.last_request();
    assert!(last.starts_with("PUT / "), "{last}");
    assert!(last.contains("x-a: b"), "{last}");
}

#[test]
fn stopped_it_keeps_what_it_has() {
    let server = Scripted::start(Served::Http1, |_| Does::Answer(200));
    let (stop, long) = (Stop::new(), load(Pace::PerSecond(100.0), 3_600_000));
    let began = Instant::now();
    let tally = std::thread::scope(|scope| {
        let driving = scope.spawn(|| drive(&target(&server), &long, &stop, || {}).unwrap());
        coracle_testkit::soon("ten requests", PATIENCE, || {
            (server.requests() > 10).then_some(())
        });
        stop.stop();
        driving.join().unwrap()
    });
    assert!(tally.succeeded() >= 8, "{}", tally.succeeded());
    assert!(tally.elapsed() <= began.elapsed());
}

#[test]
fn says_why_there_is_no_first_answer() {
    let probe = |server: &Scripted| {
        let mut target = target(server);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(target.probe(Duration::from_millis(300)))
    };
    let refusing = Scripted::start(Served::Http1, |_| Does::Answer(401));
    assert!(matches!(
        probe(&refusing),
        Err(ProbeError::Status { status: 401, .. })
    ));
    let hanging = Scripted::start(Served::Http1, |_| Does::Hang);
    assert!(matches!(probe(&hanging), Err(ProbeError::Silent { .. })));
    let closing = Scripted::start(Served::Http1, |_| Does::Close);
    assert!(matches!(probe(&closing), Err(ProbeError::Broken { .. })));
}

fn two_sides() -> (Plan, Vec<Measured>) {
    let quick = Scripted::start(Served::Http1, |_| Does::Answer(200));
    let failing = Scripted::start(Served::Http1, |number| match number % 10 {
        3 => Does::Answer(500),
        _ => Does::Answer(200),
    });
    let side = |server: &Scripted| Side {
        target: target(server),
        watched: Watched::Nobody,
    };
    let plan = Plan {
        load: load(Pace::PerSecond(200.0), 200),
        rounds: 2,
        ready_within: PATIENCE,
    };
    let sides = vec![side(&quick), side(&failing)];
    let mut said = Vec::new();
    let measured = measure(sides, &plan, Path::new("none"), &Stop::new(), |what| {
        said.push(what);
    });
    let urls: Vec<&str> = said
        .iter()
        .filter_map(|what| what.split("http://").nth(1))
        .collect();
    assert!(
        urls[0] == urls[3] && urls[1] == urls[2] && urls[0] != urls[1],
        "in turns: {said:?}"
    );
    (plan, measured.unwrap())
}

#[test]
fn the_sums_of_the_json_agree() {
    let (plan, measured) = two_sides();
    let json = Report::new(plan, measured, false).json();
    for name in ["this", "against"] {
        let side = &json["sides"][name];
        let number = |key: &str| side[key].as_u64().unwrap();
        assert_eq!(number("requests"), 80);
        assert_eq!(number("succeeded") + number("failed"), number("requests"));
        let errors = side["errors"].as_object().unwrap();
        let by_kind: u64 = errors.values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(by_kind, number("failed"));
        let rounds = side["rounds"].as_array().unwrap();
        let in_rounds: u64 = rounds
            .iter()
            .map(|round| round["requests"].as_u64().unwrap())
            .sum();
        assert_eq!((rounds.len(), in_rounds), (2, number("requests")));
        assert!(side["figures"]["cpu_us_per_request"].is_null());
        assert!(side["figures"]["latency_p99_9_ms"]["median"].is_number());
    }
    assert!(
        json["sides"]["against"]["errors"]["status 500"]
            .as_u64()
            .unwrap()
            > 0
    );
    assert!(json["ratios"]["latency_p50_ms"]["median"].is_number());
    assert!(json["ratios"].get("cpu_us_per_request").is_none());
}

#[test]
fn the_page_holds_both_sides_and_loads_nothing() {
    let (plan, measured) = two_sides();
    let report = Report::new(plan, measured, false);
    let page = report.page();
    let urls = ["this", "against"].map(|side| {
        let json = report.json();
        json["sides"][side]["url"].as_str().unwrap().to_owned()
    });
    for url in &urls {
        assert!(page.contains(&format!("GET {url}")), "{page}");
    }
    for line in ["class=\"l0\" points=\"", "class=\"l1\" points=\""] {
        let drawn = page.split(line).skip(1);
        // Latency, and the answers of two rounds.
        assert_eq!(drawn.clone().count(), 3, "{page}");
        assert!(drawn.into_iter().all(|points| !points.starts_with('"')));
    }
    for loaded in ["<script", "<link", "src=", "url(", "@import"] {
        assert!(!page.contains(loaded), "{loaded}");
    }
    let opened = page.matches("<svg").count();
    assert_eq!((opened, page.matches("</svg>").count()), (2, 2));
}

#[test]
fn the_table_shows_both_sides_their_ratio_and_what_was_not_measured() {
    let (plan, measured) = two_sides();
    let table = Report::new(plan, measured, true).table();
    let row = |label: &str| {
        let row = table.lines().find(|line| line.starts_with(label));
        row.unwrap_or_else(|| panic!("no {label} in\n{table}"))
    };
    assert_eq!(row("CPU / request").matches("not measured").count(), 2);
    assert!(row("latency p50").ends_with(')') && row("latency p50").contains("×"));
    assert!(row("  status 500").split_whitespace().nth(2) == Some("0"));
    assert!(table.contains("Stopped before all rounds were over"));
}
