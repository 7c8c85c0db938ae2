//! Connections that are kept, and those that are not.

use std::{sync::Arc, time::Duration};

use http_body_util::BodyExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};

use super::upstream::*;

#[tokio::test]
async fn requests_one_after_the_other_share_a_connection() {
    let upstream = Upstream::http(|_| async { ok(full("ok")) }).await;
    let client = client();
    for method in ["GET", "POST", "PUT", "HEAD", "DELETE"]
        .into_iter()
        .cycle()
        .take(50)
    {
        let response = send(
            &client,
            &upstream.grants(),
            request(method, &upstream.url("/"), empty()),
        )
        .await
        .unwrap();
        read(response).await.unwrap();
    }
    assert_eq!(upstream.accepted(), 1);
}

#[tokio::test]
async fn components_with_different_networks_do_not_share_a_connection() {
    let upstream = Upstream::http(|_| async { ok(full("ok")) }).await;
    let client = client();
    let (mut narrow, mut wide) = (upstream.grants(), upstream.grants());
    narrow.allowed = allowed(&["127.0.0.1/32"]);
    wide.allowed = allowed(&["127.0.0.0/8"]);
    for grants in [&narrow, &wide, &narrow, &wide] {
        read(
            send(&client, grants, get(&upstream.url("/")))
                .await
                .unwrap(),
        )
        .await
        .unwrap();
    }
    assert_eq!(upstream.accepted(), 2);
}

#[tokio::test]
async fn two_apps_do_not_share_a_connection() {
    let upstream = Upstream::http(|_| async { ok(full("ok")) }).await;
    for client in [client(), client()] {
        read(
            send(&client, &upstream.grants(), get(&upstream.url("/")))
                .await
                .unwrap(),
        )
        .await
        .unwrap();
    }
    assert_eq!(upstream.accepted(), 2);
}

#[tokio::test]
async fn a_response_dropped_early_closes_its_connection_and_spoils_no_other() {
    let (closed, mut closes) = mpsc::unbounded_channel();
    let upstream = Upstream::script(move |mut stream, n| {
        let closed = closed.clone();
        async move {
            read_head(&mut stream).await?;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                .await?;
            while n == 0 && stream.write_all(b"4\r\nabcd\r\n").await.is_ok() {}
            closed.send(n).unwrap();
            stream.write_all(b"2\r\nok\r\n0\r\n\r\n").await
        }
    })
    .await;
    let client = client();
    let mut endless = send(&client, &upstream.grants(), get(&upstream.url("/")))
        .await
        .unwrap();
    endless.body_mut().frame().await.unwrap().unwrap();
    drop(endless);
    assert_eq!(
        tokio::time::timeout(BOUND, closes.recv()).await.unwrap(),
        Some(0)
    );
    assert_eq!(
        text(
            send(&client, &upstream.grants(), get(&upstream.url("/")))
                .await
                .unwrap()
        )
        .await,
        "ok"
    );
}

