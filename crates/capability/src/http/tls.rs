//! TLS to an upstream. In: a TCP stream and the host of the URL. Out: an authenticated stream and the protocol that was
//! chosen.
//!
//! The certificate is always checked; there is no switch. The crypto provider is ring, named here, never the process's
//! default.

use std::{io, sync::Arc, sync::OnceLock};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::{net::TcpStream, sync::OnceCell};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{contract::Error, target::Host};

/// Whom an app's outbound TLS trusts and who it says it is.
#[derive(Debug, Clone, Default)]
pub struct TlsSettings {
    authorities: Vec<CertificateDer<'static>>,
    only: bool,
    identity: Option<Arc<CertifiedKey>>,
}

impl TlsSettings {
    /// Trusts the authorities in `pem` beside the system's.
    pub fn trust(mut self, pem: &[u8]) -> Result<Self, MalformedTls> {
        let authorities = certificates(pem)?;
        let mut store = RootCertStore::empty();
        for authority in &authorities {
            store
                .add(authority.clone())
                .map_err(MalformedTls::Certificate)?;
        }
        self.authorities.extend(authorities);
        Ok(self)
    }

    /// Trusts the authorities in `pem` and no others, the system's included.
    pub fn trust_only(self, pem: &[u8]) -> Result<Self, MalformedTls> {
        Self {
            authorities: Vec::new(),
            only: true,
            ..self
        }
        .trust(pem)
    }

    /// Answers a server that asks for a certificate with this chain, leaf first.
    pub fn identify(mut self, chain_pem: &[u8], key_pem: &[u8]) -> Result<Self, MalformedTls> {
        let key =
            PrivateKeyDer::from_pem_slice(key_pem).map_err(|_| MalformedTls::Pem("private key"))?;
        let key = ring::sign::any_supported_type(&key).map_err(MalformedTls::Certificate)?;
        let identity = CertifiedKey::new(certificates(chain_pem)?, key);
        identity.keys_match().map_err(MalformedTls::Certificate)?;
        self.identity = Some(Arc::new(identity));
        Ok(self)
    }

    fn config(&self) -> Result<ClientConfig, Error> {
        let mut roots = if self.only {
            RootCertStore::empty()
        } else {
            system_roots().clone()
        };
        for authority in &self.authorities {
            roots
                .add(authority.clone())
                .map_err(|_| Error::ConfigurationError)?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|_| Error::ConfigurationError)?
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(
                CertifiedKey::clone(identity),
            ))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// Why a PEM text of the operator's cannot be used. Never holds the text.
#[derive(Debug, thiserror::Error)]
pub enum MalformedTls {
    /// Nothing of the named kind inside.
    #[error("there is no {0} in the PEM file")]
    Pem(&'static str),
    /// It is one, but not one that TLS can use.
    #[error("the certificate or its key cannot be used")]
    Certificate(#[source] rustls::Error),
}

/// The TLS side of one client; reads the system's certificates when the first connection needs them.
#[derive(Debug)]
pub(super) struct Tls {
    settings: TlsSettings,
    config: OnceCell<Arc<ClientConfig>>,
}

impl Tls {
    pub(super) fn new(settings: TlsSettings) -> Self {
        Self {
            settings,
            config: OnceCell::new(),
        }
    }

    /// Handshakes with the name in the URL as the server's name; the caller holds the deadline.
    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        host: &Host,
    ) -> Result<TlsStream<TcpStream>, Error> {
        let name = match host {
            Host::Name(name) => {
                ServerName::try_from(name.clone()).map_err(|_| Error::HttpRequestUriInvalid)?
            }
            Host::Address(ip) => ServerName::from(*ip),
        };
        let config = self.config.get_or_try_init(|| self.load()).await?;
        TlsConnector::from(Arc::clone(config))
            .connect(name, stream)
            .await
            .map_err(|error| io_error(&error))
    }

    async fn load(&self) -> Result<Arc<ClientConfig>, Error> {
        let settings = self.settings.clone();
        let config = tokio::task::spawn_blocking(move || settings.config()).await;
        config
            .unwrap_or_else(|_| Err(Error::Internal("loading certificates failed".into())))
            .map(Arc::new)
    }
}

/// The case for an I/O error, which may hold a TLS error.
pub(super) fn io_error(error: &io::Error) -> Error {
    if let Some(tls) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        return match tls {
            rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
                Error::TlsCertificateError
            }
            rustls::Error::AlertReceived(alert) => Error::TlsAlertReceived {
                id: u8::from(*alert),
                message: format!("{alert:?}"),
            },
            _ => Error::TlsProtocolError,
        };
    }
    match error.kind() {
        io::ErrorKind::TimedOut => Error::ConnectionReadTimeout,
        _ => Error::ConnectionTerminated,
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, MalformedTls> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    certificates
        .ok()
        .filter(|found| !found.is_empty())
        .ok_or(MalformedTls::Pem("certificate"))
}

/// The node's own roots, read once per process; Mozilla's where the node has none (a container image without
/// certificates).
fn system_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        roots
    })
}
