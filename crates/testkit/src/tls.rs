//! Certificates of an authority that nobody knows. In: a name. Out: what the server of that name shows, and what a client has to
//! trust to believe it.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};

/// A server's certificate, made for one test.
#[derive(Debug)]
pub struct Certified {
    ca_pem: String,
    server: Arc<ServerConfig>,
}

impl Certified {
    /// For a server of this name, by an authority of its own.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn of(name: &str) -> Self {
        let mut parameters = CertificateParams::new(vec![]).expect("parameters");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(parameters, key).expect("an authority");
        let key = KeyPair::generate().expect("a key");
        let parameters = CertificateParams::new(vec![name.into()]).expect("a name");
        let certificate = parameters
            .signed_by(&key, &authority)
            .expect("a certificate");
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a private key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate and its key");
        Self {
            ca_pem: authority.pem(),
            server: Arc::new(server),
        }
    }

    /// The certificate of its authority.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }
}
