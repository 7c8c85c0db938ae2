//! What every place where secrets are kept must do, as one suite.
//!
//! In: a store that holds [`SEED`], and what its backend says it cannot do. Out: the row of the table, or a panic that names the
//! expectation. Run by the tests of each backend; what is skipped is said on standard error.
#![expect(
    clippy::panic,
    reason = "a failed expectation ends the test that runs the suite"
)]

use super::{
    contract::{Call, Error, Reply, Secrets},
    value::{Revealed, SecretValue},
};
use crate::contract::{Shared, Support};

/// What the store holds when the suite begins. No other name begins with `suite-`.
pub const SEED: [(&str, &str); 2] = [
    ("suite-text", "canary text of the suite"),
    ("suite-odd", "a canary: \u{e4}\"\\{}=\t "),
];

/// What only some can hold: bytes that are not UTF-8.
pub const BYTES: (&str, &[u8]) = ("suite-bytes", b"canary \xff\xfe\x80");

/// The columns of the table that docs/capabilities.md shows.
pub const ABILITIES: [&str; 5] = ["get", "reveal", "rotation", "past versions", "bytes"];

/// Runs the suite and answers with the backend's row of the table under [`ABILITIES`].
///
/// `put` changes a secret behind the store's back, as an operator would; it is called only where `rotation` is supported.
pub async fn run(
    store: &Shared<Secrets>,
    support: &Support,
    put: impl AsyncFn(&str, &[u8]),
) -> String {
    for (name, value) in SEED {
        finds_and_reveals(store, name, value.as_bytes()).await;
    }
    if support.runs("reveals_bytes", &["bytes"]) {
        finds_and_reveals(store, BYTES.0, BYTES.1).await;
    }
    finds_nothing_under_other_names(store).await;
    refuses_versions_that_never_were(store).await;
    if support.runs("tells_a_changed_secret_by_its_version", &["rotation"]) {
        tells_a_changed_secret_by_its_version(store, support, put).await;
    }
    support.row(&ABILITIES)
}

async fn finds_and_reveals(store: &Shared<Secrets>, name: &str, value: &[u8]) {
    let version = newest(store, name).await;
    if version != newest(store, name).await {
        panic!("{name:?} has not changed, and its version has");
    }
    if version.is_empty() || version.contains("canary") {
        panic!("version {version:?} is none, or shows the value");
    }
    expect(store, reveal(name, &version), Ok(value)).await;
}

async fn finds_nothing_under_other_names(store: &Shared<Secrets>) {
    let long = "x".repeat(100_000);
    let names = [
        "suite-",
        "suite-text ",
        "Suite-text",
        "suite-text/",
        "./suite-text",
        "../suite-text",
        "x/../suite-text",
        "/etc/hostname",
        "/suite-text",
        "suite-text\0",
        "suite-text?version=1",
        "suite-text%00",
        "%2e%2e/suite-text",
        "..",
        ".",
        "",
        &long,
    ];
    for name in names {
        expect(store, get(name), Err(Error::NotFound)).await;
        match store.call(reveal(name, "1")).await {
            Err(Error::NotFound | Error::Superseded) => {}
            other => panic!("revealing {name:?} is answered with {other:?}"),
        }
    }
}

async fn refuses_versions_that_never_were(store: &Shared<Secrets>) {
    for version in [
        "",
        "none",
        "999999",
        "-1",
        "18446744073709551616",
        "1&version=2",
        "\0",
    ] {
        expect(store, reveal("suite-text", version), Err(Error::Superseded)).await;
    }
}

async fn tells_a_changed_secret_by_its_version(
    store: &Shared<Secrets>,
    support: &Support,
    put: impl AsyncFn(&str, &[u8]),
) {
    let first = newest(store, "suite-text").await;
    put("suite-text", b"another canary").await;
    let second = newest(store, "suite-text").await;
    if first == second {
        panic!("the secret has changed, and its version has not");
    }
    expect(store, reveal("suite-text", &second), Ok(b"another canary")).await;
    let past = match support.has("past versions") {
        true => Ok(b"canary text of the suite".as_slice()),
        false => Err(Error::Superseded),
    };
    expect(store, reveal("suite-text", &first), past).await;
}

fn get(name: &str) -> Call {
    Call::Get { name: name.into() }
}

fn reveal(name: &str, version: &str) -> Call {
    Call::Reveal {
        name: name.into(),
        version: version.into(),
    }
}

async fn newest(store: &Shared<Secrets>, name: &str) -> String {
    match store.call(get(name)).await {
        Ok(Reply::Found { version }) => version,
        other => panic!("getting {name:?} is answered with {other:?}"),
    }
}

async fn expect(store: &Shared<Secrets>, call: Call, expected: Result<&[u8], Error>) {
    let answer = store.call(call.clone()).await;
    let shown = format!("{answer:?}");
    if shown.contains("canary") {
        panic!("an answer shows the value of a secret");
    }
    let expected = expected.map(|value| Reply::Revealed(Revealed::Value(SecretValue::new(value))));
    if answer != expected {
        panic!("{call:?}\n  expected {expected:?}\n  answered {shown}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::secrets::Memory;

    #[tokio::test]
    async fn the_secrets_in_memory_conform() {
        let memory = Arc::new(Memory::new(SEED));
        memory.put(BYTES.0, BYTES.1);
        let store: Shared<Secrets> = Arc::clone(&memory) as _;
        let row = run(&store, &Memory::SUPPORT, async |name, value| {
            memory.put(name, value)
        })
        .await;
        assert_eq!(row, "| memory | yes | yes | yes | no | yes |");
    }
}
