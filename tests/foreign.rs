//! Components that other toolchains made, unmodified. They are large, and built by `guests/python/build.sh` and `guests/js/build.sh`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is how a test fails, in its helpers too"
)]

use coracle_testkit::{Coracle, app, http, repository, skipped};

#[test]
fn slow_serves_a_component_made_by_componentize_py() {
    serves("python", "hello from Python\n");
}

#[test]
fn slow_serves_a_component_made_by_componentize_js() {
    serves("js", "hello from JavaScript\n");
}

fn serves(language: &str, greeting: &str) {
    let component = repository().join("guests").join(language).join("app.wasm");
    if skipped(
        component.is_file(),
        &format!("guests/{language}/app.wasm, which build.sh there builds"),
    ) {
        return;
    }
    // An engine of its own starts with every request.
    let app = app(
        &format!(
            "[app]\nname = \"foreign\"\n[component.guest]\nsource = {component:?}\nlimits = {{ memory = \"512MiB\", cpu = \"20s\" }}\n\
             [component.guest.grants]\nclock = true\nrandomness = true\n[[route]]\npath = \"/*\"\ncomponent = \"guest\"\n"
        ),
        &[],
    );
    let service = Coracle::new().serving(app).start();
    let answer = http::get(&service.url("/"));
    assert_eq!(
        (answer.status, answer.body_text().as_str()),
        (200, greeting)
    );
    let text = "the quick brown fox ".repeat(10_000);
    let answer = http::request("POST", &service.url("/upper"), &[], text.as_bytes());
    assert_eq!(answer.body_text(), text.to_uppercase());
    assert_eq!(http::get(&service.url("/other")).status, 404);
}
