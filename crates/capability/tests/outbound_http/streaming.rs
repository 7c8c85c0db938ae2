//! Bodies and trailers while they are under way.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::{io::AsyncWriteExt, sync::mpsc};

use super::upstream::*;

/// A body that a test feeds: one frame at a time, so that back-pressure is seen.
pub fn fed() -> (mpsc::Sender<Frame<Bytes>>, Body) {
    let (sender, receiver) = mpsc::channel(1);
    let frames = stream::unfold(receiver, |mut receiver| async {
        receiver
            .recv()
            .await
            .map(|frame| (Ok::<_, Error>(frame), receiver))
    });
    (sender, StreamBody::new(Box::pin(frames)).boxed_unsync())
}

pub fn data(text: &'static str) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(text.as_bytes()))
}

/// Sends each chunk back when it comes, and the trailers.
pub async fn echo(request: Request<hyper::body::Incoming>) -> Response<Body> {
    let body = request
        .into_body()
        .map_err(|error| Error::Internal(error.to_string()))
        .boxed_unsync();
    Response::builder()
        .header("trailer", "x-sum")
        .body(body)
        .unwrap()
}

#[tokio::test]
async fn chunks_pass_both_ways_while_both_bodies_are_open() {
    let upstream = Upstream::http(echo).await;
    let (feed, body) = fed();
    feed.send(data("one")).await.unwrap();
    let mut request = request("POST", &upstream.url("/"), body);
    request
        .headers_mut()
        .insert("te", HeaderValue::from_static("trailers"));
    request
        .headers_mut()
        .insert("trailer", HeaderValue::from_static("x-sum"));
    let client = client();
    let mut response = send(&client, &upstream.grants(), request).await.unwrap();
    for text in ["one", "two", "three"] {
        if text != "one" {
            feed.send(data(text)).await.unwrap();
        }
        let frame = response.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), text);
    }
    let trailers = HeaderMap::from_iter([
        ("x-sum".parse().unwrap(), HeaderValue::from_static("3")),
        (
            "transfer-encoding".parse().unwrap(),
            HeaderValue::from_static("gzip"),
        ),
    ]);
    feed.send(Frame::trailers(trailers)).await.unwrap();
    drop(feed);
    let trailers = response
        .body_mut()
        .frame()
        .await
        .unwrap()
        .unwrap()
        .into_trailers()
        .unwrap();
    assert_eq!(
        trailers,
        HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from_static("3"))])
    );
    assert!(response.body_mut().frame().await.is_none());
    read(
        send(&client, &upstream.grants(), get(&upstream.url("/")))
            .await
            .unwrap(),
    )
    .await
    .unwrap();
    assert_eq!(upstream.accepted(), 1);
}

#[tokio::test]
async fn the_guest_may_take_its_time_between_chunks() {
    let upstream = Upstream::http(echo_whole).await;
    let (feed, body) = fed();
    let brief = Duration::from_millis(100);
    let timeouts = Timeouts {
        connect: None,
        first_byte: Some(brief * 5),
        between_bytes: Some(brief),
    };
    let feeding = async {
        // Longer than every timeout: it is the guest that is slow, and its own limits that end it.
        let mut tick = tokio::time::interval(brief * 3);
        for _ in 0..4 {
            tick.tick().await;
            feed.send(data("a")).await.unwrap();
        }
        drop(feed);
    };
    let (client, grants) = (client(), upstream.grants());
    let sending = send_within(
        &client,
        &grants,
        request("POST", &upstream.url("/"), body),
        timeouts,
    );
    let (response, ()) = tokio::join!(sending, feeding);
    assert_eq!(text(response.unwrap()).await, "aaaa");
}

async fn echo_whole(request: Request<hyper::body::Incoming>) -> Response<Body> {
    ok(full(
        request.into_body().collect().await.unwrap().to_bytes(),
    ))
}

