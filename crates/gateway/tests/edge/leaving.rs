//! A client that leaves takes the destination's work with it (FAULTS.md B8).

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use coracle_gateway::{Destination, Ending};
use http::Response;
use http_body_util::BodyExt;
use tokio::sync::mpsc;

use super::support::*;

/// Says when it is dropped.
struct Alive(mpsc::UnboundedSender<&'static str>, &'static str);

impl Drop for Alive {
    fn drop(&mut self) {
        let _ = self.0.send(self.1);
    }
}

struct Never(#[expect(dead_code, reason = "held to be dropped")] Alive);

impl Future for Never {
    type Output = Response<coracle_gateway::Body>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Pending
    }
}

type Routes = [(&'static str, Arc<dyn Destination>); 2];

fn destinations() -> (mpsc::UnboundedReceiver<&'static str>, Routes) {
    let (said, hear) = mpsc::unbounded_channel();
    let (in_call, in_body) = (said.clone(), said);
    let thinking = answering(move |_| {
        in_call.send("called").unwrap();
        Never(Alive(in_call.clone(), "dropped"))
    });
    let streaming = answering(move |_| {
        let alive = Alive(in_body.clone(), "dropped");
        in_body.send("called").unwrap();
        async move {
            let mut first = true;
            let stream = futures_util::stream::poll_fn(move |_| {
                let _ = &alive;
                if std::mem::take(&mut first) {
                    Poll::Ready(Some(data("first")))
                } else {
                    Poll::Pending
                }
            });
            Response::new(coracle_gateway::Body::new(http_body_util::StreamBody::new(
                stream,
            )))
        }
    });
    (hear, [("/thinking", thinking), ("/streaming", streaming)])
}

#[tokio::test]
async fn leaving_before_the_answer_drops_the_call() {
    let (mut hear, routes) = destinations();
    let mut edge = Edge::new(routes);
    let mut raw = edge.raw().await;
    raw.send(get("/thinking")).await;
    assert_eq!(soon(hear.recv()).await, Some("called"));
    drop(raw);
    assert_eq!(soon(hear.recv()).await, Some("dropped"));
    let seen = edge.seen().await;
    assert_eq!((seen.status, seen.ending), (0, Ending::ClientLeft));
}

#[tokio::test]
async fn leaving_during_the_answer_drops_its_body() {
    let (mut hear, routes) = destinations();
    let mut edge = Edge::new(routes);
    let mut raw = edge.raw().await;
    raw.send(get("/streaming")).await;
    raw.until("first").await;
    drop(raw);
    assert_eq!(soon(hear.recv()).await, Some("called"));
    assert_eq!(soon(hear.recv()).await, Some("dropped"));
    let seen = edge.seen().await;
    assert_eq!(
        (seen.status, seen.ending, seen.response_bytes),
        (200, Ending::ClientLeft, 5)
    );
}

#[tokio::test]
async fn a_reset_http2_stream_drops_its_work_and_no_other() {
    let (mut hear, routes) = destinations();
    let mut edge = Edge::new(routes);
    let mut client = edge.http2().await;
    let request = |path: &str| {
        http::Request::get(format!("http://a{path}"))
            .body(empty())
            .unwrap()
    };
    let thinking = tokio::spawn(client.send_request(request("/thinking")));
    assert_eq!(soon(hear.recv()).await, Some("called"));
    let mut streaming = soon(client.send_request(request("/streaming")))
        .await
        .unwrap()
        .into_body();
    assert_eq!(soon(hear.recv()).await, Some("called"));
    soon(streaming.frame()).await.unwrap().unwrap();
    thinking.abort();
    assert_eq!(soon(hear.recv()).await, Some("dropped"));
    assert_eq!(edge.seen().await.line, "GET /thinking");
    drop(streaming);
    assert_eq!(soon(hear.recv()).await, Some("dropped"));
    assert_eq!(edge.seen().await.line, "GET /streaming");
}

#[tokio::test]
async fn a_body_cut_by_its_sender_is_an_error_to_the_destination() {
    let (said, mut hear) = mpsc::unbounded_channel();
    let edge = Edge::new([(
        "/",
        answering(move |request| {
            let said = said.clone();
            async move {
                // Outlives the call, which ends with the client.
                tokio::spawn(async move {
                    said.send(request.into_body().collect().await.is_err())
                        .unwrap()
                });
                std::future::pending().await
            }
        }),
    )]);
    for head in [
        "Content-Length: 10\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let mut raw = edge.raw().await;
        raw.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{head}"))
            .await;
        drop(raw);
        assert_eq!(soon(hear.recv()).await, Some(true));
    }
}
