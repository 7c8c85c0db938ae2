//! What the parts of one connection tell each other, and the list of all connections.
//!
//! In: stream, service and bodies report what happens. Out: when the connection is overdue, whether it must end. Plain values
//! written with relaxed ordering: most are written and read by the one task of the connection.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::Context,
    time::{Duration, Instant},
};

use futures_util::task::AtomicWaker;
use http::HeaderValue;
use tokio::sync::Notify;

use super::inspector::Refusal;
use crate::{config::Config, exchange::Exchange};

const NEVER: u64 = u64::MAX;
/// A year stands for never where an instant is needed: the alarm only looks again.
const FAR: Duration = Duration::from_secs(365 * 24 * 3_600);

/// One connection.
pub(crate) struct Session {
    forwarded_for: HeaderValue,
    opened: Instant,
    /// Requests begun and not settled.
    in_flight: AtomicUsize,
    /// When the last request ended, in nanoseconds after `opened` like all instants here.
    idle_since: AtomicU64,
    /// When the head that is incomplete began.
    head_since: AtomicU64,
    /// When the client must have taken something of what we write.
    write_until: AtomicU64,
    /// HTTP/1.1 heads the service was called for.
    heads: AtomicU64,
    /// Which head the inspector refused, and why. Nothing follows it.
    refused: OnceLock<(u64, Refusal)>,
    malformed: AtomicBool,
    reset_on_close: AtomicBool,
    draining: AtomicBool,
    cut: AtomicBool,
    waker: AtomicWaker,
    executor: Mutex<Option<Arc<Exchange>>>,
}

impl Session {
    pub(super) fn new(peer: SocketAddr) -> Arc<Self> {
        // A client of an IPv4 socket on a dual-stack listener is the IPv4 client it is.
        let address = peer.ip().to_canonical();
        Arc::new(Self {
            forwarded_for: HeaderValue::from_str(&address.to_string())
                .unwrap_or(HeaderValue::from_static("unknown")),
            opened: Instant::now(),
            in_flight: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            head_since: AtomicU64::new(NEVER),
            write_until: AtomicU64::new(NEVER),
            heads: AtomicU64::new(0),
            refused: OnceLock::new(),
            malformed: AtomicBool::new(false),
            reset_on_close: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            executor: Mutex::new(None),
        })
    }

    pub(crate) fn forwarded_for(&self) -> &HeaderValue {
        &self.forwarded_for
    }

    pub(crate) fn request_began(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub(crate) fn request_ended(&self, now: Instant) {
        self.idle_since.store(self.at(now), Relaxed);
        self.in_flight.fetch_sub(1, Relaxed);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.load(Relaxed) == 0
    }

    /// Called once for every HTTP/1.1 head that reaches the service: the refusal, if this is the refused one.
    pub(crate) fn next_head(&self) -> Option<Refusal> {
        let index = self.heads.fetch_add(1, Relaxed);
        self.refused
            .get()
            .filter(|(refused, _)| *refused == index)
            .map(|(_, refusal)| *refusal)
    }

    pub(super) fn refuse_head(&self, index: u64, refusal: Refusal) {
        let _ = self.refused.set((index, refusal));
    }

    pub(super) fn is_refused(&self) -> bool {
        self.refused.get().is_some()
    }

    /// The chunked framing of the current body broke.
    pub(super) fn set_malformed(&self) {
        self.malformed.store(true, Relaxed);
    }

    pub(crate) fn is_malformed(&self) -> bool {
        self.malformed.load(Relaxed)
    }

    /// The message in flight ends with the connection: closing it would make it look complete, resetting does not.
    pub(crate) fn reset_on_close(&self) {
        self.reset_on_close.store(true, Relaxed);
    }

    pub(super) fn wants_reset(&self) -> bool {
        self.reset_on_close.load(Relaxed)
    }

    /// A head is incomplete and we wait for the rest. While a request is in flight nobody waits for the next one.
    pub(super) fn head_incomplete(&self) {
        if self.is_idle() && self.head_since.load(Relaxed) == NEVER {
            self.head_since.store(self.at(Instant::now()), Relaxed);
        }
    }

    pub(super) fn head_complete(&self) {
        self.head_since.store(NEVER, Relaxed);
    }

    pub(super) fn write_waits_until(&self, deadline: Instant) {
        self.write_until.store(self.at(deadline), Relaxed);
    }

    pub(super) fn write_moved(&self) {
        self.write_until.store(NEVER, Relaxed);
    }

    /// When the client will have kept us waiting for too long, if nothing changes.
    pub(super) fn stuck_at(&self, config: &Config) -> Instant {
        let head = after(self.head_since.load(Relaxed), config.header_timeout);
        self.instant(head.min(self.write_until.load(Relaxed)))
    }

    /// When this connection will have been idle for too long, if nothing changes.
    pub(super) fn idle_at(&self, config: &Config) -> Instant {
        if self.is_idle() {
            self.instant(after(self.idle_since.load(Relaxed), config.idle_timeout))
        } else {
            self.instant(NEVER)
        }
    }

    /// Begins another idle time, the last: the connection was asked to end.
    pub(super) fn idle_again(&self) {
        self.idle_since.store(self.at(Instant::now()), Relaxed);
    }

    /// HTTP/2 runs each stream in a task of its own, which hyper makes right after calling the service: the exchange waits here
    /// for it.
    pub(crate) fn hand_to_executor(&self, exchange: &Arc<Exchange>) {
        *self.executor.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(exchange));
    }

