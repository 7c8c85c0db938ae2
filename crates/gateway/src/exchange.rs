//! One request and its answer as the gateway accounts for them, and the two contracts at the gateway's edge.
//!
//! In: what the listener and the destination learn while they work. Out: one call of [`Observer::finished`], when the last
//! byte left *and* the destination dropped its reference, so that work after the response is counted too.

use std::{
    borrow::Cow,
    future::Future,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, AtomicU16, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

use crate::{body::BodyFault, request_id::RequestId};

/// Why a body ended early; the listener turns it into an aborted message, never into a complete one.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;
/// A body in either direction: data frames and trailers, polled by whoever consumes it (back-pressure).
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// Where a route leads. The gateway knows nothing else of it, so a component and an upstream look alike.
///
/// The request carries an `Arc<Exchange>` in its extensions. Dropping the returned future, or the body of the response
/// before its end, means that the client left: the destination stops working.
pub trait Destination: Send + Sync {
    /// Answers one request.
    fn call(
        &self,
        request: http::Request<Body>,
    ) -> Pin<Box<dyn Future<Output = http::Response<Body>> + Send>>;
}

/// Told of every finished exchange, refused ones included. Must not block.
pub trait Observer: Send + Sync {
    /// Called once per exchange.
    fn finished(&self, exchange: &Exchange);
}

/// How the response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Ending {
    /// The last byte was handed to the connection.
    Complete = 0,
    /// The client left first.
    ClientLeft = 1,
    /// The destination broke off after the head.
    Aborted = 2,
}

/// The account of one request. Shared between listener and destination.
///
/// Everything is written with relaxed ordering: each value stands for itself, and dropping the last `Arc` orders them all
/// before [`Observer::finished`].
pub struct Exchange {
    /// Taken from `traceparent`, or made.
    pub request_id: RequestId,
    /// As received.
    pub method: http::Method,
    /// Path without query.
    pub path: String,
    /// When the head was read.
    pub started: Instant,
    app: OnceLock<Arc<str>>,
    component: OnceLock<Arc<str>>,
    route: OnceLock<Arc<str>>,
    reason: OnceLock<Cow<'static, str>>,
    status: AtomicU16,
    ending: AtomicU8,
    duration_ns: AtomicU64,
    cpu_ns: AtomicU64,
    peak_memory_bytes: AtomicU64,
    response_bytes: AtomicU64,
    /// What the request body turned out to be, for the answer to say; see [`BodyFault`].
    body_fault: AtomicU8,
    /// Since when the connection holds a piece of the response that the client has not taken; 0 for never.
    handed_ns: AtomicU64,
    observer: Arc<dyn Observer>,
}

impl Exchange {
    /// Opens the account of a request whose head has just been read.
    pub fn new(
        request_id: RequestId,
        method: http::Method,
        path: impl Into<String>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self {
            request_id,
            method,
            path: path.into(),
            started: Instant::now(),
            app: OnceLock::new(),
            component: OnceLock::new(),
            route: OnceLock::new(),
            reason: OnceLock::new(),
            status: AtomicU16::new(0),
            ending: AtomicU8::new(Ending::ClientLeft as u8),
            duration_ns: AtomicU64::new(0),
            cpu_ns: AtomicU64::new(0),
            peak_memory_bytes: AtomicU64::new(0),
            response_bytes: AtomicU64::new(0),
            body_fault: AtomicU8::new(0),
            handed_ns: AtomicU64::new(0),
            observer,
        }
    }

    /// Names the app; the first call counts.
    pub fn set_app(&self, app: Arc<str>) {
        let _ = self.app.set(app);
    }

    /// Names the component that answered; the first call counts.
    pub fn set_component(&self, component: Arc<str>) {
        let _ = self.component.set(component);
    }

    /// Names the route; the first call counts.
    pub fn set_route(&self, route: Arc<str>) {
        let _ = self.route.set(route);
    }

