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

use super::{
    instance::Instance,
    reuse::{Crew, InstanceCounts, Reuse, Room, Shelf},
};

/// One immutable version of a component on a route. Cheap to share.
pub struct Revision {
    pub(super) handler: HandlerPre,
    template: Template,
    limits: Limits,
    room: Option<Arc<Room>>,
    shelf: Option<Arc<Shelf>>,
    crew: Option<Arc<Crew>>,
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
    /// It is asked to serve several requests at once.
    #[error(
        "asks for `concurrent` requests; a component of WASI 0.2 serves one after the other, with reuse too"
    )]
    OneAfterTheOther,
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
            room: None,
            shelf: None,
            crew: None,
        })
    }

    /// The same on a node where instances wait in `room`: they give way when there is no slot for a fresh one.
    #[must_use]
    pub fn beside(mut self, room: &Arc<Room>) -> Self {
        self.room = Some(Arc::clone(room));
        self
    }

    /// The same with instances that serve more than one request and wait in `room` in between.
    ///
    /// # Errors
    /// When it is asked for requests at once and cannot serve them.
    pub fn reusing(
        mut self,
        reuse: Reuse,
        room: &Arc<Room>,
        counts: Arc<InstanceCounts>,
    ) -> Result<Self, UnservableError> {
        if reuse.concurrent > 1 {
            let HandlerPre::P3(_) = &self.handler else {
                return Err(UnservableError::OneAfterTheOther);
            };
            self.crew = Some(Arc::new(Crew::new(reuse.concurrent)));
        }
        self.shelf = Some(Shelf::new(reuse, Arc::clone(room), counts));
        Ok(self.beside(room))
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

    /// Where its instances wait, when they serve more than one request.
    pub(super) fn shelf(&self) -> Option<&Arc<Shelf>> {
        self.shelf.as_ref()
    }

    /// Its instances that serve several requests at once, when the manifest asks for that.
    pub(super) fn crew(&self) -> Option<&Arc<Crew>> {
        self.crew.as_ref()
    }

    /// A fresh instance. Those that wait for their next request give way to it.
    ///
    /// # Errors
    /// See [`Instance::fresh`].
    pub(super) async fn fresh(&self, first: impl Fn() -> Invocation) -> wasmtime::Result<Instance> {
        match (Instance::fresh(self, first()).await, &self.room) {
            (Err(error), Some(room)) if error.is::<wasmtime::PoolConcurrencyLimitError>() => {
                room.clear();
                Instance::fresh(self, first()).await
            }
            (instance, _) => instance,
        }
    }

    pub(super) fn store(&self, invocation: Invocation) -> Store<Guest> {
        let guest = Guest::new(&self.template, &self.limits, invocation);
        new_store(self.component().engine(), guest, &self.limits)
    }
}

fn listed(exports: &[String]) -> String {
    if exports.is_empty() {
        "nothing".to_string()
    } else {
        exports.join(", ")
    }
}
