//! What buckets answer.

use coracle_backends::redis::{BucketSettings, Client, Config};
use coracle_capability::{
    contract::Contract as _,
    keyvalue::{Call, Error, KeyValue, Reply, conformance},
};

use crate::server::{INDEX, Server, bucket_of, delete, exists, get, keys, list, set, value, wire};

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let row = conformance::run(&server.bucket(), &Client::SUPPORT).await;
    assert!(
        row.contains("| redis | yes |") && !row.contains("no"),
        "{row}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_where_keys_expire() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let settings = BucketSettings {
        ttl: Some(std::time::Duration::from_secs(600)),
        path: "team-a:".parse().unwrap(),
    };
    let bucket = server.client().bucket("shop", "orders", &settings);
    conformance::run(&bucket, &Client::SUPPORT).await;
}

#[tokio::test]
async fn a_forgotten_script_is_sent_again() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let bucket = server.bucket();
    for _ in 0..2 {
        let (): () = server.admin().ask("SCRIPT FLUSH");
        assert_eq!(bucket.call(set("k", b"v")).await, Ok(Reply::Done));
        assert_eq!(bucket.call(list("", None, 9)).await, keys(&["k"]));
    }
}

#[tokio::test]
async fn leaves_nothing_behind() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let bucket = server.bucket();
    for key in ["", "a", "b"] {
        bucket.call(set(key, b"")).await.unwrap();
    }
    assert_eq!(bucket.call(list("", None, 9)).await, keys(&["", "a", "b"]));
    assert_eq!(bucket.call(list("", Some(""), 9)).await, keys(&["a", "b"]));
    assert_eq!(bucket.call(get("")).await, value(b""));
    bucket.call(delete("")).await.unwrap();
    let keys = vec!["a".into(), "b".into(), "a".into(), "absent".into()];
    bucket.call(Call::DeleteMany { keys }).await.unwrap();
    assert_eq!(server.admin().ask::<u64>("DBSIZE"), 0);
}

#[tokio::test]
async fn finds_in_redis_what_another_program_wrote() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let bucket = server.bucket();
    let (): () = server.admin().ask(&format!("SET {} 41", wire("n")));
    assert_eq!(bucket.call(get("n")).await, value(b"41"));
    assert_eq!(bucket.call(exists("n")).await, Ok(Reply::Exists(true)));
    let sum = bucket.call(crate::server::increment("n", 1)).await;
    assert_eq!(sum, Ok(Reply::Number(42)));
    let text: String = server.admin().ask(&format!("GET {}", wire("n")));
    assert_eq!(text, "42");
}

#[tokio::test]
async fn something_else_at_a_key_fails_and_is_replaced_by_a_set() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let bucket = server.bucket();
    let _: u64 = server.admin().ask(&format!("RPUSH {} x", wire("k")));
    let keys = vec!["k".to_string()];
    for call in [
        get("k"),
        Call::GetMany { keys },
        crate::server::increment("k", 1),
    ] {
        let error = bucket.call(call).await.unwrap_err();
        assert_eq!(
            error,
            Error::Failed("another program keeps something else at a key".into())
        );
    }
    assert_eq!(bucket.call(set("k", b"v")).await, Ok(Reply::Done));
    assert_eq!(bucket.call(get("k")).await, value(b"v"));
}

#[tokio::test]
async fn a_key_whose_value_is_gone_is_not_listed_and_forgotten() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let bucket = server.bucket();
    for key in ["a", "b", "c"] {
        bucket.call(set(key, b"1")).await.unwrap();
    }
    let mut admin = server.admin();
    let _: u64 = admin.ask(&format!("DEL {}", wire("b")));
    let page = |keys: &[&str], more| {
        Ok(Reply::Keys {
            keys: keys.iter().map(ToString::to_string).collect(),
            more,
        })
    };
    assert_eq!(bucket.call(list("", None, 1)).await, page(&["a"], true));
    assert_eq!(
        bucket.call(list("", Some("a"), 1)).await,
        page(&["c"], false)
    );
    assert_eq!(admin.ask::<u64>(&format!("ZCARD {INDEX}")), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_seen_whole_or_not_at_all() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let client = server.client();
    let (writer, reader) = (bucket_of(&client), bucket_of(&client));
    let both = |value: &str| {
        let pair = |key: &str| (key.to_string(), value.as_bytes().to_vec());
        Call::SetMany {
            pairs: vec![pair("left"), pair("right")],
        }
    };
    writer.call(both("0")).await.unwrap();
    let writing = tokio::spawn(async move {
        for round in 0..500 {
            writer.call(both(&round.to_string())).await.unwrap();
        }
    });
    while !writing.is_finished() {
        let keys = vec!["left".to_string(), "right".to_string()];
        let Reply::Values(values) = reader.call(Call::GetMany { keys }).await.unwrap() else {
            panic!("not values")
        };
        assert_eq!(values[0], values[1]);
    }
    writing.await.unwrap();
}