    /// Says in one documented word why the answer is not the component's own; the first call counts, because later reasons
    /// are consequences of it.
    pub fn set_reason(&self, reason: impl Into<Cow<'static, str>>) {
        let _ = self.reason.set(reason.into());
    }

    /// Notes the status sent to the client.
    pub fn set_status(&self, status: http::StatusCode) {
        self.status.store(status.as_u16(), Relaxed);
    }

    /// Notes how the response ended.
    pub fn set_ending(&self, ending: Ending) {
        self.ending.store(ending as u8, Relaxed);
    }

    /// Adds CPU time spent on this request, work after the response included.
    pub fn add_cpu(&self, cpu: Duration) {
        self.cpu_ns.fetch_add(nanoseconds(cpu), Relaxed);
    }

    /// Raises the peak of guest memory to `bytes` if that is more.
    pub fn set_peak_memory_bytes(&self, bytes: u64) {
        self.peak_memory_bytes.fetch_max(bytes, Relaxed);
    }

    /// The app, once routed.
    pub fn app(&self) -> Option<&str> {
        self.app.get().map(|name| &**name)
    }

    /// The component, once invoked.
    pub fn component(&self) -> Option<&str> {
        self.component.get().map(|name| &**name)
    }

    /// The label of the route, once routed.
    pub fn route(&self) -> Option<&str> {
        self.route.get().map(|label| &**label)
    }

    /// Why the answer is not the component's own.
    pub fn reason(&self) -> Option<&str> {
        self.reason.get().map(|reason| &**reason)
    }

    /// The status sent, 0 while none was.
    pub fn status(&self) -> u16 {
        self.status.load(Relaxed)
    }

    /// How the response ended; [`Ending::ClientLeft`] until something else is known.
    pub fn ending(&self) -> Ending {
        match self.ending.load(Relaxed) {
            0 => Ending::Complete,
            2 => Ending::Aborted,
            _ => Ending::ClientLeft,
        }
    }

    /// From the head of the request to the last byte of the response.
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.duration_ns.load(Relaxed))
    }

    /// CPU time so far.
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(self.cpu_ns.load(Relaxed))
    }

    /// The highest guest memory reported.
    pub fn peak_memory_bytes(&self) -> u64 {
        self.peak_memory_bytes.load(Relaxed)
    }

    /// Bytes of the response body handed to the connection.
    pub fn response_bytes(&self) -> u64 {
        self.response_bytes.load(Relaxed)
    }

    pub(crate) fn add_response_bytes(&self, bytes: u64) {
        self.response_bytes.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn set_body_fault(&self, fault: BodyFault) {
        self.body_fault.store(fault as u8, Relaxed);
    }

    pub(crate) fn body_fault(&self) -> Option<BodyFault> {
        BodyFault::from_u8(self.body_fault.load(Relaxed))
    }

    /// A piece of the response went to the connection, which asks for the next when the client has taken it.
    pub(crate) fn handed(&self) {
        self.handed_ns
            .store(nanoseconds(self.started.elapsed()).max(1), Relaxed);
    }

    pub(crate) fn asked_for_more(&self) {
        self.handed_ns.store(0, Relaxed);
    }

    pub(crate) fn handed_since(&self) -> Option<Instant> {
        match self.handed_ns.load(Relaxed) {
            0 => None,
            since => self.started.checked_add(Duration::from_nanos(since)),
        }
    }

    pub(crate) fn set_duration(&self, duration: Duration) {
        self.duration_ns.store(nanoseconds(duration), Relaxed);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        Arc::clone(&self.observer).finished(self);
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Exchange")
            .field("request_id", &self.request_id)
            .field("method", &self.method)
            .field("path", &self.path)
            .field("app", &self.app())
            .field("route", &self.route())
            .field("status", &self.status())
            .field("reason", &self.reason())
            .field("ending", &self.ending())
            .finish_non_exhaustive()
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
