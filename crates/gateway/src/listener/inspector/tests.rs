//! The corpus of heads, whole and in every split, and agreement with itself on pipelines.

use super::*;

const OK: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn inspector() -> Inspector {
    Inspector::new(&Config::default())
}

/// Feeds `bytes` in pieces of `step`, as a stream would: what was not cleared comes again with the next piece.
fn feed(bytes: &[u8], step: usize) -> (usize, Option<End>) {
    let mut inspector = inspector();
    let (mut cleared, mut read) = (0, 0);
    while read < bytes.len() {
        read = bytes.len().min(read + step);
        let inspected = inspector.inspect(&bytes[cleared..read]);
        cleared += inspected.cleared;
        if inspected.end.is_some() {
            return (cleared, inspected.end);
        }
    }
    (cleared, None)
}

fn everywhere(text: &str) -> (usize, Option<End>) {
    let whole = feed(text.as_bytes(), usize::MAX / 2);
    for step in 1..=text.len().min(40) {
        assert_eq!(
            feed(text.as_bytes(), step),
            whole,
            "{text:?} in pieces of {step}"
        );
    }
    whole
}

#[test]
fn clears_whole_messages_only() {
    let partial = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Len";
    assert_eq!(everywhere(OK), (OK.len(), None));
    assert_eq!(everywhere(&format!("{OK}{partial}")), (OK.len(), None));
    assert_eq!(everywhere(&format!("\r\n\r\n{OK}")), (OK.len() + 4, None));
}

#[test]
fn finds_the_next_head_after_every_kind_of_body() {
    for message in [
        OK,
        "GET / HTTP/1.0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /",
        "POST / HTTP/1.1\r\nHost: a\r\ncontent-length:\t0 \r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\n\r\n\r\r\n0\r\nx: y\r\n\r\n",
    ] {
        let text = format!("{message}{message}BAD\n");
        assert_eq!(
            everywhere(&text),
            (message.len() * 2, Some(End::Head(2, Refusal::BareLineFeed))),
            "{message:?}"
        );
    }
}

#[test]
fn refuses_what_two_readers_could_read_differently() {
    use Refusal::*;
    for (text, refusal) in [
        ("GET / HTTP/1.1\nHost: a\n\n", BareLineFeed),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", BareLineFeed),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BareLineFeed),
        ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", FieldLine),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", FieldLine),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", FieldLine),
        ("GET / HTTP/1.1\r\nHost\r\n\r\n", FieldLine),
        ("GET / HTTP/1.1\r\n: a\r\n\r\n", FieldLine),
        ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", Folded),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", Folded),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Hosts),
        ("GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", RequestLine),
        ("GET / \r\nHost: a\r\n\r\n", RequestLine),
        ("GET /\r\n\r\n", RequestLine),
        ("G(T / HTTP/1.1\r\n\r\n", RequestLine),
        ("GET /\u{fc} HTTP/1.1\r\n\r\n", RequestLine),
        ("GET / HTTP/2.0\r\n\r\n", Version),
        ("GET / http/1.1\r\n\r\n", RequestLine),
        (
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            LengthAndCoding,
        ),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
            LengthAndCoding,
        ),
        (
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            Length,
        ),
        ("POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n", Length),
        ("POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", Length),
        ("POST / HTTP/1.1\r\nContent-Length: 0x1\r\n\r\n", Length),
        ("POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", Length),
        (
            "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            Length,
        ),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            Coding,
        ),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            Coding,
        ),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
            Coding,
        ),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n",
            Coding,
        ),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: \"chunked\"\r\n\r\n",
            Coding,
        ),
        ("POST / HTTP/1.1\r\nTransfer-Encoding:\r\n\r\n", Coding),
        (
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            Coding,
        ),
    ] {
        assert_eq!(
            everywhere(text),
            (0, Some(End::Head(0, refusal))),
            "{text:?}"
        );
        let second = format!("{OK}{text}");
        assert_eq!(
            everywhere(&second),
            (OK.len(), Some(End::Head(1, refusal))),
            "{second:?}"
        );
    }
}

#[test]
fn refuses_heads_that_grow_too_large_before_they_end() {
    let config = Config::default();
    let target = format!(
        "GET /{} HTTP/1.1\r\n\r\n",
        "a".repeat(config.max_target_bytes)
    );
    assert_eq!(
        feed(target.as_bytes(), 1_000).1,
        Some(End::Head(0, Refusal::TargetTooLong))
    );
    let endless = format!("GET /{}", "a".repeat(config.max_target_bytes + 100));
    assert_eq!(
        feed(endless.as_bytes(), 1_000).1,
        Some(End::Head(0, Refusal::TargetTooLong))
    );
    let fields = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101));
    assert_eq!(
        feed(fields.as_bytes(), 1_000).1,
        Some(End::Head(0, Refusal::HeadTooLarge))
    );
    for end in ["", "\r\n\r\n"] {
        let bytes = format!(
            "GET / HTTP/1.1\r\na: {}{end}",
            "b".repeat(config.max_head_bytes)
        );
        assert_eq!(
            feed(bytes.as_bytes(), 1_000).1,
            Some(End::Head(0, Refusal::HeadTooLarge))
        );
    }
}

#[test]
fn a_broken_chunk_ends_the_body_not_a_head() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (cleared, end) = feed(format!("{head}5\r\nhelloX").as_bytes(), usize::MAX / 2);
    assert!(cleared >= head.len());
    assert_eq!(end, Some(End::Body));
}

#[test]
fn finds_a_line_feed_wherever_it_is() {
    for length in 0..40 {
        for at in 0..length {
            let mut bytes = vec![0x0b; length];
            bytes[at] = b'\n';
            assert_eq!(find_line_feed(&bytes), Some(at));
        }
        assert_eq!(find_line_feed(&vec![0x8a; length]), None);
    }
}