#[tokio::test]
async fn a_send_that_is_given_up_closes_its_connection_and_frees_its_place() {
    let (closed, mut closes) = mpsc::unbounded_channel();
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let upstream = Upstream::script(move |mut stream, n| {
        let (closed, arrived) = (closed.clone(), arrived.clone());
        async move {
            read_head(&mut stream).await?;
            arrived.send(n).unwrap();
            stream.read_to_end(&mut Vec::new()).await?;
            closed.send(n).unwrap();
            Ok(())
        }
    })
    .await;
    let client = Client::new(Settings {
        max_exchanges: 1,
        ..settings()
    });
    for n in 0..3 {
        let (grants, request) = (upstream.grants(), get(&upstream.url("/")));
        tokio::select! {
            outcome = send(&client, &grants, request) => panic!("{outcome:?}"),
            arrival = arrivals.recv() => assert_eq!(arrival, Some(n)),
        }
        assert_eq!(
            tokio::time::timeout(BOUND, closes.recv()).await.unwrap(),
            Some(n)
        );
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time() {
    let (closed, mut closes) = mpsc::unbounded_channel();
    let upstream = Upstream::script(move |mut stream, n| {
        let closed = closed.clone();
        async move {
            read_head(&mut stream).await?;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await?;
            stream.read_to_end(&mut Vec::new()).await?;
            closed.send(n).unwrap();
            Ok(())
        }
    })
    .await;
    let client = Client::new(Settings {
        idle_timeout: Duration::from_millis(50),
        ..settings()
    });
    read(
        send(&client, &upstream.grants(), get(&upstream.url("/")))
            .await
            .unwrap(),
    )
    .await
    .unwrap();
    assert_eq!(
        tokio::time::timeout(BOUND, closes.recv()).await.unwrap(),
        Some(0)
    );
}

#[tokio::test]
async fn idle_connections_are_closed_with_their_client() {
    let (closed, mut closes) = mpsc::unbounded_channel();
    let upstream = Upstream::script(move |mut stream, n| {
        let closed = closed.clone();
        async move {
            read_head(&mut stream).await?;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await?;
            stream.read_to_end(&mut Vec::new()).await?;
            closed.send(n).unwrap();
            Ok(())
        }
    })
    .await;
    let client = client();
    read(
        send(&client, &upstream.grants(), get(&upstream.url("/")))
            .await
            .unwrap(),
    )
    .await
    .unwrap();
    drop(client);
    assert_eq!(
        tokio::time::timeout(BOUND, closes.recv()).await.unwrap(),
        Some(0)
    );
}

#[tokio::test]
async fn each_limit_makes_an_exchange_wait_and_then_refuses_it() {
    let upstream = Upstream::http(|_| async { ok(full("ok")) }).await;
    let limits: [fn(&mut Settings); 3] = [
        |settings| settings.max_exchanges = 2,
        |settings| settings.max_exchanges_per_authority = 2,
        |settings| settings.max_exchanges_per_invocation = 2,
    ];
    for limit in limits {
        let mut settings = settings();
        limit(&mut settings);
        let client = Client::new(settings).for_invocation();
        let grants = upstream.grants();
        let exchange = || send(&client, &grants, get(&upstream.url("/")));
        let (first, second) = (exchange().await.unwrap(), exchange().await.unwrap());
        assert_eq!(exchange().await.err(), Some(Error::ConnectionLimitReached));
        drop(first);
        assert_eq!(text(exchange().await.unwrap()).await, "ok");
        assert_eq!(text(second).await, "ok");
    }
}

#[tokio::test]
async fn one_invocations_limit_is_not_anothers() {
    let upstream = Upstream::http(|_| async { ok(full("ok")) }).await;
    let client = Client::new(Settings {
        max_exchanges_per_invocation: 1,
        ..settings()
    });
    let (grants, url) = (upstream.grants(), upstream.url("/"));
    let (first, second) = (client.for_invocation(), client.for_invocation());
    let _held = send(&first, &grants, get(&url)).await.unwrap();
    assert_eq!(
        send(&first, &grants, get(&url)).await.err(),
        Some(Error::ConnectionLimitReached)
    );
    assert!(send(&second, &grants, get(&url)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_get_their_own_answers_over_a_bounded_number_of_connections() {
    let upstream =
        Upstream::http(|request| async move { ok(full(request.uri().path().to_owned())) }).await;
    let upstream = Arc::new(upstream);
    let client = Client::new(Settings {
        max_exchanges_per_authority: 8,
        max_wait: Duration::from_secs(10),
        ..settings()
    });
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let (client, upstream) = (client.clone(), Arc::clone(&upstream));
            tokio::spawn(async move {
                let path = format!("/{n}");
                let response = send(&client, &upstream.grants(), get(&upstream.url(&path)))
                    .await
                    .unwrap();
                assert_eq!(text(response).await, path);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(upstream.accepted() <= 8, "{}", upstream.accepted());
}