#[tokio::test]
async fn a_request_body_is_not_read_faster_than_the_upstream_takes_it() {
    let upstream = Upstream::script(|mut stream, _| async move {
        read_head(&mut stream).await?;
        std::future::pending::<()>().await;
        stream.shutdown().await
    })
    .await;
    let (feed, body) = fed();
    let chunk = Bytes::from_static(&[0; 64 * 1024]);
    let feeding = async {
        let mut taken = 0_usize;
        while feed.send(Frame::data(chunk.clone())).await.is_ok() {
            taken += chunk.len();
        }
        taken
    };
    let (client, grants) = (client(), upstream.grants());
    let sending = send_within(
        &client,
        &grants,
        request("POST", &upstream.url("/"), body),
        SHORT,
    );
    let both = async { tokio::join!(sending, feeding) };
    let (outcome, taken) = tokio::time::timeout(BOUND, both).await.unwrap();
    assert_eq!(outcome.err(), Some(Error::ConnectionWriteTimeout));
    // The socket buffers of both sides, and one buffer of hyper's.
    assert!(taken < 16 << 20, "{taken}");
}

#[tokio::test]
async fn a_body_that_does_not_match_its_length_never_becomes_the_next_request() {
    let upstream = Upstream::http(echo_whole).await;
    let client = client();
    for (length, chunks) in [
        ("3", vec!["a"]),
        ("3", vec!["abcd"]),
        ("2", vec!["a", "bGET / HTTP/1.1\r\n\r\n"]),
        ("0", vec!["a"]),
    ] {
        let frames: Vec<_> = chunks
            .iter()
            .map(|chunk| Ok::<_, Error>(data(chunk)))
            .collect();
        let mut request = request(
            "POST",
            &upstream.url("/"),
            StreamBody::new(stream::iter(frames)).boxed_unsync(),
        );
        request
            .headers_mut()
            .insert("content-length", HeaderValue::from_static(length));
        match send(&client, &upstream.grants(), request).await {
            // hyper stops asking once it has what was declared; then the rest was not sent, which is as good.
            Ok(response) => {
                assert!(
                    read(response).await.unwrap().len() <= length.parse().unwrap(),
                    "{length} {chunks:?}"
                )
            }
            Err(error) => assert_eq!(
                error,
                Error::HttpRequestBodySize(Some(length.parse().unwrap())),
                "{chunks:?}"
            ),
        }
        assert_eq!(
            text(
                send(&client, &upstream.grants(), get(&upstream.url("/")))
                    .await
                    .unwrap()
            )
            .await,
            ""
        );
    }
}

#[tokio::test]
async fn a_request_body_over_the_limit_or_with_an_error_is_not_completed() {
    let upstream = Upstream::http(echo_whole).await;
    let client = Client::new(Settings {
        max_request_bytes: Some(3),
        ..settings()
    });
    let outcome = send(
        &client,
        &upstream.grants(),
        request("POST", &upstream.url("/"), full("abcd")),
    )
    .await;
    assert_eq!(outcome.err(), Some(Error::HttpRequestBodySize(Some(3))));
    let failing = stream::iter([Ok(data("a")), Err(Error::Internal("guest".into()))]);
    let request = request(
        "POST",
        &upstream.url("/"),
        StreamBody::new(failing).boxed_unsync(),
    );
    let outcome = send(&client, &upstream.grants(), request).await;
    assert_eq!(outcome.err(), Some(Error::Internal("guest".into())));
}

#[tokio::test]
async fn a_response_that_comes_before_the_request_is_over_is_delivered() {
    let upstream = Upstream::bytes(
        "HTTP/1.1 413 Content Too Large\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno",
    )
    .await;
    let (feed, body) = fed();
    feed.send(data("a")).await.unwrap();
    let response = send(
        &client(),
        &upstream.grants(),
        request("POST", &upstream.url("/"), body),
    )
    .await
    .unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(text(response).await, "no");
}
