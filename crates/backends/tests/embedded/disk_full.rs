//! FAULTS.md, D4: the disk is full, and then it is not.

use coracle_backends::embedded::{Config, Store};
use coracle_capability::{
    contract::{CallError as _, Shared},
    keyvalue::{Call, Error, KeyValue, Reply},
};

use crate::mount::Mount;

#[tokio::test]
async fn a_full_disk_refuses_writes_keeps_reads_and_recovers() {
    let Some(disk) = Mount::tmpfs("8m") else {
        return eprintln!(
            "skipped a_full_disk_refuses_writes_keeps_reads_and_recovers: only root may mount"
        );
    };
    let store = Store::open(&Config {
        cache_bytes: 0,
        ..Config::new(disk.path().join("state"))
    })
    .unwrap();
    let bucket = store.bucket("shop", "orders");

    let (written, error) = fill(&bucket).await;
    assert!(written > 10, "{written}");
    assert!(error.is_temporary(), "{error}");
    assert_eq!(
        error.to_string(),
        "the bucket is unavailable: the disk of the embedded store is full"
    );

    // Somebody else takes the rest.
    let rest = disk.path().join("rest");
    _ = std::fs::write(&rest, vec![1; 8 << 20]);
    assert!(fill_from(&bucket, written).await.1.is_temporary());
    for at in 0..written {
        assert_eq!(
            bucket
                .call(Call::Get {
                    key: at.to_string()
                })
                .await,
            Ok(Reply::Value(Some(value(at))))
        );
    }

    std::fs::remove_file(rest).unwrap();
    for at in 0..written / 2 {
        bucket
            .call(Call::Delete {
                key: at.to_string(),
            })
            .await
            .expect("deleting makes room, and does not need much");
    }
    assert_eq!(
        bucket.call(Call::Get { key: "0".into() }).await,
        Ok(Reply::Value(None))
    );
}

#[tokio::test]
async fn writes_go_on_when_somebody_else_gives_space_back() {
    let Some(disk) = Mount::tmpfs("8m") else {
        return eprintln!(
            "skipped writes_go_on_when_somebody_else_gives_space_back: only root may mount"
        );
    };
    let rest = disk.path().join("rest");
    std::fs::write(&rest, vec![1; 5 << 20]).unwrap();
    let store = Store::open(&Config::new(disk.path().join("state"))).unwrap();
    let bucket = store.bucket("shop", "orders");
    let (written, _) = fill(&bucket).await;
    std::fs::remove_file(rest).unwrap();
    let (more, _) = fill_from(&bucket, written).await;
    assert!(more > written + 20, "{written} before, {more} after");
}

async fn fill(bucket: &Shared<KeyValue>) -> (usize, Error) {
    fill_from(bucket, 0).await
}

/// Writes until it is refused.
async fn fill_from(bucket: &Shared<KeyValue>, first: usize) -> (usize, Error) {
    for at in first.. {
        if let Err(error) = bucket
            .call(Call::Set {
                key: at.to_string(),
                value: value(at),
            })
            .await
        {
            return (at, error);
        }
    }
    unreachable!("the disk has an end")
}

fn value(at: usize) -> Vec<u8> {
    vec![at as u8; 50_000]
}