    pub(super) fn take_for_executor(&self) -> Option<Arc<Exchange>> {
        self.executor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    pub(super) fn register(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Relaxed)
    }

    fn at(&self, instant: Instant) -> u64 {
        nanoseconds(instant.saturating_duration_since(self.opened))
    }

    fn instant(&self, at: u64) -> Instant {
        self.opened + Duration::from_nanos(at).min(FAR)
    }
}

/// All open connections of a server.
#[derive(Default)]
pub(crate) struct Roster {
    open: Mutex<Open>,
    closing: Notify,
    left: Notify,
}

#[derive(Default)]
struct Open {
    closed: bool,
    next: u64,
    sessions: HashMap<u64, Arc<Session>>,
}

/// A connection's place in the roster; dropping it leaves.
pub(super) struct Entry {
    roster: Arc<Roster>,
    id: u64,
}

impl Roster {
    /// None once closed.
    pub(super) fn enter(self: &Arc<Self>, session: &Arc<Session>) -> Option<Entry> {
        let mut open = self.open();
        if open.closed {
            return None;
        }
        let id = open.next;
        open.next += 1;
        open.sessions.insert(id, Arc::clone(session));
        Some(Entry {
            roster: Arc::clone(self),
            id,
        })
    }

    /// Ends accepting, and asks every connection to end after its requests in flight.
    pub(crate) fn close(&self) {
        let mut open = self.open();
        open.closed = true;
        for session in open.sessions.values() {
            session.draining.store(true, Relaxed);
            session.waker.wake();
        }
        drop(open);
        self.closing.notify_waiters();
    }

    /// Ends every connection now. Returns how many requests that cut off.
    pub(crate) fn cut(&self) -> usize {
        let open = self.open();
        open.sessions
            .values()
            .map(|session| {
                session.cut.store(true, Relaxed);
                session.waker.wake();
                session.in_flight.load(Relaxed)
            })
            .sum()
    }

    /// Ready once [`Self::close`] was called.
    pub(super) async fn closed(&self) {
        self.until(&self.closing, |open| open.closed).await;
    }

    /// Ready once no connection is open.
    pub(crate) async fn empty(&self) {
        self.until(&self.left, |open| open.sessions.is_empty())
            .await;
    }

    pub(crate) fn connections(&self) -> usize {
        self.open().sessions.len()
    }

    async fn until(&self, changed: &Notify, condition: impl Fn(&Open) -> bool) {
        loop {
            let notified = changed.notified();
            tokio::pin!(notified);
            // Registered before looking, so that no change is missed between the two.
            notified.as_mut().enable();
            if condition(&self.open()) {
                return;
            }
            notified.await;
        }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.roster.open().sessions.remove(&self.id);
        self.roster.left.notify_waiters();
    }
}

fn after(since: u64, timeout: Duration) -> u64 {
    since.saturating_add(nanoseconds(timeout))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER)
}
