//! Secrets as environment variables: what is one and what is not.
use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};

use coracle_backends::environment::{Config, Environment};
use coracle_capability::{
    contract::Shared,
    secrets::{Call, Error, Reply, Revealed, SecretValue, Secrets, conformance},
};

fn environment(variables: &[(&str, &str)]) -> Environment {
    let variables = variables
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Environment::of(&Config::new("SHOP_"), variables)
}

async fn found(store: &Shared<Secrets>, name: &str) -> Result<Reply, Error> {
    store.call(Call::Get { name: name.into() }).await
}

#[tokio::test]
async fn the_secrets_of_the_environment_conform() {
    let [(_, text), (_, odd)] = conformance::SEED;
    let variables = [
        ("SHOP_SUITE_TEXT", OsString::from(text)),
        ("SHOP_SUITE_ODD", odd.into()),
        (
            "SHOP_SUITE_BYTES",
            OsString::from_vec(conformance::BYTES.1.into()),
        ),
        ("SUITE_TEXT", "other".into()),
    ];
    let variables = variables.map(|(name, value)| (name.into(), value));
    let store = Environment::of(&Config::new("SHOP_"), variables).secrets();
    let row = conformance::run(&store, &Environment::SECRETS, async |_, _| {}).await;
    assert_eq!(row, "| environment | yes | yes | no | no | yes |");
}

#[tokio::test]
async fn variables_without_the_prefix_and_of_another_app_are_no_secrets() {
    let store = environment(&[
        ("SHOP_KEY", "1"),
        ("BLOG_KEY", "2"),
        ("KEY", "3"),
        ("PATH", "4"),
    ])
    .secrets();
    assert!(found(&store, "key").await.is_ok());
    for name in [
        "blog-key", "path", "KEY", "shop-key", "shop_key", "", "-", "key=",
    ] {
        assert_eq!(found(&store, name).await, Err(Error::NotFound), "{name:?}");
    }
}

#[tokio::test]
async fn bytes_that_are_not_text_are_a_secret_too_and_a_huge_value_is_none() {
    let variables = [
        (
            "SHOP_ODD".into(),
            OsString::from_vec(b"canary \xff".to_vec()),
        ),
        ("SHOP_BIG".into(), OsString::from("x".repeat(70_000))),
    ];
    let environment = Environment::of(&Config::new("SHOP_"), variables);
    assert!(!format!("{environment:?}").contains("canary"));
    let store = environment.secrets();
    let reveal = Call::Reveal {
        name: "odd".into(),
        version: "1".into(),
    };
    let value = Revealed::Value(SecretValue::new(b"canary \xff".as_slice()));
    assert_eq!(store.call(reveal).await.unwrap(), Reply::Revealed(value));
    assert!(matches!(
        found(&store, "big").await,
        Err(Error::TooLarge(_))
    ));
}
