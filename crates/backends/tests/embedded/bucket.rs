//! What buckets answer, and what apps see of each other.

use coracle_backends::embedded::{Config, Store};
use coracle_capability::{
    contract::Shared,
    keyvalue::{Call, Error, KeyValue, Reply, conformance},
};

fn store() -> (Store, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (
        Store::open(&Config::new(directory.path())).unwrap(),
        directory,
    )
}

fn get(key: &str) -> Call {
    Call::Get { key: key.into() }
}

fn set(key: &str, value: &str) -> Call {
    Call::Set {
        key: key.into(),
        value: value.into(),
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    pairs
        .iter()
        .map(|(key, value)| (key.to_string(), value.as_bytes().to_vec()))
        .collect()
}

async fn value(bucket: &Shared<KeyValue>, key: &str) -> Option<String> {
    match bucket.call(get(key)).await.unwrap() {
        Reply::Value(value) => value.map(|value| String::from_utf8(value).unwrap()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_embedded_bucket_conforms() {
    let (store, _directory) = store();
    conformance::run(&store.bucket("shop", "orders"), &Store::SUPPORT).await;
}

#[tokio::test]
async fn what_was_written_is_there_when_the_store_is_opened_again() {
    let (store, directory) = store();
    store
        .bucket("shop", "orders")
        .call(set("a", "1"))
        .await
        .unwrap();
    drop(store);
    let store = Store::open(&Config::new(directory.path())).unwrap();
    assert_eq!(
        value(&store.bucket("shop", "orders"), "a").await.as_deref(),
        Some("1")
    );
}

#[tokio::test]
async fn two_apps_with_the_same_bucket_name_do_not_see_each_other() {
    let (store, _directory) = store();
    // The last two would be one table if names were only joined.
    let names = [
        ("shop", "keys"),
        ("blog", "keys"),
        ("a", "b/c"),
        ("a/b", "c"),
        ("", "keys"),
        ("shop", ""),
    ];
    for (at, (app, bucket)) in names.into_iter().enumerate() {
        store
            .bucket(app, bucket)
            .call(set("who", &at.to_string()))
            .await
            .unwrap();
    }
    for (at, (app, bucket)) in names.into_iter().enumerate() {
        assert_eq!(
            value(&store.bucket(app, bucket), "who").await,
            Some(at.to_string()),
            "{app:?} {bucket:?}"
        );
    }
    store
        .bucket("shop", "keys")
        .call(Call::Delete { key: "who".into() })
        .await
        .unwrap();
    assert_eq!(
        value(&store.bucket("blog", "keys"), "who").await.as_deref(),
        Some("1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_reads_what_was_acknowledged_to_it() {
    let (store, _directory) = store();
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let bucket = store.bucket("shop", "orders");
            tokio::spawn(async move {
                for round in 0..50 {
                    bucket
                        .call(set(&format!("{task}"), &format!("{round}")))
                        .await
                        .unwrap();
                    assert_eq!(
                        value(&bucket, &format!("{task}")).await,
                        Some(format!("{round}"))
                    );
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_that_wait_together_share_a_commit() {
    let (store, _directory) = store();
    let writers: Vec<_> = (0..64)
        .map(|writer| {
            let bucket = store.bucket("shop", "orders");
            tokio::spawn(async move {
                for round in 0..20 {
                    bucket
                        .call(set(&format!("{writer}/{round}"), "x"))
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let commits = store.commits();
    assert!(
        commits < 64 * 20 / 4,
        "{commits} commits for {} writes",
        64 * 20
    );
}

#[tokio::test]
async fn a_failing_increment_leaves_the_writes_beside_it_alone() {
    let (store, _directory) = store();
    let bucket = store.bucket("shop", "orders");
    bucket.call(set("text", "seven")).await.unwrap();
    let increment = || Call::Increment {
        key: "text".into(),
        delta: 1,
    };
    let (before, fails, after) = tokio::join!(
        bucket.call(set("before", "1")),
        bucket.call(increment()),
        bucket.call(set("after", "2"))
    );
    assert_eq!((before, after), (Ok(Reply::Done), Ok(Reply::Done)));
    assert_eq!(fails, Err(Error::NotANumber("text".into())));
    assert_eq!(value(&bucket, "text").await.as_deref(), Some("seven"));
}

#[tokio::test]
async fn a_bucket_is_seeded_once() {
    let (store, directory) = store();
    let seed = || pairs(&[("a", "1"), ("b", "2")]);
    assert!(store.seed("shop", "keys", seed()).await.unwrap());
    assert!(!store.seed("shop", "keys", seed()).await.unwrap());
    let bucket = store.bucket("shop", "keys");
    assert_eq!(value(&bucket, "b").await.as_deref(), Some("2"));

    bucket
        .call(Call::DeleteMany {
            keys: vec!["a".into(), "b".into()],
        })
        .await
        .unwrap();
    drop((bucket, store));
    let store = Store::open(&Config::new(directory.path())).unwrap();
    assert!(!store.seed("shop", "keys", seed()).await.unwrap());
    assert_eq!(value(&store.bucket("shop", "keys"), "a").await, None);
    assert!(store.seed("blog", "keys", seed()).await.unwrap());
}

#[tokio::test]
async fn a_bucket_that_holds_data_is_not_seeded_now_or_later() {
    let (store, _directory) = store();
    let bucket = store.bucket("shop", "keys");
    bucket.call(set("mine", "1")).await.unwrap();
    assert!(
        !store
            .seed("shop", "keys", pairs(&[("a", "1")]))
            .await
            .unwrap()
    );
    bucket
        .call(Call::Delete { key: "mine".into() })
        .await
        .unwrap();
    assert!(
        !store
            .seed("shop", "keys", pairs(&[("a", "1")]))
            .await
            .unwrap()
    );
    assert_eq!(value(&bucket, "a").await, None);
}

#[tokio::test]
async fn no_call_and_no_reply_is_unbounded() {
    let (store, _directory) = store();
    let bucket = store.bucket("shop", "keys");
    let big = Call::Set {
        key: "big".into(),
        value: vec![0; 17 << 20],
    };
    assert!(matches!(bucket.call(big).await, Err(Error::TooLarge(_))));
    let many = Call::DeleteMany {
        keys: vec![String::new(); 1 << 20],
    };
    assert!(matches!(bucket.call(many).await, Err(Error::TooLarge(_))));

    bucket
        .call(Call::Set {
            key: "8m".into(),
            value: vec![0; 8 << 20],
        })
        .await
        .unwrap();
    let nine = Call::GetMany {
        keys: vec!["8m".into(); 9],
    };
    assert!(matches!(bucket.call(nine).await, Err(Error::TooLarge(_))));

    let pairs = (0..1_200).map(|at| (format!("k{at:04}"), vec![])).collect();
    bucket.call(Call::SetMany { pairs }).await.unwrap();
    let all = Call::List {
        prefix: "k".into(),
        after: None,
        limit: u32::MAX,
    };
    match bucket.call(all).await.unwrap() {
        Reply::Keys { keys, more: true } => assert_eq!(keys.len(), 1_000),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_queue_smaller_than_the_writes_makes_them_wait() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config {
        queue_bytes: 0,
        ..Config::new(directory.path())
    };
    let store = Store::open(&config).unwrap();
    // 24 writes of 4 MiB through a queue of 16 MiB.
    let writes: Vec<_> = (0..24)
        .map(|at| {
            let bucket = store.bucket("shop", "keys");
            let call = Call::Set {
                key: at.to_string(),
                value: vec![at; 4 << 20],
            };
            tokio::spawn(async move { bucket.call(call).await })
        })
        .collect();
    for write in writes {
        assert_eq!(write.await.unwrap(), Ok(Reply::Done));
    }
}
