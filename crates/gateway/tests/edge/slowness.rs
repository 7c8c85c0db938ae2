//! Clients that take their time (FAULTS.md B1, B2). The timeouts are small; nothing depends on how small.

use std::time::Duration;

use coracle_gateway::{Config, Ending, Patience};
use http::Response;
use http_body_util::BodyExt;

use super::support::*;

const SHORT: Duration = Duration::from_millis(50);

fn impatient() -> Patience {
    Patience {
        idle: SHORT,
        grace: SHORT,
        min_bytes_per_second: 1_000_000,
    }
}

fn ok() -> std::sync::Arc<dyn coracle_gateway::Destination> {
    answering(|request| async move {
        text(
            request
                .into_body()
                .collect()
                .await
                .map(|body| body.to_bytes())
                .unwrap_or_default(),
        )
    })
}

#[tokio::test]
async fn a_head_that_does_not_end_closes_the_connection() {
    let config = Config {
        header_timeout: SHORT,
        ..Config::default()
    };
    let edge = Edge::with(config, [("/", ok())]);
    for bytes in [
        "",
        "G",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "PRI * HTTP/2.0\r\n",
    ] {
        let mut raw = edge.raw().await;
        raw.send(bytes).await;
        assert!(raw.closed().await, "{bytes:?}");
    }
    let mut second = edge.raw().await;
    second.send(format!("{}GET / HT", get("/"))).await;
    assert_eq!(second.reply().await.status, 200);
    assert!(second.closed().await);
}

#[tokio::test]
async fn dripping_does_not_help() {
    let config = Config {
        header_timeout: SHORT,
        ..Config::default()
    };
    let edge = Edge::with(config, [("/", ok())]);
    let mut raw = edge.raw().await;
    raw.send("GET / HTTP/1.1\r\n").await;
    let dripping = async {
        while tokio::io::AsyncWriteExt::write_all(&mut raw.tcp, b"a: b\r\n")
            .await
            .is_ok()
        {
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    soon(dripping).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let config = Config {
        idle_timeout: SHORT,
        ..Config::default()
    };
    let edge = Edge::with(
        config,
        [
            ("/", ok()),
            (
                "/slow",
                answering(|_| async {
                    tokio::time::sleep(SHORT * 4).await;
                    text("slow")
                }),
            ),
        ],
    );
    let mut raw = edge.raw().await;
    raw.send(get("/slow")).await;
    assert_eq!(raw.reply().await.body, "slow");
    assert!(raw.closed().await);
    let mut client = edge.http2().await;
    soon(async {
        while client.ready().await.is_ok() {
            tokio::time::sleep(SHORT).await
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_that_stops_arriving_is_408() {
    let config = Config {
        sending: impatient(),
        ..Config::default()
    };
    let mut edge = Edge::with(config, [("/", ok())]);
    for rest in [
        "Content-Length: 10\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
    ] {
        let mut raw = edge.raw().await;
        raw.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{rest}"))
            .await;
        let reply = raw.reply().await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (408, "body-too-slow")
        );
        assert!(raw.closed().await);
        assert_eq!(edge.seen().await.reason.as_deref(), Some("body-too-slow"));
    }
    let mut client = edge.http2().await;
    let (frames, body) = channel();
    frames.send(data("hello")).unwrap();
    let request = http::Request::post("http://a/").body(body).unwrap();
    assert_eq!(
        soon(client.send_request(request)).await.unwrap().status(),
        408
    );
}

fn endless() -> std::sync::Arc<dyn coracle_gateway::Destination> {
    answering(|_| async {
        let chunk = bytes::Bytes::from(vec![b'x'; 64 * 1024]);
        let stream = futures_util::stream::poll_fn(move |_| {
            std::task::Poll::Ready(Some(Ok(http_body::Frame::data(chunk.clone()))))
        });
        Response::new(coracle_gateway::Body::new(http_body_util::StreamBody::new(
            stream,
        )))
    })
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off() {
    let config = Config {
        taking: impatient(),
        ..Config::default()
    };
    let mut edge = Edge::with(config, [("/", endless())]);
    let mut raw = edge.raw().await;
    raw.send(get("/")).await;
    let seen = edge.seen().await;
    assert_eq!((seen.status, seen.ending), (200, Ending::ClientLeft));
    drop(raw);
}

#[tokio::test]
async fn an_http2_stream_whose_window_stays_shut_is_reset_alone() {
    let config = Config {
        taking: impatient(),
        ..Config::default()
    };
    let mut edge = Edge::with(config, [("/", endless()), ("/ok", ok())]);
    let mut client = edge.http2().await;
    let request = |path: &str| {
        http::Request::get(format!("http://a{path}"))
            .body(empty())
            .unwrap()
    };
    // The body is never asked for, so that its window is never opened again.
    let stalled = soon(client.send_request(request("/"))).await.unwrap();
    assert_eq!(edge.seen().await.ending, Ending::ClientLeft);
    assert_eq!(
        soon(client.send_request(request("/ok")))
            .await
            .unwrap()
            .status(),
        200
    );
    drop(stalled);
}

#[tokio::test]
async fn a_slow_destination_never_makes_its_client_look_slow() {
    let config = Config {
        sending: impatient(),
        taking: impatient(),
        header_timeout: SHORT,
        ..Config::default()
    };
    let edge = Edge::with(
        config,
        [(
            "/",
            answering(|request| async move {
                tokio::time::sleep(SHORT * 4).await;
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let (frames, answer) = channel();
                tokio::spawn(async move {
                    tokio::time::sleep(SHORT * 4).await;
                    frames.send(Ok(http_body::Frame::data(body))).unwrap();
                });
                Response::new(answer)
            }),
        )],
    );
    assert_eq!(
        edge.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
            .await
            .body,
        "hello"
    );
}
