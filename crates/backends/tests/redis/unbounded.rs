//! FAULTS.md, C6: what others put into Redis does not fill this process.

use coracle_capability::keyvalue::{Call, Error, Reply};

use crate::server::{INDEX, Server, delete, exists, get, increment, keys, list, set, value, wire};

#[tokio::test]
async fn a_value_larger_than_a_bucket_allows_is_refused_unread() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let bucket = server.bucket();
    let mut admin = server.admin();
    bucket.call(set("small", b"1")).await.unwrap();
    for bytes in [8 << 20, 128 << 20] {
        let _: u64 = admin.ask(&format!("SETRANGE {} {bytes} x", wire("large")));
        let before = admin.info("total_net_output_bytes");
        let keys = vec!["small".into(), "large".into()];
        for call in [get("large"), Call::GetMany { keys }] {
            let answer = bucket.call(call).await;
            assert!(matches!(answer, Err(Error::TooLarge(_))), "{bytes}");
        }
        let sum = bucket.call(increment("large", 1)).await;
        assert_eq!(sum, Err(Error::NotANumber("large".into())));
        let swap = Call::CompareAndSwap {
            key: "large".into(),
            expected: Some(b"1".into()),
            value: vec![],
        };
        assert_eq!(bucket.call(swap).await, Ok(Reply::Swapped(false)));
        let there = bucket.call(exists("large")).await;
        assert_eq!(there, Ok(Reply::Exists(true)));
        let received = admin.info("total_net_output_bytes") - before;
        assert!(received < 5 << 20, "{received} of {bytes} bytes crossed");
    }
    assert_eq!(bucket.call(get("small")).await, value(b"1"));
    assert_eq!(bucket.call(delete("large")).await, Ok(Reply::Done));
}

#[tokio::test]
async fn values_that_are_too_large_together_are_refused_unread() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let bucket = server.bucket();
    bucket.call(set("k", &vec![7; 4 << 20])).await.unwrap();
    let call = |times| Call::GetMany {
        keys: vec!["k".into(); times],
    };
    assert!(matches!(
        bucket.call(call(17)).await,
        Err(Error::TooLarge(_))
    ));
    assert!(matches!(bucket.call(call(2)).await, Ok(Reply::Values(_))));
}

#[tokio::test]
async fn a_page_is_bounded_whatever_the_caller_asks_for() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let bucket = server.bucket();
    for from in (0..3_000).step_by(1_000) {
        let pairs = (from..from + 1_000)
            .map(|at| (format!("{at:04}"), vec![]))
            .collect();
        bucket.call(Call::SetMany { pairs }).await.unwrap();
    }
    let mut seen = vec![];
    let mut after: Option<String> = None;
    loop {
        let page = bucket.call(list("", after.as_deref(), u32::MAX)).await;
        let Ok(Reply::Keys { keys, more }) = page else {
            panic!("{page:?}")
        };
        assert!(keys.len() <= 1_000);
        after = keys.last().cloned();
        seen.extend(keys);
        if !more {
            break;
        }
    }
    assert_eq!(seen.len(), 3_000);
    assert!(seen.is_sorted());
}

#[tokio::test]
async fn an_entry_of_the_index_that_is_no_key_of_ours_is_passed_over() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let bucket = server.bucket();
    bucket.call(set("z", b"")).await.unwrap();
    let long = "a".repeat(2 << 20);
    let mut admin = server.admin();
    let (): () = admin.ask(&format!("SET {} 1", wire(&long)));
    let _: u64 = admin.ask(&format!("ZADD {INDEX} 0 {long}"));
    assert_eq!(bucket.call(list("", None, 9)).await, keys(&["z"]));
}
