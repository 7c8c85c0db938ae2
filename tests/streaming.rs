//! Bodies of any length in constant memory, at the pace of the slower side; and what becomes of a guest when its client leaves.
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
    Case, Coracle, Generation, Protocol, Service, both_generations,
    both_generations_over_both_protocols,
    http::{self, Connection, h2},
    one, soon,
};

both_generations_over_both_protocols! {
    passes_a_body_through_in_both_directions_in_constant_memory,
    slow_passes_a_gibibyte_through_in_constant_memory,
    sends_the_trailers_of_a_guest,
    gives_the_trailers_of_a_request_to_the_guest,
    work_after_the_response_is_done,
    ends_a_guest_whose_client_left,
}

both_generations! {
    a_client_that_does_not_read_stops_the_guest_from_reading,
    gives_back_what_clients_that_leave_half_way_used,
    slow_gives_back_what_ten_thousand_clients_that_leave_half_way_used,
    serves_many_streams_of_one_connection_at_once,
    work_after_the_response_ends_at_its_limit,
}

const MIB: u64 = 1 << 20;
const PIECE: usize = 64 << 10;
const CLOCK: &str = "[component.guest.grants]\nclock = true\n";

fn echo(generation: Generation) -> Service {
    Service::coracle(
        "echo",
        match generation {
            Generation::P2 => None,
            Generation::P3 => Some("p3"),
        },
    )
}

/// The byte at this place of an endless body.
fn byte(at: u64) -> u8 {
    (at % 251) as u8
}

fn piece(from: u64) -> Vec<u8> {
    (from..from + PIECE as u64).map(byte).collect()
}

/// Follows a body as it comes.
#[derive(Default)]
struct Checked {
    bytes: u64,
}

impl Checked {
    fn add(&mut self, received: &[u8]) {
        for found in received {
            assert!(*found == byte(self.bytes), "byte {} is wrong", self.bytes);
            self.bytes += 1;
        }
    }
}

fn passes_a_body_through_in_both_directions_in_constant_memory(case: Case) {
    passes_through(case, 64 * MIB);
}

fn slow_passes_a_gibibyte_through_in_constant_memory(case: Case) {
    passes_through(case, 1024 * MIB);
}

fn passes_through(case: Case, bytes: u64) {
    let service = echo(case.generation);
    // What the first request costs once is no part of it.
    http::request("POST", &service.url("/"), &[], &piece(0));
    let before = service.rss_bytes();
    let received = match case.protocol {
        Protocol::Http1 => over_http1(&service, bytes),
        Protocol::Http2 => over_http2(&service, bytes),
    };
    assert_eq!(received, bytes);
    let grown = service.peak_rss_bytes().saturating_sub(before) / MIB;
    assert!(
        grown < 32,
        "{grown} MiB more for a body of {} MiB",
        bytes / MIB
    );
}

fn over_http1(service: &Service, bytes: u64) -> u64 {
    let connection = &mut Connection::open(service.base_url());
    let (sender, receiver) = (&mut connection.sender, &mut connection.receiver);
    thread::scope(|scope| {
        scope.spawn(move || {
            sender
                .head("POST", "/", &[("transfer-encoding", "chunked")])
                .unwrap();
            for from in (0..bytes).step_by(PIECE) {
                sender.chunk(&piece(from)).unwrap();
            }
            sender.last_chunk(&[]).unwrap();
        });
        let mut head = receiver.head("POST").unwrap();
        let (mut checked, mut buffer) = (Checked::default(), vec![0; PIECE]);
        loop {
            match receiver.read_body(&mut head, &mut buffer).unwrap() {
                0 => return checked.bytes,
                read => checked.add(&buffer[..read]),
            }
        }
    })
}

