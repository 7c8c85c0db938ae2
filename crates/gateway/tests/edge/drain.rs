//! The end of a server: what runs finishes, what is idle closes, nothing new begins.

use std::{sync::Arc, time::Duration};

use coracle_gateway::{Destination, Ending};
use tokio::sync::{Notify, mpsc};

use super::support::*;

const LONG: Duration = Duration::from_secs(600);

/// Answers when told to, and says when it was called.
fn waiting() -> (
    mpsc::UnboundedReceiver<()>,
    Arc<Notify>,
    Arc<dyn Destination>,
) {
    let (said, called) = mpsc::unbounded_channel();
    let go = Arc::new(Notify::new());
    let told = go.clone();
    let destination = answering(move |_| {
        said.send(()).unwrap();
        let told = told.clone();
        async move {
            told.notified().await;
            text("finished")
        }
    });
    (called, go, destination)
}

#[tokio::test]
async fn requests_in_flight_finish_idle_connections_close_and_newcomers_are_refused() {
    let (mut called, go, destination) = waiting();
    let edge = Edge::new([
        ("/slow", destination),
        ("/", answering(|_| async { text("ok") })),
    ]);
    let mut idle = edge.raw().await;
    idle.send(get("/")).await;
    idle.reply().await;
    let mut silent = edge.raw().await;
    let mut slow = edge.raw().await;
    slow.send(get("/slow")).await;
    soon(called.recv()).await;
    // The newest connection may still be in the kernel's queue.
    while edge.handle.connections() < 3 {
        tokio::task::yield_now().await;
    }

    let address = edge.address;
    let draining = tokio::spawn(edge.handle.drain(LONG));
    assert!(idle.closed().await);
    assert!(silent.closed().await);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    assert!(!draining.is_finished());
    go.notify_one();
    let reply = slow.reply().await;
    assert_eq!(
        (reply.body.as_str(), reply.field("connection")),
        ("finished", Some("close"))
    );
    assert!(slow.closed().await);
    assert_eq!(soon(draining).await.unwrap(), 0);
}

#[tokio::test]
async fn http2_streams_finish_and_the_connection_goes_away() {
    use http_body_util::BodyExt;
    let (mut called, go, destination) = waiting();
    let edge = Edge::new([("/slow", destination)]);
    let mut client = edge.http2().await;
    let request = || http::Request::get("http://a/slow").body(empty()).unwrap();
    let answer = client.send_request(request());
    let answer = tokio::spawn(async move {
        answer
            .await
            .unwrap()
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
    });
    soon(called.recv()).await;
    let draining = tokio::spawn(edge.handle.drain(LONG));
    go.notify_one();
    assert_eq!(soon(answer).await.unwrap(), "finished");
    assert_eq!(soon(draining).await.unwrap(), 0);
    assert!(soon(client.send_request(request())).await.is_err());
}

#[tokio::test]
async fn what_outlasts_the_grace_is_cut_and_counted() {
    let (mut called, _go, destination) = waiting();
    let mut edge = Edge::new([("/slow", destination)]);
    let mut one = edge.raw().await;
    one.send(get("/slow")).await;
    let mut two = edge.http2().await;
    let request = http::Request::get("http://a/slow").body(empty()).unwrap();
    let answer = tokio::spawn(two.send_request(request));
    soon(called.recv()).await;
    soon(called.recv()).await;
    let (routes, handle) = (
        edge.routes.clone(),
        std::mem::replace(&mut edge.handle, Edge::new([]).handle),
    );
    assert_eq!(soon(handle.drain(Duration::from_millis(20))).await, 2);
    assert_eq!(one.rest().await.unwrap_or_default(), "");
    assert!(soon(answer).await.unwrap().is_err());
    for _ in 0..2 {
        let seen = edge.seen().await;
        assert_eq!(
            (seen.ending, seen.reason.as_deref()),
            (Ending::Aborted, Some("shutdown"))
        );
    }
    drop(routes);
}
