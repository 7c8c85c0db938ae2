//! One instance of a component with its store: made for a request, and, where the manifest says so, kept for the next.
//!
//! In: a revision. Out: something that answers a request. What an instance may keep between two requests is `capability`'s to
//! say (`Guest::rest`), how long it may serve is `reuse`'s.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use coracle_capability::{Guest, Invocation, config::Variables};
use coracle_engine::Account;
use coracle_gateway::Body;
use http::Request;
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime_wasi_http::{p2::bindings::Proxy, p3::bindings::Service};

use super::{
    failure::check_head,
    invocation::Head,
    p2, p3,
    revision::{HandlerPre, Revision},
};

/// An instance of a revision. Dropping it ends the guest.
pub(super) struct Instance {
    pub(super) store: Store<Guest>,
    pub(super) handler: Handler,
    /// Requests it was given so far.
    pub(super) served: u32,
    /// The variables it began with.
    pub(super) environment: Variables,
    /// Entries of Wasmtime's own table of tasks and streams when nothing runs.
    at_rest: usize,
}

/// What it exports.
pub(super) enum Handler {
    /// `wasi:http/incoming-handler@0.2.x`.
    P2(Proxy),
    /// `wasi:http/handler@0.3.x`.
    P3(Service),
}

impl Instance {
    /// A fresh one, for its first request.
    ///
    /// # Errors
    /// What the guest failed with while it was instantiated, or that the pool has no slot left.
    pub(super) async fn fresh(revision: &Revision, first: Invocation) -> wasmtime::Result<Self> {
        let environment = Arc::clone(&first.environment);
        let mut store = revision.store(first);
        let handler = match &revision.handler {
            HandlerPre::P2(pre) => Handler::P2(pre.instantiate_async(&mut store).await?),
            HandlerPre::P3(pre) => Handler::P3(pre.instantiate_async(&mut store).await?),
        };
        let mut instance = Self {
            store,
            handler,
            served: 1,
            environment,
            at_rest: 0,
        };
        instance.at_rest = instance.tasks();
        Ok(instance)
    }

    /// Answers one request, and ends when the guest has nothing more to do for it.
    ///
    /// # Errors
    /// What the guest failed with; the instance is then good for nothing.
    pub(super) async fn call(
        &mut self,
        request: Request<Body>,
        answer: Answer,
    ) -> wasmtime::Result<()> {
        match &self.handler {
            Handler::P2(proxy) => p2::call(proxy, &mut self.store, request, answer).await,
            Handler::P3(service) => p3::call(service, &mut self.store, request, answer).await,
        }
    }

    /// The request is over. False when something of it is left in the store, which then cannot serve another.
    pub(super) fn rest(&mut self) -> bool {
        // A stream or future that the guest still holds an end of: a body that would never end, or a call that would answer late.
        let at_rest = self.tasks() <= self.at_rest;
        self.store.data_mut().rest() && at_rest
    }

    /// Begins another request.
    pub(super) fn begin(&mut self, revision: &Revision, request_id: String, account: Arc<Account>) {
        self.served += 1;
        let (template, limits) = (revision.template(), revision.limits());
        Guest::begin(&mut self.store, template, limits, request_id, account);
    }

    fn tasks(&mut self) -> usize {
        let table = self.store.concurrent_resource_table();
        table.map_or(0, |table| table.iter_mut().count())
    }
}

/// Where a guest's response goes, and whether it was one.
pub(super) struct Answer {
    head: oneshot::Sender<Head>,
    well: Option<Arc<AtomicBool>>,
}

impl Answer {
    /// To whoever waits for it.
    pub(super) fn to(head: oneshot::Sender<Head>) -> Self {
        Self { head, well: None }
    }

    /// The same; `well` is set when it is a response that may be sent.
    pub(super) fn noting(head: oneshot::Sender<Head>, well: &Arc<AtomicBool>) -> Self {
        let well = Some(Arc::clone(well));
        Self { head, well }
    }

    /// The guest has answered.
    pub(super) fn set(self, head: Head) {
        if let (Some(well), Ok(response)) = (self.well, &head) {
            well.store(check_head(response).is_ok(), Relaxed);
        }
        // Nobody waits any more when the client left; the guest is then about to be dropped.
        let _ = self.head.send(head);
    }
}
