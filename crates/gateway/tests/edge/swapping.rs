//! The table changes under load: nothing is lost, no connection notices.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::support::*;

fn version(version: usize) -> coracle_gateway::Routes {
    table([(
        "/*",
        answering(move |_| async move {
            tokio::task::yield_now().await;
            text(version.to_string())
        }),
    )])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swapping_under_load_loses_nothing() {
    let edge = Edge::at(
        "127.0.0.1:0",
        coracle_gateway::Config::default(),
        version(0),
    );
    let done = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut raw = edge.raw().await;
        let done = done.clone();
        clients.push(tokio::spawn(async move {
            let (mut last, mut asked) = (0, 0);
            while !done.load(Ordering::Relaxed) || asked == 0 {
                raw.send(get("/x")).await;
                let reply = raw.reply().await;
                assert_eq!(reply.status, 200);
                let version = reply.body.parse::<usize>().unwrap();
                assert!(version >= last, "never back to an older table");
                (last, asked) = (version, asked + 1);
            }
            raw.send(get("/x")).await;
            assert_eq!(raw.reply().await.body, "200");
            asked
        }));
    }
    for next in 1..=200 {
        edge.routes.store(Arc::new(version(next)));
        tokio::task::yield_now().await;
    }
    done.store(true, Ordering::Relaxed);
    for client in clients {
        assert!(soon(client).await.unwrap() > 0);
    }
}

#[tokio::test]
async fn a_request_in_flight_keeps_the_destination_it_matched() {
    let go = Arc::new(tokio::sync::Notify::new());
    let (told, called) = (go.clone(), Arc::new(tokio::sync::Notify::new()));
    let said = called.clone();
    let edge = Edge::new([(
        "/",
        answering(move |_| {
            let (told, said) = (told.clone(), said.clone());
            async move {
                said.notify_one();
                told.notified().await;
                text("old")
            }
        }),
    )]);
    let mut raw = edge.raw().await;
    raw.send(get("/")).await;
    soon(called.notified()).await;
    edge.routes
        .store(Arc::new(coracle_gateway::Routes::empty()));
    assert_eq!(edge.ask(get("/")).await.status, 404);
    go.notify_one();
    assert_eq!(raw.reply().await.body, "old");
    raw.send(get("/")).await;
    assert_eq!(
        raw.reply().await.status,
        404,
        "the same connection sees the new table"
    );
}
