//! Bodies in both directions: lengths, `HEAD`, 204 and 304, `Expect`, trailers.

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::Frame;
use http_body_util::BodyExt;

use super::support::*;

#[tokio::test]
async fn a_complete_body_has_a_length_and_a_stream_is_chunked() {
    let edge = Edge::new([
        ("/full", answering(|_| async { text("hello") })),
        (
            "/stream",
            answering(|_| async {
                let (frames, body) = channel();
                frames.send(data("hel")).unwrap();
                frames.send(data("lo")).unwrap();
                Response::new(body)
            }),
        ),
    ]);
    let full = edge.ask(get("/full")).await;
    assert_eq!(
        (full.field("content-length"), full.body.as_str()),
        (Some("5"), "hello")
    );
    assert!(full.field("date").is_some());
    let stream = edge.ask(get("/stream")).await;
    assert_eq!(
        (stream.field("transfer-encoding"), stream.body.as_str()),
        (Some("chunked"), "hello")
    );
    let old = edge.ask("GET /stream HTTP/1.0\r\n\r\n").await;
    assert_eq!(
        (old.field("transfer-encoding"), old.body.as_str()),
        (None, "hello")
    );
}

#[tokio::test]
async fn head_204_and_304_carry_no_body() {
    let edge = Edge::new([
        ("GET /full", answering(|_| async { text("hello") })),
        (
            "/204",
            answering(|_| async {
                Response::builder()
                    .status(204)
                    .header("content-length", "5")
                    .body(full("hello"))
                    .unwrap()
            }),
        ),
        (
            "/304",
            answering(|_| async {
                Response::builder()
                    .status(304)
                    .header("etag", "x")
                    .body(full("hello"))
                    .unwrap()
            }),
        ),
    ]);
    let mut raw = edge.raw().await;
    // On one connection: a body where none belongs would be read as the next response.
    raw.send(get("/full").replace("GET", "HEAD")).await;
    let head = raw.reply_to_head().await;
    assert_eq!(
        (head.status, head.field("content-length")),
        (200, Some("5"))
    );
    for (path, status) in [("/204", 204), ("/304", 304)] {
        raw.send(get(path)).await;
        let reply = raw.reply().await;
        assert_eq!(
            (reply.status, reply.field("content-length")),
            (status, None)
        );
    }
    raw.send(get("/full")).await;
    assert_eq!(raw.reply().await.body, "hello");

    let mut client = edge.http2().await;
    for (method, path) in [("HEAD", "/full"), ("GET", "/204"), ("GET", "/304")] {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("http://a{path}"))
            .body(empty())
            .unwrap();
        let body = soon(client.send_request(request))
            .await
            .unwrap()
            .into_body();
        assert_eq!(body.collect().await.unwrap().to_bytes(), "", "{path}");
    }
}

#[tokio::test]
async fn continues_only_when_the_destination_wants_the_body() {
    let edge = Edge::new([
        (
            "/read",
            answering(|request| async move {
                text(request.into_body().collect().await.unwrap().to_bytes())
            }),
        ),
        (
            "/refuse",
            answering(|_| async { Response::builder().status(403).body(empty()).unwrap() }),
        ),
    ]);
    let post = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n"
        )
    };
    let mut raw = edge.raw().await;
    raw.send(post("/read")).await;
    assert_eq!(raw.reply().await.status, 100);
    raw.send("hello").await;
    assert_eq!(raw.reply().await.body, "hello");
    raw.send(post("/refuse")).await;
    assert_eq!(raw.reply().await.status, 403);
}

#[tokio::test]
async fn request_trailers_pass_without_framing_fields() {
    let edge = Edge::new([(
        "/",
        answering(|request| async move {
            let collected = request.into_body().collect().await.unwrap();
            let trailers = collected.trailers().cloned().unwrap_or_default();
            let names: Vec<_> = trailers
                .keys()
                .map(|name| name.as_str().to_owned())
                .collect();
            text(names.join(","))
        }),
    )]);
    let trailers = "checksum: a\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\nHost: b\r\nAuthorization: c\r\nX-Forwarded-For: d\r\n";
    let reply = edge.ask(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n{trailers}\r\n")).await;
    assert_eq!(reply.body, "checksum");
}

fn with_trailers(content_type: &'static str) -> std::sync::Arc<dyn coracle_gateway::Destination> {
    answering(move |_| async move {
        let (frames, body) = channel();
        frames.send(data("hello")).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        trailers.insert("content-length", "7".parse().unwrap());
        frames.send(Ok(Frame::trailers(trailers))).unwrap();
        Response::builder()
            .header("content-type", content_type)
            .body(body)
            .unwrap()
    })
}

#[tokio::test]
async fn response_trailers_reach_http2_and_willing_http1() {
    let edge = Edge::new([
        ("/grpc", with_trailers("application/grpc+proto")),
        ("/other", with_trailers("text/plain")),
    ]);
    let mut client = edge.http2().await;
    for path in ["/grpc", "/other"] {
        let request = http::Request::get(format!("http://a{path}"))
            .header("te", "trailers")
            .body(empty())
            .unwrap();
        let body = soon(client.send_request(request))
            .await
            .unwrap()
            .into_body();
        let collected = soon(body.collect()).await.unwrap();
        let trailers = collected.trailers().unwrap();
        assert_eq!(
            (trailers.len(), &trailers["grpc-status"]),
            (1, &"0".parse().unwrap())
        );
        assert_eq!(collected.to_bytes(), "hello");
    }
    let mut raw = edge.raw().await;
    for (path, te, trailers) in [
        ("/grpc", "TE: trailers\r\n", "grpc-status: 0\r\n"),
        ("/grpc", "", ""),
        ("/other", "TE: trailers\r\n", ""),
    ] {
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{te}\r\n"))
            .await;
        let reply = raw.reply().await;
        assert_eq!(
            (reply.body.as_str(), reply.trailers.as_str()),
            ("hello", trailers),
            "{path} {te}"
        );
    }
}

#[tokio::test]
async fn a_body_the_destination_ignores_does_not_become_a_request() {
    let edge = Edge::new([(
        "/*",
        answering(|request| async move { text(request.uri().path().to_owned()) }),
    )]);
    let body = get("/smuggled");
    let mut raw = edge.raw().await;
    raw.send(format!(
        "POST /real HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}{}",
        body.len(),
        get("/next")
    ))
    .await;
    assert_eq!(raw.reply().await.body, "/real");
    assert_eq!(raw.reply().await.body, "/next");
}

#[tokio::test]
async fn chunks_arrive_as_they_are_sent() {
    let edge = Edge::new([(
        "/",
        answering(|request| async move {
            let mut body = request.into_body();
            let (frames, answer) = channel();
            tokio::spawn(async move {
                while let Some(Ok(frame)) = body.frame().await {
                    let upper = frame.into_data().unwrap().to_ascii_uppercase();
                    frames.send(Ok(Frame::data(Bytes::from(upper)))).unwrap();
                }
            });
            Response::new(answer)
        }),
    )]);
    let mut raw = edge.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    for word in ["one", "two", "six"] {
        raw.send(format!("3\r\n{word}\r\n")).await;
        raw.until(&format!("3\r\n{}\r\n", word.to_uppercase()))
            .await;
    }
    raw.send("0\r\n\r\n").await;
    raw.until("0\r\n\r\n").await;
}
