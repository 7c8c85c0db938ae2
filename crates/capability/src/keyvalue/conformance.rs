//! What every backend of a bucket must do, as one suite.
//!
//! In: a bucket and what its backend says it cannot do. Out: the row of the table, or a panic that names the expectation. Run by
//! the tests of each backend; what is skipped is said on standard error.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed expectation ends the test that runs the suite"
)]

mod writes;

use super::contract::{Call, Error, KeyValue, Reply};
use crate::contract::{Backend, Contract as _, Shared, Support};

/// What a backend without writes must hold before the suite runs, and nothing else.
pub const SEED: [(&str, &str); 4] = [
    ("seed-a", "one"),
    ("seed-b", ""),
    ("seed-c", "\u{e4} \u{1f512}"),
    ("seed-d", "{\"n\": 1}"),
];

/// The columns of the table that docs/capabilities.md shows.
pub fn operations() -> [&'static str; 10] {
    samples().map(|call| KeyValue::operation(&call))
}

const WRITES: [&str; 6] = [
    "set",
    "delete",
    "set-many",
    "delete-many",
    "increment",
    "compare-and-swap",
];

/// Runs the suite and answers with the backend's row of the table under [`operations`].
///
/// A bucket that can be written is to be empty and is left with keys below `seed-` and `suite/`; one that cannot holds [`SEED`].
pub async fn run(bucket: &Shared<KeyValue>, support: &Support) -> String {
    refuses_what_it_cannot_do(&**bucket, support).await;
    if support.has("set") {
        for (key, value) in SEED {
            expect(&**bucket, set(key, value.as_bytes()), Ok(Reply::Done)).await;
        }
    }
    reads_what_is_seeded(&**bucket).await;
    if support.runs("reads_what_was_written", &["set", "delete"]) {
        writes::reads_what_was_written(&**bucket).await;
    }
    if support.runs("lists_in_order_and_in_pages", &["set"]) {
        writes::lists_in_order_and_in_pages(&**bucket).await;
    }
    if support.runs("batches_keep_their_order", &["set-many", "delete-many"]) {
        writes::batches_keep_their_order(&**bucket).await;
    }
    if support.runs("counts", &["set", "increment"]) {
        writes::counts(&**bucket).await;
        writes::increments_of_many_callers_add_up(bucket).await;
    }
    if support.runs("swaps_only_what_is_expected", &["compare-and-swap"]) {
        writes::swaps_only_what_is_expected(&**bucket).await;
    }
    support.row(&operations())
}

/// One call of every operation.
fn samples() -> [Call; 10] {
    let key = || "seed-a".to_string();
    [
        get("seed-a"),
        Call::Exists { key: key() },
        Call::List {
            prefix: String::new(),
            after: None,
            limit: 1,
        },
        Call::GetMany { keys: vec![key()] },
        set("seed-a", b"other"),
        Call::Delete { key: key() },
        Call::SetMany {
            pairs: vec![(key(), b"other".to_vec())],
        },
        Call::DeleteMany { keys: vec![key()] },
        Call::Increment {
            key: key(),
            delta: 1,
        },
        Call::CompareAndSwap {
            key: key(),
            expected: None,
            value: b"other".to_vec(),
        },
    ]
}

async fn refuses_what_it_cannot_do(bucket: &Bucket, support: &Support) {
    for call in samples() {
        let operation = KeyValue::operation(&call);
        if support.has(operation) {
            continue;
        }
        if !WRITES.contains(&operation) {
            panic!("{} is no bucket: it cannot {operation}", support.backend);
        }
        let answer = bucket.call(call).await;
        if !matches!(answer, Err(Error::Denied(_))) {
            panic!("{operation} is declared as unsupported, and answered {answer:?}");
        }
    }
}

async fn reads_what_is_seeded(bucket: &Bucket) {
    for (key, value) in SEED {
        let there = Call::Exists { key: key.into() };
        expect(bucket, there, Ok(Reply::Exists(true))).await;
        expect(bucket, get(key), Ok(Reply::Value(Some(value.into())))).await;
    }
    expect(bucket, get("seed-"), Ok(Reply::Value(None))).await;
    let absent = Call::Exists {
        key: "seed-".into(),
    };
    expect(bucket, absent, Ok(Reply::Exists(false))).await;
    let many = Call::GetMany {
        keys: ["seed-c", "none", "seed-a"].map(Into::into).into(),
    };
    let values = vec![Some("\u{e4} \u{1f512}".into()), None, Some("one".into())];
    expect(bucket, many, Ok(Reply::Values(values))).await;
    let page = |after: Option<&str>| Call::List {
        prefix: "seed-".into(),
        after: after.map(Into::into),
        limit: 3,
    };
    let keys = |keys: &[&str], more| {
        Ok(Reply::Keys {
            keys: keys.iter().map(ToString::to_string).collect(),
            more,
        })
    };
    expect(
        bucket,
        page(None),
        keys(&["seed-a", "seed-b", "seed-c"], true),
    )
    .await;
    expect(bucket, page(Some("seed-c")), keys(&["seed-d"], false)).await;
    let nothing = Call::List {
        prefix: "none-".into(),
        after: None,
        limit: 3,
    };
    expect(bucket, nothing, keys(&[], false)).await;
}

type Bucket = dyn Backend<KeyValue>;

fn get(key: &str) -> Call {
    Call::Get { key: key.into() }
}

fn set(key: &str, value: &[u8]) -> Call {
    Call::Set {
        key: key.into(),
        value: value.to_vec(),
    }
}

async fn expect(bucket: &Bucket, call: Call, expected: Result<Reply, Error>) {
    let answer = bucket.call(call.clone()).await;
    if answer != expected {
        panic!("{call:?}\n  expected {expected:?}\n  answered {answer:?}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::{
        contract::Shared,
        keyvalue::{KeyValue, Memory},
    };

    #[tokio::test]
    async fn the_bucket_in_memory_conforms() {
        let bucket: Shared<KeyValue> = Arc::new(Memory::default());
        let row = super::run(&bucket, &Memory::SUPPORT).await;
        assert_eq!(row, format!("| memory{} |", " | yes".repeat(10)));
    }
}
