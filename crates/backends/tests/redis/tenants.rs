//! FAULTS.md, C7: apps that share one Redis, and everything a key can hold. No key crosses.

use std::{sync::Arc, time::Duration};

use coracle_backends::redis::{BucketSettings, Client, Config};
use coracle_capability::{
    contract::Shared,
    keyvalue::{Call, KeyValue, Memory, Reply},
};

use crate::server::{Bucket, Server, list, set, value};

/// Keys, prefixes and cursors: separators, patterns, what looks like another's name, composed and decomposed letters.
const KEYS: [&str; 40] = [
    "",
    "a",
    "b",
    "a:../b",
    "../b",
    "..",
    "/",
    "*",
    "?",
    "[a-z]",
    "[",
    "]",
    "a*",
    "a\\*",
    "\\",
    ":",
    "::",
    "a:",
    ":a",
    "v:a",
    ":v:a",
    "i",
    "s",
    ":i",
    "}",
    "{",
    "{a}",
    "}:v:a",
    "}:i",
    "coracle:{4:shop:6:orders}:v:a",
    "coracle:{4:blog:6:orders}:i",
    "\u{e9}",
    "e\u{301}",
    "\u{0}",
    "a\u{0}",
    "\r\n",
    "a\r\n*1\r\n$8\r\nFLUSHALL",
    "(",
    "+",
    "\u{10ffff}",
];

/// Two apps with the same bucket, one app with another bucket, and names made to look like each other.
const BUCKETS: [(&str, &str, &str); 8] = [
    ("", "shop", "orders"),
    ("", "blog", "orders"),
    ("", "shop", "orders}:v:"),
    ("", "shop:6", "orders"),
    ("", "*", "orders"),
    ("team-a:", "shop", "orders"),
    ("team-a:c", "shop", "orders"),
    ("*", "shop", "orders"),
];

#[tokio::test(flavor = "multi_thread")]
async fn no_key_crosses_in_2_000_random_operations() {
    cross(2_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_no_key_crosses_in_100_000_random_operations() {
    cross(100_000).await;
}

/// Each bucket beside a model of its own: an answer that differs came from somebody else's key, or is wrong.
async fn cross(operations: usize) {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let client = Client::new(Config {
        timeout: Duration::from_secs(10),
        ..Config::new(&server.url()).unwrap()
    });
    let client = client.unwrap();
    let tenants = BUCKETS.map(|(path, app, bucket)| {
        let settings = BucketSettings {
            path: path.parse().unwrap(),
            ttl: None,
        };
        let model: Shared<KeyValue> = Arc::new(Memory::default());
        (client.bucket(app, bucket, &settings), model)
    });
    let mut random = Random(0x5eed);
    for round in 0..operations {
        let (bucket, model) = &tenants[random.below(BUCKETS.len())];
        let call = random.call(round);
        let (answer, expected) = tokio::join!(bucket.call(call.clone()), model.call(call.clone()));
        assert_eq!(answer, expected, "operation {round}: {call:?}");
    }
    for (bucket, model) in &tenants {
        assert_eq!(everything(bucket).await, everything(model).await);
    }
}

async fn everything(bucket: &Bucket) -> (Vec<String>, Reply) {
    let Ok(Reply::Keys { keys, more: false }) = bucket.call(list("", None, 1_000)).await else {
        panic!("more keys than there are")
    };
    let values = bucket.call(Call::GetMany { keys: keys.clone() }).await;
    (keys, values.unwrap())
}

/// A small generator of its own, so that a failure is the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % end
    }

    /// Most often one of the keys as it is, else two of them together.
    fn key(&mut self) -> String {
        let first = KEYS[self.below(KEYS.len())];
        match self.below(4) {
            0 => [first, KEYS[self.below(KEYS.len())]].concat(),
            _ => first.to_string(),
        }
    }

    fn keys(&mut self) -> Vec<String> {
        (0..self.below(6)).map(|_| self.key()).collect()
    }

    fn value(&mut self, round: usize) -> Vec<u8> {
        match self.below(4) {
            0 => self.below(9).to_string().into_bytes(),
            1 => self.key().into_bytes(),
            2 => vec![],
            _ => format!("{round}").into_bytes(),
        }
    }

    fn call(&mut self, round: usize) -> Call {
        let key = self.key();
        match self.below(12) {
            0 | 1 => Call::Get { key },
            2 | 3 => Call::Set {
                key,
                value: self.value(round),
            },
            4 => Call::Delete { key },
            5 => Call::Exists { key },
            6 | 7 => Call::List {
                prefix: if self.below(2) == 0 {
                    String::new()
                } else {
                    key
                },
                after: (self.below(2) == 0).then(|| self.key()),
                limit: self.below(12) as u32,
            },
            8 => Call::GetMany { keys: self.keys() },
            9 => {
                let keys = self.keys();
                let pairs = keys
                    .into_iter()
                    .map(|key| (key, self.value(round)))
                    .collect();
                Call::SetMany { pairs }
            }
            10 => match self.below(2) {
                0 => Call::DeleteMany { keys: self.keys() },
                _ => Call::Increment {
                    key,
                    delta: self.below(100) as i64 - 50,
                },
            },
            _ => Call::CompareAndSwap {
                key,
                expected: (self.below(2) == 0).then(|| self.value(round)),
                value: self.value(round),
            },
        }
    }
}

#[tokio::test]
async fn a_list_with_patterns_in_every_name_shows_its_own_keys_only() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let client = server.client();
    let settings = BucketSettings::default();
    let other = client.bucket("shop", "orders", &settings);
    other.call(set("secret", b"1")).await.unwrap();
    for app in ["*", "?hop", "[s]hop", "sho*", "shop*"] {
        let bucket = client.bucket(app, "*", &settings);
        bucket.call(set("*", b"mine")).await.unwrap();
        for prefix in ["", "*", "?", "[", "[a-z]", "s", "secret"] {
            let Ok(Reply::Keys { keys, .. }) = bucket.call(list(prefix, None, 100)).await else {
                panic!("no keys")
            };
            assert!(
                keys.iter().all(|key| key == "*"),
                "{app} {prefix}: {keys:?}"
            );
        }
        assert_eq!(bucket.call(crate::server::get("*")).await, value(b"mine"));
    }
}
