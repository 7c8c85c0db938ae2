//! Vault as the node uses it: what it answers, what it survives and what nobody gets to see.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends at the first surprise"
)]

#[path = "../support/vault.rs"]
mod server;

mod broken;
mod bucket;
mod secrets;
mod tls;

use std::time::Duration;

use coracle_backends::vault::{Config, Vault};
use coracle_capability::secrets::SecretValue;
use server::TOKEN;

fn config(url: &str) -> Config {
    Config {
        connect_timeout: Duration::from_millis(500),
        timeout: Duration::from_millis(500),
        ..Config::new(url, "secret", SecretValue::new(TOKEN))
    }
}

async fn vault() -> (server::Vault, Vault) {
    let server = server::Vault::start().await;
    let vault = Vault::new(&config(&server.url())).unwrap();
    (server, vault)
}
