//! A destination that breaks off is visible as an error, never as a complete message (FAULTS.md A4, A5).

use coracle_gateway::Ending;
use http::Response;
use http_body_util::BodyExt;

use super::support::*;

/// Sends one chunk of a body, then fails when told to.
fn breaking(
    declared: Option<u64>,
) -> (
    std::sync::Arc<tokio::sync::Notify>,
    std::sync::Arc<dyn coracle_gateway::Destination>,
) {
    let fail = std::sync::Arc::new(tokio::sync::Notify::new());
    let told = fail.clone();
    let destination = answering(move |_| {
        let told = told.clone();
        async move {
            let (frames, body) = channel();
            frames.send(data("first")).unwrap();
            tokio::spawn(async move {
                told.notified().await;
                frames.send(Err("the guest trapped".into())).unwrap();
            });
            let mut response = Response::new(body);
            if let Some(length) = declared {
                response
                    .headers_mut()
                    .insert("content-length", length.into());
            }
            response
        }
    });
    (fail, destination)
}

#[tokio::test]
async fn http1_closes_without_the_last_chunk() {
    let (fail, destination) = breaking(None);
    let mut edge = Edge::new([("/", destination)]);
    let mut raw = edge.raw().await;
    raw.send(get("/")).await;
    raw.until("5\r\nfirst\r\n").await;
    fail.notify_one();
    assert!(!raw.rest().await.unwrap_or_default().contains("0\r\n\r\n"));
    let seen = edge.seen().await;
    assert_eq!(
        (seen.status, seen.ending, seen.response_bytes),
        (200, Ending::Aborted, 5)
    );
    assert_eq!(seen.reason.as_deref(), Some("aborted"));
}

#[tokio::test]
async fn http1_closes_before_the_declared_length() {
    let (fail, destination) = breaking(Some(10));
    let edge = Edge::new([("/", destination)]);
    let mut raw = edge.raw().await;
    raw.send(get("/")).await;
    raw.until("\r\n\r\nfirst").await;
    fail.notify_one();
    assert_eq!(raw.rest().await.unwrap_or_default(), "");
}

#[tokio::test]
async fn http1_0_resets_a_message_that_only_the_close_would_end() {
    let (fail, destination) = breaking(None);
    let edge = Edge::new([("/", destination)]);
    let mut raw = edge.raw().await;
    raw.send("GET / HTTP/1.0\r\n\r\n").await;
    raw.until("\r\n\r\nfirst").await;
    fail.notify_one();
    assert_eq!(
        raw.rest().await.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionReset
    );
}

#[tokio::test]
async fn http2_resets_the_stream_and_keeps_the_connection() {
    let (fail, destination) = breaking(None);
    let mut edge = Edge::new([
        ("/", destination),
        ("/ok", answering(|_| async { text("ok") })),
    ]);
    let mut client = edge.http2().await;
    let request = |path: &str| {
        http::Request::get(format!("http://a{path}"))
            .body(empty())
            .unwrap()
    };
    let mut body = soon(client.send_request(request("/")))
        .await
        .unwrap()
        .into_body();
    assert_eq!(
        soon(body.frame())
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap(),
        "first"
    );
    fail.notify_one();
    let error = soon(body.frame()).await.unwrap().unwrap_err();
    assert!(format!("{error:?}").contains("INTERNAL_ERROR"), "{error:?}");
    assert_eq!(edge.seen().await.ending, Ending::Aborted);
    assert_eq!(
        soon(client.send_request(request("/ok")))
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn a_body_that_breaks_its_declared_length_is_aborted() {
    for (declared, sent) in [(10_u64, "short"), (3, "too long")] {
        let mut edge = Edge::new([(
            "/",
            answering(move |_| async move {
                let (frames, body) = channel();
                frames.send(data(sent)).unwrap();
                let mut response = Response::new(body);
                response
                    .headers_mut()
                    .insert("content-length", declared.into());
                response
            }),
        )]);
        let mut raw = edge.raw().await;
        raw.send(get("/")).await;
        let received = raw.rest().await.unwrap_or_default();
        let body = received.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        assert!(
            body.len() < usize::try_from(declared).unwrap(),
            "{received:?}"
        );
        assert_eq!(edge.seen().await.ending, Ending::Aborted);
    }
}

#[tokio::test]
async fn a_panic_before_the_answer_is_500_and_the_connection_lives() {
    let mut edge = Edge::new([
        ("/panic", answering(|_| async { panic!("on purpose") })),
        (
            "/early",
            answering(|_| -> std::future::Ready<Response<coracle_gateway::Body>> {
                panic!("on purpose")
            }),
        ),
        ("/ok", answering(|_| async { text("ok") })),
    ]);
    let mut raw = edge.raw().await;
    for path in ["/panic", "/early"] {
        raw.send(get(path)).await;
        let reply = raw.reply().await;
        assert_eq!((reply.status, reply.reason().as_str()), (500, "internal"));
        assert!(!reply.body.contains("on purpose"));
        assert_eq!(edge.seen().await.reason.as_deref(), Some("internal"));
    }
    raw.send(get("/ok")).await;
    assert_eq!(raw.reply().await.body, "ok");
}

#[tokio::test]
async fn a_panic_in_the_body_aborts_the_message_only() {
    let mut edge = Edge::new([(
        "/",
        answering(|_| async {
            let mut frames = 0;
            let stream = futures_util::stream::poll_fn(move |_| {
                frames += 1;
                assert!(frames < 2, "on purpose");
                std::task::Poll::Ready(Some(data("first")))
            });
            Response::new(coracle_gateway::Body::new(http_body_util::StreamBody::new(
                stream,
            )))
        }),
    )]);
    let mut raw = edge.raw().await;
    raw.send(get("/")).await;
    assert!(!raw.rest().await.unwrap_or_default().ends_with("0\r\n\r\n"));
    assert_eq!(edge.seen().await.ending, Ending::Aborted);
}

#[tokio::test]
async fn a_response_that_is_none_is_502() {
    let edge = Edge::new([
        (
            "/early-hints",
            answering(|_| async { Response::builder().status(103).body(empty()).unwrap() }),
        ),
        (
            "/switching",
            answering(|_| async { Response::builder().status(101).body(empty()).unwrap() }),
        ),
        (
            "/length",
            answering(|_| async {
                Response::builder()
                    .header("content-length", "7")
                    .body(full("hello"))
                    .unwrap()
            }),
        ),
        (
            "/two",
            answering(|_| async {
                Response::builder()
                    .header("content-length", "5")
                    .header("content-length", "5")
                    .body(full("hello"))
                    .unwrap()
            }),
        ),
        (
            "/words",
            answering(|_| async {
                Response::builder()
                    .header("content-length", "five")
                    .body(full("hello"))
                    .unwrap()
            }),
        ),
    ]);
    for path in ["/early-hints", "/switching", "/length", "/two", "/words"] {
        let reply = edge.ask(get(path)).await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (502, "invalid-response"),
            "{path}"
        );
    }
}
