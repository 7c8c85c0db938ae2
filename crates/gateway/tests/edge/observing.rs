//! Every exchange is reported once, when its last holder lets go.

use std::sync::Arc;

use coracle_gateway::{Ending, Exchange};

use super::support::*;

#[tokio::test]
async fn a_complete_exchange_is_reported_once_with_its_account() {
    let mut edge = Edge::new([("/x", answering(|_| async { text("hello") }))]);
    edge.ask(get("/x?secret=1")).await;
    let seen = edge.seen().await;
    assert_eq!(
        seen,
        Seen {
            line: "GET /x".into(),
            status: 200,
            reason: None,
            ending: Ending::Complete,
            response_bytes: 5
        }
    );
    edge.ask(get("/y")).await;
    assert_eq!(edge.seen().await.line, "GET /y", "nothing between the two");
}

#[tokio::test]
async fn work_after_the_response_delays_the_report_and_counts() {
    let (let_go, held) = tokio::sync::oneshot::channel::<()>();
    let held = Arc::new(std::sync::Mutex::new(Some(held)));
    let mut edge = Edge::new([(
        "/",
        answering(move |request: http::Request<coracle_gateway::Body>| {
            let exchange = request.extensions().get::<Arc<Exchange>>().unwrap().clone();
            let held = held.lock().unwrap().take();
            tokio::spawn(async move {
                if let Some(held) = held {
                    let _ = held.await;
                    exchange.set_reason("late");
                }
            });
            async { text("hello") }
        }),
    )]);
    let mut raw = edge.raw().await;
    raw.send(get("/")).await;
    assert_eq!(raw.reply().await.body, "hello");
    raw.send(get("/")).await;
    raw.reply().await;
    assert_eq!(edge.seen().await.reason, None, "the second ends first");
    let_go.send(()).unwrap();
    assert_eq!(edge.seen().await.reason.as_deref(), Some("late"));
}

#[tokio::test]
async fn a_destination_finds_the_request_id_it_was_sent() {
    let edge = Edge::new([(
        "/",
        answering(|request: http::Request<coracle_gateway::Body>| async move {
            let id = request
                .extensions()
                .get::<Arc<Exchange>>()
                .unwrap()
                .request_id
                .to_string();
            let traceparent = request.headers()["traceparent"]
                .to_str()
                .unwrap()
                .to_owned();
            assert!(traceparent.contains(&id));
            text(id)
        }),
    )]);
    let (one, two) = (edge.ask(get("/")).await.body, edge.ask(get("/")).await.body);
    assert_eq!(one.len(), 32);
    assert_ne!(one, two);
}
