//! A linked component that can answer HTTP.
//!
//! In: a linked component, the template of its guests, its limits. Out: something each request instantiates.

use std::sync::Arc;

use coracle_capability::{Guest, Invocation, Template};
use coracle_engine::{Described, Limits, new_store};
use thiserror::Error;
use wasmtime::{
    Store,
    component::{Component, InstancePre},
};
use wasmtime_wasi_http::{p2::bindings::ProxyPre, p3::bindings::ServicePre};

/// One immutable version of a component on a route. Cheap to share.
pub struct Revision {
    pub(super) handler: HandlerPre,
    template: Template,
    limits: Limits,
}

/// The handler a component exports, with its functions looked up once.
pub(super) enum HandlerPre {
    /// `wasi:http/incoming-handler@0.2.x`.
    P2(ProxyPre<Guest>),
    /// `wasi:http/handler@0.3.x`.
    P3(ServicePre<Guest>),
}

/// Why a component cannot answer HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnservableError {
    /// It exports no handler.
    #[error("exports no HTTP handler; it exports {exports}")]
    NoHandler {
        /// What it exports instead.
        exports: String,
    },
    /// It exports one of another type.
    #[error("{0}")]
    Mismatch(String),
}

impl Revision {
    /// Finds the handler of a linked component.
    ///
    /// # Errors
    /// See [`UnservableError`].
    pub fn new(
        linked: InstancePre<Guest>,
        described: &Described,
        template: Template,
        limits: Limits,
    ) -> Result<Self, UnservableError> {
        let exports = |prefix: &str| {
            described
                .exports
                .iter()
                .any(|name| name.starts_with(prefix))
        };
        let mismatch = |error: wasmtime::Error| UnservableError::Mismatch(format!("{error:#}"));
        let handler = if exports("wasi:http/handler@0.3.") {
            HandlerPre::P3(ServicePre::new(linked).map_err(mismatch)?)
        } else if exports("wasi:http/incoming-handler@0.2.") {
            HandlerPre::P2(ProxyPre::new(linked).map_err(mismatch)?)
        } else {
            return Err(UnservableError::NoHandler {
                exports: listed(&described.exports),
            });
        };
        Ok(Self {
            handler,
            template,
            limits,
        })
    }

    /// What every invocation starts from.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// What every invocation may use.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The compiled component.
    pub fn component(&self) -> &Component {
        match &self.handler {
            HandlerPre::P2(pre) => pre.instance_pre().component(),
            HandlerPre::P3(pre) => pre.instance_pre().component(),
        }
    }

    pub(super) fn store(&self, invocation: Invocation) -> Store<Guest> {
        let account = Arc::clone(&invocation.account);
        let guest = Guest::new(&self.template, &self.limits, invocation);
        new_store(self.component().engine(), guest, &self.limits, account)
    }
}

fn listed(exports: &[String]) -> String {
    if exports.is_empty() {
        "nothing".to_string()
    } else {
        exports.join(", ")
    }
}
