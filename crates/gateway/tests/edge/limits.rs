//! Sizes: 431, 414, 413, and the connection limit.

use coracle_gateway::Config;
use http_body_util::BodyExt;

use super::support::*;

fn draining_body() -> std::sync::Arc<dyn coracle_gateway::Destination> {
    answering(|request| async move {
        match request.into_body().collect().await {
            Ok(body) => text(body.to_bytes().len().to_string()),
            Err(_) => text("the body broke"),
        }
    })
}

#[tokio::test]
async fn large_heads_and_targets_have_their_own_statuses() {
    let edge = Edge::new([("/*", draining_body())]);
    for (bytes, status, reason) in [
        (
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(16 * 1024)),
            414,
            "target-too-long",
        ),
        (
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\nx: {}\r\n\r\n",
                "b".repeat(64 * 1024)
            ),
            431,
            "head-too-large",
        ),
        (
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
                "x: y\r\n".repeat(100)
            ),
            431,
            "head-too-large",
        ),
    ] {
        let mut raw = edge.raw().await;
        raw.send(bytes).await;
        let reply = raw.reply().await;
        assert_eq!((reply.status, reply.reason().as_str()), (status, reason));
        assert!(raw.closed().await);
    }
}

#[tokio::test]
async fn a_body_over_its_cap_is_413_declared_or_streamed() {
    let config = Config {
        max_body_bytes: Some(10),
        ..Config::default()
    };
    let mut edge = Edge::with(config, [("/*", draining_body())]);
    let head = "POST / HTTP/1.1\r\nHost: a\r\n";
    assert_eq!(
        edge.ask(format!("{head}Content-Length: 10\r\n\r\n0123456789"))
            .await
            .body,
        "10"
    );
    assert_eq!(edge.seen().await.reason, None);
    for rest in [
        "Content-Length: 11\r\n\r\n0123456789x",
        "Content-Length: 11\r\nExpect: 100-continue\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n9\r\n012345678\r\n9\r\n012345678\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n9\r\n012345678\r\n9\r\n012345678\r\n",
    ] {
        let mut raw = edge.raw().await;
        raw.send(format!("{head}{rest}")).await;
        let reply = raw.reply().await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (413, "body-too-large"),
            "{rest:?}"
        );
        assert!(raw.closed().await, "{rest:?}");
        assert_eq!(edge.seen().await.reason.as_deref(), Some("body-too-large"));
    }
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_a_free_place() {
    let config = Config {
        max_connections: 1,
        ..Config::default()
    };
    let edge = Edge::with(config, [("/*", draining_body())]);
    let mut first = edge.raw().await;
    first.send(get("/")).await;
    assert_eq!(first.reply().await.status, 200);
    let mut second = edge.raw().await;
    second.send(get("/")).await;
    assert_eq!(edge.handle.connections(), 1);
    drop(first);
    assert_eq!(second.reply().await.status, 200);
}

#[tokio::test]
async fn streams_many_megabytes_both_ways() {
    let edge = Edge::new([(
        "/*",
        answering(|request| async move { http::Response::new(request.into_body()) }),
    )]);
    let raw = edge.raw().await;
    let (mut read, mut write) = raw.tcp.into_split();
    const CHUNK: usize = 64 * 1024;
    const CHUNKS: usize = 256;
    let sending = tokio::spawn(async move {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            CHUNK * CHUNKS
        );
        tokio::io::AsyncWriteExt::write_all(&mut write, head.as_bytes())
            .await
            .unwrap();
        for n in 0..CHUNKS {
            tokio::io::AsyncWriteExt::write_all(&mut write, &vec![u8::try_from(n).unwrap(); CHUNK])
                .await
                .unwrap();
        }
        write
    });
    let mut received = Vec::new();
    soon(tokio::io::AsyncReadExt::read_to_end(
        &mut read,
        &mut received,
    ))
    .await
    .unwrap();
    let body = received
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap()
        + 4;
    assert!(received.starts_with(b"HTTP/1.1 200"));
    let received = &received[body..];
    assert_eq!(received.len(), CHUNK * CHUNKS);
    for (n, chunk) in received.chunks(CHUNK).enumerate() {
        assert!(
            chunk.iter().all(|byte| usize::from(*byte) == n),
            "chunk {n}"
        );
    }
    soon(sending).await.unwrap();
}
