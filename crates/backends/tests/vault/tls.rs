//! TLS: a private authority is trusted when the operator says so, and only then.

use std::sync::Arc;

use coracle_backends::vault::{Config, Vault};
use coracle_capability::{http::tls::TlsSettings, secrets::Error};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use serde_json::json;
use tokio_rustls::TlsAcceptor;

use super::{config, secrets::get, server};

#[tokio::test]
async fn a_vault_is_asked_over_tls_when_its_authority_is_trusted() {
    let authority = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
    let pem = authority.cert.pem();
    let key =
        PrivateKeyDer::from_pem_slice(authority.signing_key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![authority.cert.der().clone()], key)
        .unwrap();
    let server = server::Vault::start_tls(TlsAcceptor::from(Arc::new(tls))).await;
    server.put("shop/k", json!({ "value": "canary" }));
    let url = format!("https://localhost:{}", server.address.port());

    let stranger = Vault::new(&config(&url)).unwrap().secrets("shop").unwrap();
    match get(&stranger, "k").await {
        Err(Error::Failed(why)) => assert!(why.contains("certificate"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(server.asked().is_empty(), "no token was sent");

    let tls = TlsSettings::default().trust_only(pem.as_bytes()).unwrap();
    let trusting = Config {
        tls,
        ..config(&url)
    };
    let store = Vault::new(&trusting).unwrap().secrets("shop").unwrap();
    assert_eq!(get(&store, "k").await.as_deref(), Ok("1"));
}
