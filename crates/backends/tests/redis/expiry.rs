//! Buckets whose keys expire.

use std::time::{Duration, Instant};

use coracle_backends::redis::{BucketSettings, Client};
use coracle_capability::keyvalue::{Call, Reply};

use crate::server::{
    Bucket, INDEX, Server, bucket_of, exists, get, increment, keys, list, set, value, wire,
};

fn expiring(client: &Client, ttl_ms: u64) -> Bucket {
    let settings = BucketSettings {
        ttl: Some(Duration::from_millis(ttl_ms)),
        ..BucketSettings::default()
    };
    client.bucket("shop", "orders", &settings)
}

/// Waits until a key is gone.
async fn gone(bucket: &Bucket, key: &str) {
    let since = Instant::now();
    while bucket.call(get(key)).await != Ok(Reply::Value(None)) {
        assert!(
            since.elapsed() < Duration::from_secs(5),
            "{key} does not expire"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_expired_key_is_gone_from_every_answer() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let client = server.client();
    let bucket = expiring(&client, 400);
    bucket.call(set("a", b"1")).await.unwrap();
    let pairs = vec![("b".to_string(), vec![]), ("c".to_string(), vec![])];
    bucket.call(Call::SetMany { pairs }).await.unwrap();
    bucket.call(increment("n", 1)).await.unwrap();
    let swap = Call::CompareAndSwap {
        key: "s".into(),
        expected: None,
        value: b"1".to_vec(),
    };
    bucket.call(swap.clone()).await.unwrap();
    assert_eq!(
        bucket.call(list("", None, 9)).await,
        keys(&["a", "b", "c", "n", "s"])
    );

    for key in ["a", "b", "c", "n", "s"] {
        gone(&bucket, key).await;
        assert_eq!(bucket.call(exists(key)).await, Ok(Reply::Exists(false)));
    }
    assert_eq!(bucket.call(list("", None, 9)).await, keys(&[]));
    let all = Call::GetMany {
        keys: vec!["a".into(), "n".into()],
    };
    assert_eq!(bucket.call(all).await, Ok(Reply::Values(vec![None, None])));
    assert_eq!(server.admin().ask::<u64>("DBSIZE"), 0);
    assert_eq!(bucket.call(increment("n", 1)).await, Ok(Reply::Number(1)));
    assert_eq!(bucket.call(swap).await, Ok(Reply::Swapped(true)));
}

#[tokio::test]
async fn every_write_begins_the_life_of_a_key_anew() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let bucket = expiring(&server.client(), 3_600_000);
    let mut admin = server.admin();
    let swap = Call::CompareAndSwap {
        key: "k".into(),
        expected: Some(b"3".into()),
        value: b"4".to_vec(),
    };
    for call in [set("k", b"2"), increment("k", 1), swap] {
        bucket.call(call.clone()).await.unwrap();
        let left: u64 = admin.ask(&format!("PTTL {}", wire("k")));
        assert!((3_590_000..=3_600_000).contains(&left), "{call:?}: {left}");
        let _: u64 = admin.ask(&format!("PEXPIRE {} 5000", wire("k")));
    }
}

/// The operator changes `ttl`, and both kinds of keys are in one bucket.
#[tokio::test]
async fn keys_that_live_for_ever_stay_listed_beside_those_that_expire() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let client = server.client();
    let (lasting, expiring) = (bucket_of(&client), expiring(&client, 50));
    lasting.call(set("lasting", b"1")).await.unwrap();
    expiring.call(set("short", b"1")).await.unwrap();
    gone(&expiring, "short").await;
    assert_eq!(server.admin().ask::<i64>(&format!("PTTL {INDEX}")), -1);
    assert_eq!(expiring.call(list("", None, 9)).await, keys(&["lasting"]));

    expiring.call(set("n", b"1")).await.unwrap();
    lasting.call(increment("n", 1)).await.unwrap();
    assert_eq!(
        server.admin().ask::<i64>(&format!("PTTL {}", wire("n"))),
        -1
    );
    assert_eq!(lasting.call(get("n")).await, value(b"2"));
}

#[tokio::test]
async fn an_index_that_nobody_lists_does_not_grow_for_ever() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let bucket = expiring(&server.client(), 5);
    for at in 0..3_000 {
        bucket.call(set(&format!("{at}"), b"")).await.unwrap();
    }
    let entries: u64 = server.admin().ask(&format!("ZCARD {INDEX}"));
    assert!(entries < 1_000, "{entries} of 3000");
}

#[tokio::test]
async fn a_list_passes_over_thousands_of_expired_keys() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let bucket = server.bucket();
    let mut admin = server.admin();
    for from in (0..12_000).step_by(1_000) {
        let entries: Vec<String> = (from..from + 1_000)
            .map(|at| format!("0 k{at:05}"))
            .collect();
        let _: u64 = admin.ask(&format!("ZADD {INDEX} {}", entries.join(" ")));
    }
    bucket.call(set("k99999", b"")).await.unwrap();
    assert_eq!(bucket.call(list("k", None, 5)).await, keys(&["k99999"]));
    assert_eq!(admin.ask::<u64>(&format!("ZCARD {INDEX}")), 1);
}
