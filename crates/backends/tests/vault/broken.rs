//! A Vault that is down, slow, sealed, huge or talks nonsense: an error of the right kind, in time, and no value in it.

use std::time::{Duration, Instant};

use coracle_capability::{
    contract::{CallError as _, Shared},
    keyvalue,
    secrets::{Error, Secrets},
};
use serde_json::json;

use super::{
    secrets::{get, reveal},
    server::{self, Mood},
    vault,
};

/// The error, which came in time and shows nothing.
async fn error(store: &Shared<Secrets>) -> Error {
    let began = Instant::now();
    let error = get(store, "k").await.unwrap_err();
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    let shown = format!(
        "{error} {error:?} {}",
        serde_json::to_string(&error).unwrap()
    );
    assert!(!shown.contains("canary"), "{shown}");
    error
}

#[tokio::test]
async fn a_status_says_whether_to_try_again() {
    let (server, vault) = vault().await;
    let store = vault.secrets("shop").unwrap();
    for status in [412, 429, 472, 473, 500, 502, 503, 504] {
        server.feels(Mood::Status(status));
        assert!(error(&store).await.is_temporary(), "{status}");
    }
    for status in [201, 204, 301, 307, 400, 401, 403, 405, 418] {
        server.feels(Mood::Status(status));
        assert!(
            matches!(error(&store).await, Error::Failed(why) if why.contains(&status.to_string())),
            "{status}"
        );
    }
    server.feels(Mood::Status(404));
    assert_eq!(error(&store).await, Error::NotFound);
}

#[tokio::test]
async fn an_answer_that_is_no_secret_is_refused_and_not_quoted() {
    let (server, vault) = vault().await;
    let store = vault.secrets("shop").unwrap();
    let deep = "[".repeat(100_000);
    for body in [
        "",
        "canary",
        "{",
        "[]",
        "null",
        "\"canary\"",
        r#"{"data":{"k":"canary"}}"#,
        r#"{"data":{"data":"canary","metadata":{"version":1}}}"#,
        r#"{"data":{"data":{"k":"canary"},"metadata":{"version":"canary"}}}"#,
        r#"{"data":{"data":{"k":"canary"},"metadata":{"version":-1}}}"#,
        r#"{"data":{"data":{"k":"canary"}}}"#,
        r#"{"data":{"data":null,"metadata":{"version":1}}}"#,
        "\u{feff}{}",
        "<html>canary</html>",
        &deep,
    ] {
        server.feels(Mood::Says(body.into()));
        assert!(
            matches!(error(&store).await, Error::Failed(_)),
            "{}",
            &body[..body.len().min(80)]
        );
    }
    server.feels(Mood::Says(b"\xff\xfe\0".into()));
    assert!(matches!(error(&store).await, Error::Failed(_)));
}

#[tokio::test]
async fn a_server_that_answers_with_another_version_is_not_believed() {
    let (server, vault) = vault().await;
    let store = vault.secrets("shop").unwrap();
    server.feels(Mood::Says(
        br#"{"data":{"data":{"value":"canary"},"metadata":{"version":2}}}"#.into(),
    ));
    assert_eq!(reveal(&store, "k", "1").await, Err(Error::Superseded));
}

#[tokio::test]
async fn an_answer_without_end_is_refused_in_time() {
    let (server, vault) = vault().await;
    let store = vault.secrets("shop").unwrap();
    for declared in [None, Some(1 << 40)] {
        server.feels(Mood::Huge { declared });
        assert!(
            matches!(error(&store).await, Error::TooLarge(_)),
            "{declared:?}"
        );
    }
    server.feels(Mood::Drips);
    assert!(error(&store).await.is_temporary());
}

#[tokio::test]
async fn silence_and_a_closed_connection_are_temporary() {
    let (server, vault) = vault().await;
    let store = vault.secrets("shop").unwrap();
    server.feels(Mood::Slow(Duration::from_secs(60)));
    assert!(error(&store).await.is_temporary());
    server.feels(Mood::HangsUp);
    assert!(error(&store).await.is_temporary());
}

#[tokio::test]
async fn a_vault_that_went_away_is_used_again_as_soon_as_it_is_back() {
    let (mut server, vault) = vault().await;
    server.put("shop/k", json!({ "value": "canary" }));
    let store = vault.secrets("shop").unwrap();
    let bucket = vault.bucket("shop/k").unwrap();
    for _ in 0..3 {
        assert_eq!(get(&store, "k").await.as_deref(), Ok("1"));
        server.stop().await;
        for _ in 0..3 {
            assert!(error(&store).await.is_temporary());
            let key = keyvalue::Call::Get {
                key: "value".into(),
            };
            assert!(bucket.call(key).await.unwrap_err().is_temporary());
        }
        server = server::Vault::again(&server).await;
        assert_eq!(reveal(&store, "k", "1").await.as_deref(), Ok("canary"));
    }
}

#[tokio::test]
async fn more_questions_than_connections_wait_their_turn() {
    let (server, vault) = vault().await;
    server.put("shop/k", json!({ "value": "canary" }));
    server.feels(Mood::Slow(Duration::from_millis(5)));
    let store = vault.secrets("shop").unwrap();
    let questions: Vec<_> = (0..200)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { get(&store, "k").await })
        })
        .collect();
    for question in questions {
        assert_eq!(question.await.unwrap().as_deref(), Ok("1"));
    }
}