fn over_http2(service: &Service, bytes: u64) -> u64 {
    let connection = h2::Connection::open(service.base_url());
    let (mut upload, stream) = connection.begin("POST", "/", &[]).split();
    thread::scope(|scope| {
        scope.spawn(move || {
            for from in (0..bytes).step_by(PIECE) {
                assert!(upload.send(&piece(from)), "the stream ended at {from}");
            }
        });
        let mut answer = stream.answer().unwrap();
        let mut checked = Checked::default();
        while let Some(piece) = answer.piece().unwrap() {
            checked.add(&piece);
        }
        checked.bytes
    })
}

/// The kernel holds up to 36 MiB in each direction, the node and its guest next to nothing. If they held more than that, all of it
/// would be taken.
fn a_client_that_does_not_read_stops_the_guest_from_reading(generation: Generation) {
    let service = echo(generation);
    let mut connection = Connection::open(service.base_url());
    let sender = &mut connection.sender;
    sender
        .head("POST", "/", &[("content-length", "536870912")])
        .unwrap();
    let body = vec![b'x'; 4 << 20];
    let mut taken = 0;
    while taken < 512 * MIB {
        let fit = sender
            .as_much_as_fits(&body, Duration::from_secs(2))
            .unwrap();
        taken += fit as u64;
        if fit < body.len() {
            break;
        }
    }
    assert!(
        taken < 128 * MIB,
        "{} MiB were taken from a client that reads nothing",
        taken / MIB
    );
    let rss = service.rss_bytes() / MIB;
    assert!(rss < 256, "{rss} MiB");

    // As soon as the client reads, it goes on: everything taken so far comes back.
    let receiver = &mut connection.receiver;
    let mut head = receiver.head("POST").unwrap();
    let mut buffer = vec![0; PIECE];
    let mut back = 0;
    while back < taken {
        back += receiver.read_body(&mut head, &mut buffer).unwrap() as u64;
    }
    assert_eq!(back, taken);
}

fn sends_the_trailers_of_a_guest(case: Case) {
    let service = case.generation.serve("");
    let te = [("te", "trailers")];
    let answer = case
        .protocol
        .try_request("GET", &service.url("/trailers"), &te, b"")
        .unwrap();
    assert_eq!(answer.body_text(), "body");
    assert_eq!(answer.trailer("x-sum"), Some("42"));
    assert_eq!(answer.trailer("x-count"), Some("1"));
}

fn gives_the_trailers_of_a_request_to_the_guest(case: Case) {
    let service = case.generation.serve("");
    let (headers, trailers) = ([("trailer", "x-sum")], [("x-sum", "42")]);
    let answer = match case.protocol {
        Protocol::Http1 => {
            let mut connection = Connection::open(service.base_url());
            let headers = [headers[0], ("transfer-encoding", "chunked")];
            connection.sender.head("POST", "/sink", &headers).unwrap();
            connection.sender.chunk(b"some bytes").unwrap();
            connection.sender.last_chunk(&trailers).unwrap();
            connection.receiver.response("POST").unwrap()
        }
        Protocol::Http2 => {
            let connection = h2::Connection::open(service.base_url());
            let mut stream = connection.begin("POST", "/sink", &headers);
            stream.send(b"some bytes");
            stream.trailers(&trailers);
            stream.answer().unwrap().whole().unwrap()
        }
    };
    assert_eq!(
        answer.json(),
        serde_json::json!({ "bytes": 10, "end": "closed", "trailers": [["x-sum", "42"]] })
    );
}

fn work_after_the_response_is_done(case: Case) {
    let service = case.generation.serve(CLOCK);
    let started = Instant::now();
    let answer = case.protocol.get(&service.url("/after?ms=400&tag=here"));
    assert_eq!(answer.body_text(), "answered");
    assert!(
        started.elapsed() < Duration::from_millis(400),
        "the answer waited for the work"
    );
    service.wait_for_line(|line| line.ends_with("after: done here"));
}

fn work_after_the_response_ends_at_its_limit(generation: Generation) {
    let service = generation.serve("limits = { cpu = \"100ms\" }");
    assert_eq!(
        http::get(&service.url("/after?spins=1000000000000&tag=never")).body_text(),
        "answered"
    );
    service.wait_for_line(|line| line.contains("cpu-limit"));
    assert_eq!(http::get(&service.url("/ok")).status, 200);
    assert!(!service.stderr().contains("after: done"));
}

