//! Numbers are read and counted exactly as by every other backend.

use coracle_capability::keyvalue::{Reply, memory::incremented};

use crate::server::{Server, get, increment, set, value};

#[tokio::test]
async fn counts_exactly_as_the_contract_reads_numbers() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let bucket = server.bucket();
    let zeros = format!("-{}5", "0".repeat(100));
    let long = "9".repeat(4_000);
    let texts: [&[u8]; 28] = [
        b"0",
        b"-0",
        b"+0",
        b"5",
        b"+5",
        b"007",
        b"-007",
        b"",
        b" 5",
        b"5 ",
        b"-",
        b"+",
        b"--5",
        b"+-5",
        b"1e3",
        b"0x10",
        b"5\n",
        b"5\0",
        b"\xff",
        "\u{663}".as_bytes(),
        b"1.0",
        b"nan",
        b"9223372036854775807",
        b"-9223372036854775808",
        b"9223372036854775808",
        b"+9223372036854775806",
        zeros.as_bytes(),
        long.as_bytes(),
    ];
    for text in texts {
        for delta in [0, 1, -1, 9_007_199_254_740_993, i64::MAX, i64::MIN] {
            bucket.call(set("n", text)).await.unwrap();
            let expected = incremented("n", Some(text), delta);
            let answer = bucket.call(increment("n", delta)).await;
            let shown = String::from_utf8_lossy(text);
            assert_eq!(
                answer,
                expected.clone().map(Reply::Number),
                "{shown:.40?} + {delta}"
            );
            let left = expected.map_or(text.to_vec(), |number| number.to_string().into_bytes());
            assert_eq!(
                bucket.call(get("n")).await,
                value(&left),
                "{shown:.40?} + {delta}"
            );
        }
    }
}

#[tokio::test]
async fn a_value_of_zeros_does_not_hold_up_the_server() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let bucket = server.bucket();
    let mut zeros = vec![b'0'; 1 << 20];
    bucket.call(set("n", &zeros)).await.unwrap();
    assert_eq!(bucket.call(increment("n", 7)).await, Ok(Reply::Number(7)));
    zeros.push(b'x');
    bucket.call(set("n", &zeros)).await.unwrap();
    let error = bucket.call(increment("n", 7)).await.unwrap_err();
    assert!(
        matches!(error, coracle_capability::keyvalue::Error::NotANumber(_)),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn increments_of_many_clients_add_up() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let bucket = server.bucket();
            tokio::spawn(async move {
                for _ in 0..250 {
                    bucket.call(increment("n", 3)).await.unwrap();
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(server.bucket().call(get("n")).await, value(b"6000"));
}