#[tokio::test]
async fn refuses_what_it_could_not_read_again() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let bucket = server.bucket();
    let long = "k".repeat(1_025);
    let large = vec![0; (4 << 20) + 1];
    for call in [
        set(&long, b""),
        set("k", &large),
        crate::server::increment(&long, 1),
        Call::CompareAndSwap {
            key: "k".into(),
            expected: None,
            value: large.clone(),
        },
        Call::SetMany {
            pairs: vec![("a".into(), vec![]), ("k".into(), large.clone())],
        },
        Call::SetMany {
            pairs: vec![("k".into(), vec![0; 1 << 20]); 17],
        },
        Call::SetMany {
            pairs: vec![("k".into(), vec![]); 1_001],
        },
        Call::DeleteMany {
            keys: vec!["k".into(); 1_001],
        },
        Call::GetMany {
            keys: vec!["k".into(); 1_001],
        },
    ] {
        let answer = bucket.call(call.clone()).await;
        let call = KeyValue::operation(&call);
        assert!(
            matches!(answer, Err(Error::TooLarge(_))),
            "{call}: {answer:?}"
        );
    }
    assert_eq!(server.admin().ask::<u64>("DBSIZE"), 0);
    let exact = vec![7; 4 << 20];
    assert_eq!(
        bucket.call(set(&"k".repeat(1_024), &exact)).await,
        Ok(Reply::Done)
    );
    assert_eq!(bucket.call(get(&"k".repeat(1_024))).await, value(&exact));
}

#[tokio::test]
async fn the_first_data_is_written_once_and_never_over_a_bucket_in_use() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let client = server.client();
    let settings = BucketSettings::default();
    let pairs = || {
        vec![
            ("a".to_string(), b"seeded".to_vec()),
            ("b".into(), b"seeded".to_vec()),
        ]
    };
    let seed = |app| client.seed(app, "orders", &settings, pairs());
    assert_eq!(seed("shop").await, Ok(true));
    let bucket = client.bucket("shop", "orders", &settings);
    assert_eq!(bucket.call(list("", None, 9)).await, keys(&["a", "b"]));
    for key in ["a", "b"] {
        bucket.call(delete(key)).await.unwrap();
    }
    assert_eq!(seed("shop").await, Ok(false));
    assert_eq!(bucket.call(list("", None, 9)).await, keys(&[]));

    let used = client.bucket("blog", "orders", &settings);
    used.call(set("mine", b"")).await.unwrap();
    assert_eq!(seed("blog").await, Ok(false));
    assert_eq!(used.call(list("", None, 9)).await, keys(&["mine"]));
}

#[tokio::test]
async fn keys_of_one_database_are_not_in_another() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let first = server.bucket();
    let third = bucket_of(&crate::server::client_at(&format!("{}/3", server.url())));
    third.call(set("k", b"v")).await.unwrap();
    assert_eq!(first.call(get("k")).await, Ok(Reply::Value(None)));
    assert_eq!(third.call(get("k")).await, value(b"v"));
}

#[tokio::test]
async fn the_first_data_may_be_more_than_a_batch() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let client = Client::new(Config {
        timeout: std::time::Duration::from_secs(10),
        ..Config::new(&server.url()).unwrap()
    });
    let client = client.unwrap();
    let settings = BucketSettings::default();
    let seed = |entries| {
        let pairs = (0..entries).map(|at| (format!("{at:05}"), b"1".to_vec()));
        client.seed("shop", "orders", &settings, pairs.collect())
    };
    assert!(matches!(seed(10_001).await, Err(Error::TooLarge(_))));
    assert_eq!(seed(10_000).await, Ok(true));
    assert_eq!(bucket_of(&client).call(get("09999")).await, value(b"1"));
}
