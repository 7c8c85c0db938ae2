//! Secrets: versions, fields, and apps kept apart.

use coracle_backends::vault::{Config, ConfigError, Vault};
use coracle_capability::{
    contract::Shared,
    secrets::{Call, Error, Reply, Revealed, SecretValue, Secrets, conformance},
};
use serde_json::json;

use super::{config, server, vault};

pub(crate) async fn get(store: &Shared<Secrets>, name: &str) -> Result<String, Error> {
    match store.call(Call::Get { name: name.into() }).await? {
        Reply::Found { version } => Ok(version),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn reveal(
    store: &Shared<Secrets>,
    name: &str,
    version: &str,
) -> Result<String, Error> {
    match store
        .call(Call::Reveal {
            name: name.into(),
            version: version.into(),
        })
        .await?
    {
        Reply::Revealed(Revealed::Value(value)) => {
            Ok(String::from_utf8(value.expose().to_vec()).unwrap())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_secrets_of_a_vault_conform() {
    let (server, vault) = vault().await;
    for (name, value) in conformance::SEED {
        server.put(&format!("apps/shop/{name}"), json!({ "value": value }));
    }
    let put = async |name: &str, value: &[u8]| {
        server.patch(
            &format!("apps/shop/{name}"),
            "value",
            std::str::from_utf8(value).unwrap(),
        );
    };
    let store = vault.secrets("apps/shop").unwrap();
    let row = conformance::run(&store, &Vault::SECRETS, put).await;
    assert_eq!(row, "| vault | yes | yes | yes | yes | no |");
}

#[tokio::test]
async fn a_name_is_a_path_and_a_field() {
    let (server, vault) = vault().await;
    server.put(
        "shop/stripe",
        json!({ "key": "sk", "value": "v", "n": 7, "o": { "a": [1] }, "null": null, "": "empty" }),
    );
    server.put("shop/a b/\u{e4}#1", json!({ "x": "odd" }));
    let store = vault.secrets("shop").unwrap();
    for (name, value) in [
        ("stripe#key", "sk"),
        ("stripe", "v"),
        ("stripe#n", "7"),
        ("stripe#o", r#"{"a":[1]}"#),
        ("stripe#null", "null"),
        ("stripe#", "empty"),
        ("a b/\u{e4}#1#x", "odd"),
    ] {
        assert_eq!(get(&store, name).await.as_deref(), Ok("1"), "{name}");
        assert_eq!(
            reveal(&store, name, "1").await.as_deref(),
            Ok(value),
            "{name}"
        );
    }
    for absent in [
        "stripe#other",
        "other",
        "other#key",
        "#key",
        "stripe#key#key",
    ] {
        assert_eq!(get(&store, absent).await, Err(Error::NotFound), "{absent}");
    }
}

#[tokio::test]
async fn a_handle_keeps_its_value_until_the_version_is_deleted() {
    let (server, vault) = vault().await;
    let store = vault.secrets("shop").unwrap();
    server.put("shop/k", json!({ "value": "one" }));
    server.put("shop/k", json!({ "value": "two" }));
    server.put("shop/k", json!({ "other": "three" }));
    assert_eq!(reveal(&store, "k", "1").await.as_deref(), Ok("one"));
    assert_eq!(reveal(&store, "k", "2").await.as_deref(), Ok("two"));
    assert_eq!(
        reveal(&store, "k", "3").await,
        Err(Error::Superseded),
        "that version has no such field"
    );
    server.delete("shop/k", 1, false);
    server.delete("shop/k", 2, true);
    for version in ["1", "2", "0", "01", "+1", "4"] {
        assert_eq!(
            reveal(&store, "k", version).await,
            Err(Error::Superseded),
            "{version}"
        );
    }
    server.delete("shop/k", 3, false);
    assert_eq!(
        get(&store, "k#other").await,
        Err(Error::NotFound),
        "the newest version is deleted"
    );
}

#[tokio::test]
async fn two_apps_are_apart_by_path_whatever_a_name_contains() {
    let (server, vault) = vault().await;
    server.put("apps/blog/key", json!({ "value": "canary of blog" }));
    server.put("apps/shop/key", json!({ "value": "shop" }));
    let shop = vault.secrets("apps/shop").unwrap();
    let before = server.asked().len();
    for name in [
        "../blog/key",
        "..%2fblog%2fkey",
        "%2e%2e/blog/key",
        "./../blog/key",
        "/apps/blog/key",
        "../../apps/blog/key",
        "..\\blog\\key",
        "x?/../../blog/key",
        "key?version=1&x=/../blog/key",
        "key#../../blog/key",
        "../../../../v1/secret/data/apps/blog/key",
        "\u{ff0e}\u{ff0e}/blog/key",
        ";/../blog/key",
    ] {
        assert_eq!(get(&shop, name).await, Err(Error::NotFound), "{name:?}");
    }
    for asked in &server.asked()[before..] {
        let below = asked
            .strip_prefix("/v1/secret/data/apps/shop/")
            .unwrap_or_else(|| panic!("{asked}"));
        assert!(
            !below
                .split('/')
                .any(|segment| matches!(segment, "" | "." | ".."))
                && !below.contains('?'),
            "{asked}"
        );
    }
    assert_eq!(get(&shop, "key").await.as_deref(), Ok("1"));
}

#[tokio::test]
async fn the_namespace_is_sent_and_the_token_is_the_only_thing_that_opens() {
    let (server, vault) = vault().await;
    server.put("k", json!({ "x": { "value": "1" } }));
    server.put("a/k", json!({ "value": "1" }));
    server.requires_namespace("team/a");
    assert_eq!(
        get(&vault.secrets("a").unwrap(), "k").await,
        Err(Error::NotFound)
    );
    let inside = Config {
        namespace: Some("team/a".into()),
        ..config(&server.url())
    };
    let store = Vault::new(&inside).unwrap().secrets("a").unwrap();
    assert_eq!(get(&store, "k").await.as_deref(), Ok("1"));
    let stranger = Config {
        token: SecretValue::new("hvs.other"),
        ..inside
    };
    let store = Vault::new(&stranger).unwrap().secrets("a").unwrap();
    match get(&store, "k").await {
        Err(Error::Failed(why)) => assert!(why.contains("403") && !why.contains("hvs"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn settings_are_checked_and_never_show_the_token() {
    let with = |url: &str, mount: &str, token: &str| {
        Vault::new(&Config::new(url, mount, SecretValue::new(token)))
    };
    for url in [
        "",
        "vault:8200",
        "https://",
        "ftp://v",
        "https://v/path",
        "https://v?x",
        "https://u:canary@v",
        "https://v:99999",
        "https://127.1",
    ] {
        assert!(
            matches!(with(url, "secret", "t"), Err(ConfigError::Address(_))),
            "{url}"
        );
    }
    for mount in ["", "/secret", "a//b", "../sys"] {
        assert!(
            matches!(with("https://v", mount, "t"), Err(ConfigError::Path(_))),
            "{mount}"
        );
    }
    for token in ["", "canary\r\nx: y", "canary\n"] {
        let error = with("https://v", "secret", token).unwrap_err();
        assert_eq!(error, ConfigError::Token);
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
    let config = Config::new("https://v/", "team/secret", SecretValue::new(server::TOKEN));
    let vault = Vault::new(&config).unwrap();
    assert!(!format!("{config:?} {vault:?}").contains("canary"));
    for path in ["", "..", "a/../b", "a/"] {
        assert!(matches!(
            vault.secrets(path).map(|_| ()),
            Err(ConfigError::Path(_))
        ));
        assert!(matches!(
            vault.bucket(path).map(|_| ()),
            Err(ConfigError::Path(_))
        ));
    }
}
