//! A secret read as a bucket.

use coracle_backends::vault::Vault;
use coracle_capability::keyvalue::{Call, Error, Reply, conformance};
use serde_json::{Map, Value, json};

use super::vault;

#[tokio::test]
async fn the_bucket_of_a_vault_conforms_in_what_it_can() {
    let (server, vault) = vault().await;
    let fields: Map<String, Value> = conformance::SEED
        .map(|(key, value)| (key.to_string(), value.into()))
        .into_iter()
        .collect();
    server.put("shop/api-keys", Value::Object(fields));
    let bucket = vault.bucket("shop/api-keys").unwrap();
    let row = conformance::run(&bucket, &Vault::BUCKET).await;
    let columns = [" yes |".repeat(4), " no |".repeat(6)].concat();
    assert_eq!(row, format!("| vault |{columns}"));
    assert!(
        server
            .asked()
            .iter()
            .all(|asked| asked == "/v1/secret/data/shop/api-keys"),
        "nothing was written"
    );
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_an_empty_bucket() {
    let (server, vault) = vault().await;
    server.put("shop/deleted", json!({ "k": "canary" }));
    server.delete("shop/deleted", 1, false);
    for path in ["shop/absent", "shop/deleted"] {
        let bucket = vault.bucket(path).unwrap();
        assert_eq!(
            bucket.call(Call::Get { key: "k".into() }).await,
            Ok(Reply::Value(None))
        );
        let all = Call::List {
            prefix: String::new(),
            after: None,
            limit: 10,
        };
        assert_eq!(
            bucket.call(all).await,
            Ok(Reply::Keys {
                keys: vec![],
                more: false
            })
        );
    }
}

#[tokio::test]
async fn a_key_is_a_field_of_this_secret_and_never_a_path() {
    let (server, vault) = vault().await;
    server.put("shop/a", json!({ "k": "a" }));
    server.put("shop/b", json!({ "k": "canary" }));
    let bucket = vault.bucket("shop/a").unwrap();
    for key in ["../b", "../b#k", "/shop/b", "k/../k", "", "*"] {
        assert_eq!(
            bucket.call(Call::Get { key: key.into() }).await,
            Ok(Reply::Value(None)),
            "{key}"
        );
    }
}

#[tokio::test]
async fn a_batch_is_one_question_and_its_reply_is_bounded() {
    let (server, vault) = vault().await;
    server.put("shop/a", json!({ "k": "x".repeat(1 << 20) }));
    let bucket = vault.bucket("shop/a").unwrap();
    let batch = |times| Call::GetMany {
        keys: vec!["k".into(); times],
    };
    assert!(
        matches!(bucket.call(batch(16)).await, Ok(Reply::Values(values)) if values.len() == 16)
    );
    assert_eq!(server.asked().len(), 1);
    assert!(matches!(
        bucket.call(batch(1_000)).await,
        Err(Error::TooLarge(_))
    ));
}