/// Its log line comes long before its timeout, and says why.
fn ends_a_guest_whose_client_left(case: Case) {
    let service = case.generation.serve(CLOCK);
    let path = "/drip?chunks=100000&ms=10";
    match case.protocol {
        Protocol::Http1 => {
            let mut connection = Connection::open(service.base_url());
            connection.sender.head("GET", path, &[]).unwrap();
            let mut head = connection.receiver.head("GET").unwrap();
            let mut buffer = [0; 100];
            connection
                .receiver
                .read_body(&mut head, &mut buffer)
                .unwrap();
        }
        Protocol::Http2 => {
            let connection = h2::Connection::open(service.base_url());
            let mut stream = connection.begin("GET", path, &[]);
            stream.end();
            stream.answer().unwrap().piece().unwrap();
        }
    }
    let started = Instant::now();
    service.wait_for_line(|line| line.contains("/drip") && line.ends_with("client-left"));
    assert!(started.elapsed() < Duration::from_secs(5));
}

fn gives_back_what_clients_that_leave_half_way_used(generation: Generation) {
    leave_half_way(generation, 300);
}

fn slow_gives_back_what_ten_thousand_clients_that_leave_half_way_used(generation: Generation) {
    leave_half_way(generation, 10_000);
}

/// Some leave while the answer comes, some while they send, some before they read anything.
fn leave_half_way(generation: Generation, clients: u32) {
    let app = one(generation.behave(), CLOCK);
    let service = Coracle::new().serving(app).start();
    let visit = |clients: u32| {
        for client in 0..clients {
            let mut connection = Connection::open(service.base_url());
            let (sender, receiver) = (&mut connection.sender, &mut connection.receiver);
            match client % 3 {
                0 => {
                    sender.head("GET", "/stream?bytes=100000000", &[]).unwrap();
                    let mut head = receiver.head("GET").unwrap();
                    let mut buffer = vec![0; PIECE];
                    receiver.read_body(&mut head, &mut buffer).unwrap();
                }
                1 => {
                    sender
                        .head("POST", "/sink", &[("content-length", "1000000")])
                        .unwrap();
                    sender.raw(&[b'x'; 1000]).unwrap();
                }
                _ => sender.head("GET", "/drip?chunks=100000&ms=5", &[]).unwrap(),
            }
        }
    };
    let fds = service.open_fds();
    // What the first ones cost in memory is kept for the next ones.
    visit(30);
    assert_eq!(http::get(&service.url("/ok")).status, 200);
    let before = service.rss_bytes();

    visit(clients);
    soon("the log lines of most", Duration::from_secs(10), || {
        let lines = service.stderr_lines();
        let left = lines.iter().filter(|line| line.ends_with("client-left"));
        (left.count() >= clients as usize / 2).then_some(())
    });
    soon(
        "the same descriptors as before",
        Duration::from_secs(10),
        || (service.open_fds() == fds).then_some(()),
    );
    soon("the same memory as before", Duration::from_secs(10), || {
        (service.rss_bytes() < before + 32 * MIB).then_some(())
    });
    assert_eq!(http::get(&service.url("/ok")).status, 200);
}

fn serves_many_streams_of_one_connection_at_once(generation: Generation) {
    let service = generation.serve(CLOCK);
    let connection = h2::Connection::open(service.base_url());
    let started = Instant::now();
    let mut streams: Vec<_> = (0..50)
        .map(|_| connection.begin("GET", "/sleep?ms=500", &[]))
        .collect();
    for stream in &mut streams {
        stream.end();
    }
    for stream in streams {
        let answer = stream.answer().unwrap().whole().unwrap();
        assert_eq!(answer.body_text(), "slept");
    }
    let took = started.elapsed();
    assert!(
        took < Duration::from_secs(10),
        "{took:?}, one after the other would be 25 s"
    );
}
