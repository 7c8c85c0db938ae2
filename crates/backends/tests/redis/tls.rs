//! Redis behind TLS with an authority of the operator's own.

use std::path::Path;

use coracle_backends::redis::{Client, Config, ConfigError};
use coracle_capability::keyvalue::{Error, Reply};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::server::{Server, bucket_of, free_port, get, recovery, set};

#[tokio::test]
async fn speaks_tls_and_checks_the_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority();
    certify(&authority, directory.path());
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (port, cert, key) = (free_port().to_string(), file("cert.pem"), file("key.pem"));
    let options = [
        "--tls-port",
        &port,
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-auth-clients",
        "no",
    ];
    let Some(_server) = Server::start(&options) else {
        return;
    };
    let client = |ca: Option<String>| {
        let mut config = Config::new(&format!("rediss://localhost:{port}")).unwrap();
        config.ca_pem = ca.map(String::into_bytes);
        bucket_of(&Client::new(config).unwrap())
    };
    let trusting = client(Some(authority.pem()));
    recovery(&trusting, set("k", b"v")).await;
    assert_eq!(
        trusting.call(get("k")).await,
        Ok(Reply::Value(Some(b"v".to_vec())))
    );

    for stranger in [Some(self::authority().pem()), None] {
        let error = client(stranger).call(get("k")).await;
        assert_eq!(error, Err(Error::Failed("TLS with Redis failed".into())));
    }
}

#[test]
fn refuses_authorities_that_are_none() {
    let mut config = Config::new("rediss://localhost").unwrap();
    config.ca_pem = Some(b"no certificate".to_vec());
    assert_eq!(Client::new(config).err(), Some(ConfigError::Authorities));
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::new(vec![]).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

fn certify(authority: &CertifiedIssuer<'static, KeyPair>, directory: &Path) {
    let key = KeyPair::generate().unwrap();
    let parameters = CertificateParams::new(vec!["localhost".into()]).unwrap();
    let certificate = parameters.signed_by(&key, authority).unwrap();
    std::fs::write(directory.join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(directory.join("key.pem"), key.serialize_pem()).unwrap();
}
