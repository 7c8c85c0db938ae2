//! What every source of configuration must do, as one suite.
//!
//! In: a source that holds [`SEED`] and nothing else, and what its backend says it cannot do. Out: the row of the table, or a panic that
//! names the expectation. Run by the tests of each backend; what is skipped is said on standard error.
#![expect(
    clippy::panic,
    reason = "a failed expectation ends the test that runs the suite"
)]

use super::contract::{Call, Config, Error, MAX_VALUE_BYTES, Reply};
use crate::contract::{Shared, Support};

/// What the source holds when the suite begins.
pub const SEED: [(&str, &str); 4] = [
    ("suite", "beside the others"),
    ("suite-empty", ""),
    ("suite-odd", "a value: \u{e4}\"\\{}=\t $HOME "),
    ("suite-text", "text of the suite"),
];

/// What only some can hold: a key of any characters.
pub const ANY_KEY: (&str, &str) = ("suite/any key=\u{e4}", "value");

/// The columns of the table that docs/capabilities.md shows.
pub const ABILITIES: [&str; 4] = ["get", "get-all", "change", "any key"];

/// Runs the suite and answers with the backend's row of the table under [`ABILITIES`].
///
/// `put` changes a value behind the source's back, or takes it away, as an operator would; it is called only where `change` is
/// supported. Where `any key` is, the source holds [`ANY_KEY`] too.
pub async fn run(
    source: &Shared<Config>,
    support: &Support,
    put: impl AsyncFn(&str, Option<&str>),
) -> String {
    let mut expected: Vec<(&str, &str)> = SEED.into();
    if support.runs("reads_any_key", &["any key"]) {
        expected.push(ANY_KEY);
        expected.sort_unstable();
    }
    for (key, value) in &expected {
        expect(source, get(key), Ok(Reply::Value(Some((*value).into())))).await;
    }
    finds_nothing_under_other_keys(source).await;
    lists(source, &expected).await;
    if support.runs("sees_a_change", &["change"]) {
        sees_a_change(source, &put, &expected).await;
        refuses_a_value_that_is_too_large(source, &put).await;
        put("suite-text", Some("text of the suite")).await;
        lists(source, &expected).await;
    }
    support.row(&ABILITIES)
}

async fn finds_nothing_under_other_keys(source: &Shared<Config>) {
    let long = "x".repeat(100_000);
    let keys = [
        "suite-",
        "suite-text ",
        "Suite-text",
        "SUITE_TEXT",
        "suite_text",
        "suite--text",
        "suite-text/",
        "./suite-text",
        "../suite-text",
        "x/../suite-text",
        "/etc/hostname",
        "/suite-text",
        "suite-text\0",
        "suite-text=",
        "..",
        ".",
        "",
        &long,
    ];
    for key in keys {
        expect(source, get(key), Ok(Reply::Value(None))).await;
    }
}

async fn lists(source: &Shared<Config>, expected: &[(&str, &str)]) {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let all = expected.iter().map(owned).collect();
    expect(source, Call::GetAll, Ok(Reply::Values(all))).await;
}

async fn sees_a_change(
    source: &Shared<Config>,
    put: &impl AsyncFn(&str, Option<&str>),
    seed: &[(&str, &str)],
) {
    put("suite-text", Some("another text")).await;
    let another = Ok(Reply::Value(Some("another text".into())));
    expect(source, get("suite-text"), another).await;
    put("suite-text", None).await;
    expect(source, get("suite-text"), Ok(Reply::Value(None))).await;
    let rest: Vec<_> = seed
        .iter()
        .copied()
        .filter(|(key, _)| *key != "suite-text")
        .collect();
    lists(source, &rest).await;
}

async fn refuses_a_value_that_is_too_large(
    source: &Shared<Config>,
    put: &impl AsyncFn(&str, Option<&str>),
) {
    let full = "x".repeat(MAX_VALUE_BYTES);
    put("suite-text", Some(&full)).await;
    let fits = Ok(Reply::Value(Some(full.clone())));
    expect(source, get("suite-text"), fits).await;
    put("suite-text", Some(&format!("{full}x"))).await;
    let refused = Err(Error::value_too_large("suite-text"));
    expect(source, get("suite-text"), refused.clone()).await;
    expect(source, Call::GetAll, refused).await;
    // One that is too large is no reason to lose the others.
    let beside = Ok(Reply::Value(Some("beside the others".into())));
    expect(source, get("suite"), beside).await;
}

fn get(key: &str) -> Call {
    Call::Get { key: key.into() }
}

async fn expect(source: &Shared<Config>, call: Call, expected: Result<Reply, Error>) {
    let answer = source.call(call.clone()).await;
    if answer != expected {
        panic!("{call:?}\n  expected {expected:?}\n  answered {answer:?}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::Memory;

    #[tokio::test]
    async fn the_values_in_memory_conform() {
        let values = SEED.into_iter().chain([ANY_KEY]);
        let values = values.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let source: Shared<Config> = Arc::new(Memory::new(values.collect()));
        let row = run(&source, &Memory::SUPPORT, async |_, _| {}).await;
        assert_eq!(row, "| memory | yes | yes | no | yes |");
    }
}
