//! FAULTS.md, C5: the server or the network is gone, slow or half there. Calls are answered within their timeout, and answered
//! well within two seconds of its return.

use std::time::{Duration, Instant};

use coracle_capability::{contract::CallError as _, keyvalue::Reply};

use crate::{
    proxy::{Fault, Proxy},
    server::{
        RECOVERY, SLACK, Server, TIMEOUT, bucket_of, client_at, get, increment, recovery, refusal,
        set, value,
    },
};

#[tokio::test]
async fn starts_without_redis_and_finds_it_when_it_comes() {
    let Some(mut server) = Server::stopped(&[]) else {
        return;
    };
    let bucket = server.bucket();
    for call in [get("k"), set("k", b"v"), get("k")] {
        let error = refusal(&bucket, call).await;
        assert_eq!(
            error.to_string(),
            "the bucket is unavailable: Redis refused the connection"
        );
        assert!(error.is_temporary());
    }
    server.run();
    assert!(recovery(&bucket, set("k", b"v")).await < RECOVERY);
    assert_eq!(bucket.call(get("k")).await, value(b"v"));
}

#[tokio::test]
async fn a_server_that_is_away_is_answered_for_at_once() {
    let Some(server) = Server::stopped(&[]) else {
        return;
    };
    let bucket = server.bucket();
    refusal(&bucket, get("k")).await;
    let since = Instant::now();
    for _ in 0..1_000 {
        refusal(&bucket, get("k")).await;
    }
    assert!(
        since.elapsed() < Duration::from_secs(1),
        "{:?}",
        since.elapsed()
    );
}

#[tokio::test]
async fn a_killed_server_is_found_again() {
    let Some(mut server) = Server::start(&[]) else {
        return;
    };
    let bucket = server.bucket();
    bucket.call(set("k", b"v")).await.unwrap();
    for _ in 0..3 {
        server.kill();
        assert!(refusal(&bucket, get("k")).await.is_temporary());
        server.run();
        assert!(recovery(&bucket, get("k")).await < RECOVERY);
        assert_eq!(bucket.call(get("k")).await, value(b"v"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_costs_each_call_its_timeout_and_others_nothing() {
    let (Some(server), Some(other)) = (Server::start(&[]), Server::start(&[])) else {
        return;
    };
    let (bucket, neighbour) = (server.bucket(), other.bucket());
    bucket.call(set("k", b"v")).await.unwrap();
    neighbour.call(set("k", b"v")).await.unwrap();

    server.pause();
    let callers: Vec<_> = (0..2_000)
        .map(|_| {
            let bucket = bucket.clone();
            tokio::spawn(async move { refusal(&bucket, get("k")).await })
        })
        .collect();
    for _ in 0..100 {
        assert_eq!(neighbour.call(get("k")).await, value(b"v"));
    }
    for caller in callers {
        assert!(caller.await.unwrap().is_temporary());
    }
    server.resume();
    assert!(recovery(&bucket, get("k")).await < RECOVERY);
    assert_eq!(bucket.call(get("k")).await, value(b"v"));
}

#[tokio::test]
async fn a_slow_server_is_not_waited_for() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let bucket = server.bucket();
    bucket.call(set("k", b"v")).await.unwrap();
    let mut admin = server.admin();
    let sleeping = std::thread::spawn(move || admin.ask::<()>("DEBUG SLEEP 2"));
    let since = Instant::now();
    let mut refused = 0;
    while !sleeping.is_finished() {
        match tokio::time::timeout(TIMEOUT + SLACK, bucket.call(get("k"))).await {
            Ok(Err(error)) => {
                assert!(error.is_temporary(), "{error}");
                refused += 1;
            }
            Ok(Ok(_)) => {}
            Err(_) => panic!("no answer within the timeout"),
        }
    }
    assert!(refused > 0 || since.elapsed() < TIMEOUT);
    assert!(recovery(&bucket, get("k")).await < RECOVERY);
}

#[tokio::test]
async fn a_server_that_comes_and_goes_twice_a_second_is_used_while_it_is_there() {
    let Some(mut server) = Server::start(&[]) else {
        return;
    };
    let bucket = server.bucket();
    let (mut answered, mut refused) = (0, 0);
    for _ in 0..6 {
        let until = Instant::now() + Duration::from_millis(250);
        while Instant::now() < until {
            let since = Instant::now();
            match bucket.call(increment("n", 1)).await {
                Ok(_) => answered += 1,
                Err(error) => {
                    assert!(error.is_temporary(), "{error}");
                    refused += 1;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            assert!(since.elapsed() < TIMEOUT + SLACK, "{:?}", since.elapsed());
        }
        server.kill();
        refusal(&bucket, get("n")).await;
        server.run();
    }
    assert!(answered > 0, "{refused} refused");
    assert!(recovery(&bucket, get("n")).await < RECOVERY);
}

#[tokio::test]
async fn a_half_open_connection_is_replaced_however_short_the_callers_deadlines_are() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    for deadline in [Duration::from_secs(5), Duration::from_millis(20)] {
        let proxy = Proxy::to(server.port).await;
        let bucket = bucket_of(&client_at(&proxy.url()));
        for _ in 0..8 {
            bucket.call(set("k", b"v")).await.unwrap();
        }
        proxy.half_open();
        let since = Instant::now();
        while tokio::time::timeout(deadline, bucket.call(get("k"))).await != Ok(value(b"v")) {
            assert!(since.elapsed() < RECOVERY, "still on the old connection");
        }
        // Each of the two connections is found by the calls that chance upon it.
        let steady = Instant::now();
        while steady.elapsed() < TIMEOUT {
            _ = tokio::time::timeout(deadline, bucket.call(get("k"))).await;
        }
        for _ in 0..8 {
            assert_eq!(bucket.call(get("k")).await, value(b"v"));
        }
        assert_eq!(proxy.connections(), 4);
    }
}

#[tokio::test]
async fn an_idle_connection_is_left_alone() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let proxy = Proxy::to(server.port).await;
    let bucket = bucket_of(&client_at(&proxy.url()));
    for _ in 0..4 {
        bucket.call(set("k", b"v")).await.unwrap();
        // A caller that goes away, and its answer after it.
        _ = tokio::time::timeout(Duration::ZERO, bucket.call(get("k"))).await;
        tokio::time::sleep(2 * TIMEOUT).await;
    }
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_not_sent_again() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let proxy = Proxy::to(server.port).await;
    let bucket = bucket_of(&client_at(&proxy.url()));
    for _ in 0..4 {
        bucket.call(increment("n", 1)).await.unwrap();
    }
    proxy.inflict(Fault::CutAnswers);
    assert!(refusal(&bucket, increment("n", 1)).await.is_temporary());
    proxy.inflict(Fault::None);
    assert!(recovery(&bucket, get("n")).await < RECOVERY);
    assert_eq!(bucket.call(get("n")).await, value(b"5"));
    assert_eq!(bucket.call(increment("n", 1)).await, Ok(Reply::Number(6)));
}

#[tokio::test]
async fn a_client_that_is_gone_closes_its_connections() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let mut admin = server.admin();
    let client = server.client();
    let bucket = bucket_of(&client);
    drop(client);
    for _ in 0..4 {
        bucket.call(set("k", b"v")).await.unwrap();
    }
    assert_eq!(admin.info("connected_clients"), 3);
    drop(bucket);
    let since = Instant::now();
    while admin.info("connected_clients") > 1 {
        assert!(since.elapsed() < RECOVERY, "still connected");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
