//! More requests than an app may run: a bounded queue, then a quick 503 that says when to come again, and no lasting harm.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is how a test fails, in its helpers too"
)]

use std::time::{Duration, Instant};

use coracle_testkit::{
    Generation, PATIENCE, Service, both_generations,
    http::{self, Connection},
    soon,
};

both_generations! {
    who_waits_too_long_in_the_queue_is_turned_away,
    who_finds_the_queue_full_is_turned_away_at_once,
    a_client_that_leaves_the_queue_leaves_no_trace,
}

const ONE_AT_A_TIME: &str =
    "limits = { concurrency = 1 }\n[component.guest.grants]\nclock = true\n";
/// The queue in front of an app.
const QUEUE: usize = 256;

/// A request that runs, for its first bytes have come, and runs on for seconds unless it is dropped.
fn occupy(service: &Service) -> Connection {
    let mut connection = Connection::open(service.base_url());
    connection
        .sender
        .head("GET", "/drip?chunks=1000&ms=20", &[])
        .unwrap();
    let mut head = connection.receiver.head("GET").unwrap();
    assert_eq!(head.status, 200);
    let mut byte = [0; 1];
    connection.receiver.read_body(&mut head, &mut byte).unwrap();
    connection
}

fn who_waits_too_long_in_the_queue_is_turned_away(generation: Generation) {
    let service = generation.serve(ONE_AT_A_TIME);
    let running = occupy(&service);
    let started = Instant::now();
    let turned = http::get(&service.url("/ok"));
    let took = started.elapsed();
    turned.assert_problem(503, "queue-timeout");
    assert_eq!(turned.header("retry-after"), Some("1"));
    assert!(took > Duration::from_millis(900), "{took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    drop(running);
    assert_eq!(http::get(&service.url("/ok")).body_text(), "ok");
}

fn who_finds_the_queue_full_is_turned_away_at_once(generation: Generation) {
    let service = generation.serve(ONE_AT_A_TIME);
    let running = occupy(&service);
    let mut waiting: Vec<Connection> = (0..QUEUE + 44)
        .map(|_| Connection::open(service.base_url()))
        .collect();
    for connection in &mut waiting {
        connection.sender.request("GET", "/ok", &[], b"").unwrap();
    }
    let mut full = 0;
    for connection in &mut waiting {
        let turned = connection.receiver.response("GET").unwrap();
        assert_eq!(turned.status, 503);
        assert_eq!(turned.header("retry-after"), Some("1"));
        full += usize::from(turned.reason() == "queue-full");
    }
    assert!((1..=44).contains(&full), "{full} found the queue full");
    // The queue is empty again: it holds as many as before.
    http::get(&service.url("/ok")).assert_problem(503, "queue-timeout");
    drop(running);
    for _ in 0..10 {
        assert_eq!(http::get(&service.url("/ok")).body_text(), "ok");
    }
}

fn a_client_that_leaves_the_queue_leaves_no_trace(generation: Generation) {
    let service = generation.serve(ONE_AT_A_TIME);
    let running = occupy(&service);
    for _ in 0..3 * QUEUE {
        let mut connection = Connection::open(service.base_url());
        connection.sender.request("GET", "/ok", &[], b"").unwrap();
    }
    // Nobody waits any more: there is room in the queue again.
    soon("room in the queue", PATIENCE, || {
        let turned = http::get(&service.url("/ok"));
        (turned.reason() == "queue-timeout").then_some(())
    });
    drop(running);
    assert_eq!(http::get(&service.url("/ok")).body_text(), "ok");
}
