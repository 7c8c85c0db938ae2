//! FAULTS.md "Framing rules": bytes in, status and closed connection out.

use super::support::*;

fn edge() -> Edge {
    Edge::new([(
        "/*",
        answering(|request| async move {
            // Whatever reaches a destination is read to its end, so that a body can still turn out to be malformed.
            let _ = http_body_util::BodyExt::collect(request.into_body()).await;
            text("reached")
        }),
    )])
}

const CORPUS: &[(&str, u16, &str)] = &[
    ("GET / HTTP/1.1\r\n\r\n", 400, "bad-request"),
    ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, "bad-request"),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        400,
        "bad-framing",
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
        400,
        "bad-framing",
    ),
    ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "bad-request"),
    ("GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", 400, "bad-request"),
    ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "bad-request"),
    ("GET / HTTP/1.1\r\nHost: a:port\r\n\r\n", 400, "bad-request"),
    ("GET http://a/ HTTP/1.1\r\n\r\n", 400, "bad-request"),
    (
        "GET http://user@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        400,
        "bad-request",
    ),
    (
        "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        400,
        "bad-request",
    ),
    ("GET / HTTP/1.1\nHost: a\n\n", 400, "bad-framing"),
    (
        "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        400,
        "bad-framing",
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
        400,
        "bad-framing",
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n folded\r\n\r\n",
        400,
        "bad-framing",
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
        400,
        "bad-framing",
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nX_Y: b\r\n\r\n",
        400,
        "bad-request",
    ),
    (
        "GET /#fragment HTTP/1.1\r\nHost: a\r\n\r\n",
        400,
        "bad-framing",
    ),
    (
        "GET /?a#fragment HTTP/1.1\r\nHost: a\r\n\r\n",
        400,
        "bad-framing",
    ),
    ("GET /../a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request"),
    (
        "GET /a/%2e%2E/b HTTP/1.1\r\nHost: a\r\n\r\n",
        400,
        "bad-request",
    ),
    ("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request"),
    ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, "bad-framing"),
    ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-framing"),
    (
        "GET / HTTP/3.0\r\nHost: a\r\n\r\n",
        505,
        "version-not-supported",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "bad-framing",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
        400,
        "bad-framing",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        400,
        "bad-framing",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
        400,
        "bad-framing",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1,1\r\n\r\nx",
        400,
        "bad-framing",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        400,
        "bad-framing",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "bad-framing",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        400,
        "bad-framing",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
        400,
        "bad-framing",
    ),
    (
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "bad-framing",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n",
        400,
        "bad-framing",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
        400,
        "bad-framing",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\na: b\n\r\n",
        400,
        "bad-framing",
    ),
    (
        "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        501,
        "method-not-implemented",
    ),
    (
        "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
        501,
        "method-not-implemented",
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nExpect: the-unexpected\r\n\r\n",
        417,
        "unknown-expectation",
    ),
];

#[tokio::test]
async fn refuses_and_closes_what_two_readers_could_read_differently() {
    let edge = edge();
    for (bytes, status, reason) in CORPUS {
        let mut raw = edge.raw().await;
        // Whatever follows must never be taken for a request.
        raw.send(format!("{bytes}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
        let reply = raw.reply().await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (*status, *reason),
            "{bytes:?}"
        );
        assert_eq!(reply.field("connection"), Some("close"), "{bytes:?}");
        assert!(raw.closed().await, "{bytes:?}");
    }
}

#[tokio::test]
async fn refuses_the_same_when_it_arrives_byte_by_byte_behind_a_good_request() {
    let edge = edge();
    for (bytes, status, _) in CORPUS {
        let mut raw = edge.raw().await;
        raw.tcp.set_nodelay(true).unwrap();
        let (most, last) = bytes.as_bytes().split_at(bytes.len() - 3);
        raw.send([get("/first").as_bytes(), most].concat()).await;
        assert_eq!(raw.reply().await.status, 200, "{bytes:?}");
        for byte in last {
            // The refusal may come before the last byte; the server still reads, so no write fails.
            raw.send([*byte]).await;
        }
        assert_eq!(raw.reply().await.status, *status, "{bytes:?}");
        assert!(raw.closed().await, "{bytes:?}");
    }
}

#[tokio::test]
async fn answers_what_was_pipelined_before_a_refusal_first() {
    let mut edge = edge();
    let mut raw = edge.raw().await;
    raw.send(format!(
        "{}{}HEAD /bad HTTP/1.1\nHost: a\n\n",
        get("/1"),
        get("/2")
    ))
    .await;
    assert_eq!(raw.reply().await.body, "reached");
    assert_eq!(raw.reply().await.body, "reached");
    assert_eq!(raw.reply_to_head().await.status, 400);
    assert!(raw.closed().await);
    edge.seen().await;
    edge.seen().await;
    let refused = edge.seen().await;
    assert_eq!(
        (refused.line.as_str(), refused.reason.as_deref()),
        ("HEAD /bad", Some("bad-framing"))
    );
}

#[tokio::test]
async fn accepts_the_unusual_that_means_one_thing() {
    let edge = edge();
    for bytes in [
        "GET / HTTP/1.0\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://b.example HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
        "M-SEARCH /%2f//x?y=../z HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\ncontent-length:3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n3;x=y\r\nabc\r\n0\r\nz: w\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \u{fc}\r\n\r\n",
    ] {
        assert_eq!(edge.ask(bytes).await.status, 200, "{bytes:?}");
    }
}

#[tokio::test]
async fn heads_larger_than_a_read_arrive_whole() {
    let edge = Edge::new([(
        "/*",
        answering(|request| async move { text(request.headers()["x"].as_bytes().to_vec()) }),
    )]);
    let value = "v".repeat(50_000);
    let mut raw = edge.raw().await;
    for _ in 0..3 {
        raw.send(format!("GET / HTTP/1.1\r\nHost: a\r\nx: {value}\r\n\r\n"))
            .await;
        assert!(raw.reply().await.body == value);
    }
}

#[tokio::test]
async fn answers_pipelined_requests_in_order() {
    let edge = Edge::new([(
        "/*",
        answering(|request| async move {
            let path = request.uri().path().to_owned();
            let _ = http_body_util::BodyExt::collect(request.into_body()).await;
            text(path)
        }),
    )]);
    let raw = edge.raw().await;
    let requests: String = (0..1_000)
        .map(|n| match n % 3 {
            0 => get(&format!("/{n}")),
            1 => format!("POST /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /"),
            _ => format!("POST /{n} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\r\n\r\n0\r\n\r\n"),
        })
        .collect();
    let (mut read, mut write) = raw.tcp.into_split();
    let sending = tokio::spawn(async move {
        tokio::io::AsyncWriteExt::write_all(&mut write, requests.as_bytes())
            .await
            .unwrap();
        write
    });
    let mut received = String::new();
    for n in 0..1_000 {
        let wanted = format!("\r\n\r\n/{n}");
        while !received.contains(&wanted) {
            let mut piece = vec![0; 16 * 1024];
            let length = soon(tokio::io::AsyncReadExt::read(&mut read, &mut piece))
                .await
                .unwrap();
            assert!(length > 0);
            received += std::str::from_utf8(&piece[..length]).unwrap();
        }
        received = received.split_once(&wanted).unwrap().1.to_owned();
    }
    soon(sending).await.unwrap();
}
