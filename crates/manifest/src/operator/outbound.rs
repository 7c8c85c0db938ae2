//! TLS of outbound HTTP. In: `[outbound]` for every app and `[app.NAME.outbound]` for one. Out: whom an app trusts and who it is.

use std::path::PathBuf;

use super::Operator;
use crate::name::AppName;

/// Whom an app's outbound requests trust, and who they say they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboundTls {
    /// The authorities.
    pub trust: Trust,
    /// For servers that ask for a certificate.
    pub identity: Option<Identity>,
}

/// Which authorities vouch for a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trust {
    /// The system's.
    #[default]
    System,
    /// The system's, and those in this PEM file.
    SystemAnd(PathBuf),
    /// Those in this PEM file and no others.
    Only(PathBuf),
}

/// A client certificate; both are PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What one table says; what it does not say is another's.
#[derive(Debug, Clone, Default)]
pub(super) struct Outbound {
    pub(super) trust: Option<Trust>,
    pub(super) identity: Option<Identity>,
}

impl Operator {
    /// TLS of what `app` sends: its own word on trust and on identity, each before every app's.
    pub fn outbound_tls(&self, app: &AppName) -> OutboundTls {
        let own = self.apps.get(app).map(|own| own.outbound.clone());
        let own = own.unwrap_or_default();
        let every = self.every.outbound.clone();
        OutboundTls {
            trust: own.trust.or(every.trust).unwrap_or_default(),
            identity: own.identity.or(every.identity),
        }
    }
}
