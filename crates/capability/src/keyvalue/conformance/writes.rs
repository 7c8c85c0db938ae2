//! The cases that need a bucket that can be written.

use super::{Bucket, expect, get, set};
use crate::{
    contract::Shared,
    keyvalue::{Call, Error, KeyValue, Reply},
};

pub(super) async fn reads_what_was_written(bucket: &Bucket) {
    expect(bucket, get("suite/absent"), Ok(Reply::Value(None))).await;
    for value in [&b""[..], b"\0\xff", &[7; 100_000]] {
        expect(bucket, set("suite/\u{e4} k", value), Ok(Reply::Done)).await;
        expect(
            bucket,
            get("suite/\u{e4} k"),
            Ok(Reply::Value(Some(value.to_vec()))),
        )
        .await;
    }
    expect(
        bucket,
        Call::Exists {
            key: "suite/\u{e4} k".into(),
        },
        Ok(Reply::Exists(true)),
    )
    .await;
    for _ in 0..2 {
        expect(
            bucket,
            Call::Delete {
                key: "suite/\u{e4} k".into(),
            },
            Ok(Reply::Done),
        )
        .await;
    }
    expect(
        bucket,
        Call::Exists {
            key: "suite/\u{e4} k".into(),
        },
        Ok(Reply::Exists(false)),
    )
    .await;
}

pub(super) async fn lists_in_order_and_in_pages(bucket: &Bucket) {
    for key in [
        "suite/l/b",
        "suite/l/a",
        "suite/l/*",
        "suite/m",
        "suite/l/\u{7f}",
        "suite/l/\u{e9}",
    ] {
        expect(bucket, set(key, b"1"), Ok(Reply::Done)).await;
    }
    let page = |after: Option<&str>, limit| Call::List {
        prefix: "suite/l/".into(),
        after: after.map(Into::into),
        limit,
    };
    let keys = |keys: &[&str], more| {
        Ok(Reply::Keys {
            keys: keys.iter().map(ToString::to_string).collect(),
            more,
        })
    };
    expect(
        bucket,
        page(None, 2),
        keys(&["suite/l/*", "suite/l/a"], true),
    )
    .await;
    expect(
        bucket,
        page(Some("suite/l/a"), 2),
        keys(&["suite/l/b", "suite/l/\u{7f}"], true),
    )
    .await;
    expect(
        bucket,
        page(Some("suite/l/\u{7f}"), 2),
        keys(&["suite/l/\u{e9}"], false),
    )
    .await;
}

pub(super) async fn batches_keep_their_order(bucket: &Bucket) {
    let pairs = vec![
        ("suite/b1".to_string(), b"1".to_vec()),
        ("suite/b2".to_string(), b"2".to_vec()),
    ];
    expect(bucket, Call::SetMany { pairs }, Ok(Reply::Done)).await;
    let keys: Vec<String> = ["suite/b2", "suite/none", "suite/b1", "suite/b2"]
        .map(Into::into)
        .into();
    let values = vec![
        Some(b"2".to_vec()),
        None,
        Some(b"1".to_vec()),
        Some(b"2".to_vec()),
    ];
    expect(
        bucket,
        Call::GetMany { keys: keys.clone() },
        Ok(Reply::Values(values)),
    )
    .await;
    expect(
        bucket,
        Call::DeleteMany { keys: keys.clone() },
        Ok(Reply::Done),
    )
    .await;
    expect(
        bucket,
        Call::GetMany { keys },
        Ok(Reply::Values(vec![None; 4])),
    )
    .await;
    expect(
        bucket,
        Call::GetMany { keys: vec![] },
        Ok(Reply::Values(vec![])),
    )
    .await;
    expect(bucket, Call::SetMany { pairs: vec![] }, Ok(Reply::Done)).await;
}

pub(super) async fn counts(bucket: &Bucket) {
    let add = |delta| Call::Increment {
        key: "suite/n".into(),
        delta,
    };
    expect(bucket, add(5), Ok(Reply::Number(5))).await;
    expect(bucket, add(-7), Ok(Reply::Number(-2))).await;
    expect(
        bucket,
        get("suite/n"),
        Ok(Reply::Value(Some(b"-2".to_vec()))),
    )
    .await;
    expect(bucket, set("suite/n", b"seven"), Ok(Reply::Done)).await;
    expect(bucket, add(1), Err(Error::NotANumber("suite/n".into()))).await;
    expect(
        bucket,
        set("suite/n", i64::MAX.to_string().as_bytes()),
        Ok(Reply::Done),
    )
    .await;
    expect(bucket, add(1), Err(Error::NotANumber("suite/n".into()))).await;
}

pub(super) async fn swaps_only_what_is_expected(bucket: &Bucket) {
    let swap = |expected: Option<&[u8]>, value: &[u8]| Call::CompareAndSwap {
        key: "suite/c".into(),
        expected: expected.map(Into::into),
        value: value.to_vec(),
    };
    expect(bucket, swap(Some(b"x"), b"y"), Ok(Reply::Swapped(false))).await;
    expect(bucket, swap(None, b"1"), Ok(Reply::Swapped(true))).await;
    expect(bucket, swap(None, b"2"), Ok(Reply::Swapped(false))).await;
    expect(bucket, swap(Some(b"1"), b"2"), Ok(Reply::Swapped(true))).await;
    expect(
        bucket,
        get("suite/c"),
        Ok(Reply::Value(Some(b"2".to_vec()))),
    )
    .await;
}

pub(super) async fn increments_of_many_callers_add_up(bucket: &Shared<KeyValue>) {
    let callers: Vec<_> = (0..16)
        .map(|_| {
            let bucket = bucket.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    bucket
                        .call(Call::Increment {
                            key: "suite/many".into(),
                            delta: 1,
                        })
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    expect(
        &**bucket,
        get("suite/many"),
        Ok(Reply::Value(Some(b"160".to_vec()))),
    )
    .await;
}
