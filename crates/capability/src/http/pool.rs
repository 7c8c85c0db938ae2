//! The connections of one app that can be used again. In: connections at the end of an exchange. Out: the same, to the
//! same authority under the same permission, while they live.
//!
//! Counts exchanges, not sockets: an exchange takes an idle connection before it dials, so an authority never has more
//! connections than places, and an app never more than its places and its idle ones. Dials nothing.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{
    address::Allowed,
    body::Progress,
    connection::{Connection, Http1, Http2},
    contract::Scheme,
    target::{Host, Target},
};

/// How long the end of the exchange before may take, once both bodies are over.
const LAST_FLUSH: Duration = Duration::from_millis(500);

/// Which connections are interchangeable: dialled to the same place, under an equal word of the operator's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) scheme: Scheme,
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) allowed: Arc<Allowed>,
}

impl Key {
    pub(super) fn new(target: &Target, allowed: &Arc<Allowed>) -> Self {
        let Target {
            scheme, host, port, ..
        } = target;
        Self {
            scheme: *scheme,
            host: host.clone(),
            port: *port,
            allowed: Arc::clone(allowed),
        }
    }
}

/// What the pool may keep.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolLimits {
    pub(super) per_authority: usize,
    pub(super) idle: usize,
    pub(super) idle_per_authority: usize,
    pub(super) idle_timeout: Duration,
}

#[derive(Debug)]
pub(super) struct Pool {
    limits: PoolLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    authorities: HashMap<Arc<Key>, Authority>,
    idle: usize,
    is_swept: bool,
}

#[derive(Debug)]
struct Authority {
    places: Arc<Semaphore>,
    /// Held while the first connection is made, until it is known whether one is enough.
    dialling: Arc<tokio::sync::Mutex<()>>,
    is_http1: bool,
    /// Oldest first.
    idle: VecDeque<(Http1, Instant)>,
    shared: Option<(Arc<Http2>, Instant)>,
}

impl Pool {
    pub(super) fn new(limits: PoolLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            state: Mutex::default(),
        })
    }

    /// The places of an authority; one is held for the time of an exchange.
    pub(super) fn places(self: &Arc<Self>, key: &Arc<Key>) -> Arc<Semaphore> {
        let mut state = self.state();
        self.sweep_later(&mut state);
        // A guest that may name hosts freely (`*.example.com`) must not grow the table.
        if state.authorities.len() >= 2 * self.limits.idle.max(64)
            && !state.authorities.contains_key(key)
        {
            state.sweep(self.limits);
        }
        let limits = self.limits;
        let authority = state
            .authorities
            .entry(Arc::clone(key))
            .or_insert_with(|| Authority::new(key, limits));
        Arc::clone(&authority.places)
    }

    /// A connection that lives and is free, the most recently used first: the oldest are left to time out.
    pub(super) async fn checkout(&self, key: &Key) -> Option<Connection> {
        loop {
            match self.pop(key)? {
                Connection::Http1(mut connection) => {
                    if connection.is_reusable(LAST_FLUSH).await {
                        return Some(Connection::Http1(connection));
                    }
                }
                shared @ Connection::Http2(_) => return Some(shared),
            }
        }
    }

    /// The connection that any number of exchanges share, where there is one.
    pub(super) fn shared(&self, key: &Key) -> Option<Connection> {
        let mut state = self.state();
        let (shared, used) = state.authorities.get_mut(key)?.shared.as_mut()?;
        *used = Instant::now();
        (!shared.is_closed()).then(|| Connection::Http2(Arc::clone(shared)))
    }

    /// The lock to hold while dialling, where one connection may turn out to be enough for all.
    pub(super) fn dialling(&self, key: &Key) -> Option<Arc<tokio::sync::Mutex<()>>> {
        let state = self.state();
        state
            .authorities
            .get(key)
            .filter(|authority| !authority.is_http1)
            .map(|authority| Arc::clone(&authority.dialling))
    }

    /// Learns from a new connection what the authority speaks, and shares what can be shared.
    pub(super) fn opened(&self, key: &Key, connection: &Connection) {
        let mut state = self.state();
        let Some(authority) = state.authorities.get_mut(key) else {
            return;
        };
        match connection {
            Connection::Http1(_) => authority.is_http1 = true,
            Connection::Http2(shared) => {
                authority.is_http1 = false;
                authority.shared = Some((Arc::clone(shared), Instant::now()));
            }
        }
    }

    /// Gives nobody else a connection that failed somebody.
    pub(super) fn forget(&self, key: &Key, connection: &Connection) {
        if let (Connection::Http2(failed), Some(authority)) =
            (connection, self.state().authorities.get_mut(key))
        {
            authority
                .shared
                .take_if(|(shared, _)| Arc::ptr_eq(shared, failed));
        }
    }

    fn checkin(&self, key: &Key, connection: Http1) {
        let mut state = self.state();
        let State {
            authorities, idle, ..
        } = &mut *state;
        let Some(authority) = authorities.get_mut(key) else {
            return;
        };
        if connection.is_closed() || *idle >= self.limits.idle {
            return;
        }
        authority.idle.push_back((connection, Instant::now()));
        *idle += 1;
        if authority.idle.len() > self.limits.idle_per_authority
            && authority.idle.pop_front().is_some()
        {
            *idle -= 1;
        }
    }

    fn pop(&self, key: &Key) -> Option<Connection> {
        if let Some(shared) = self.shared(key) {
            return Some(shared);
        }
        let mut state = self.state();
        let State {
            authorities, idle, ..
        } = &mut *state;
        let authority = authorities.get_mut(key)?;
        let (connection, _) = authority.idle.pop_back()?;
        *idle -= 1;
        Some(Connection::Http1(connection))
    }

    /// One task for each pool that has anything to keep; it ends with the last connection, or with the pool.
    fn sweep_later(self: &Arc<Self>, state: &mut State) {
        if std::mem::replace(&mut state.is_swept, true) {
            return;
        }
        let (pool, pause) = (Arc::downgrade(self), self.limits.idle_timeout / 2);
        tokio::spawn(async move {
            while Weak::upgrade(&pool).is_some_and(|pool| pool.sweep()) {
                tokio::time::sleep(pause.max(Duration::from_millis(10))).await;
            }
        });
    }

    fn sweep(&self) -> bool {
        let mut state = self.state();
        state.sweep(self.limits);
        state.is_swept = !state.authorities.is_empty();
        state.is_swept
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn sweep(&mut self, limits: PoolLimits) {
        let fresh = |since: &Instant| since.elapsed() < limits.idle_timeout;
        self.authorities.retain(|_, authority| {
            authority
                .idle
                .retain(|(connection, since)| fresh(since) && !connection.is_closed());
            authority.shared.take_if(|(shared, since)| {
                shared.is_closed() || (!fresh(since) && Arc::strong_count(shared) == 1)
            });
            // Somebody who holds the semaphore is between two of our methods and will come back.
            let is_used = Arc::strong_count(&authority.places) > 1;
            is_used || !authority.idle.is_empty() || authority.shared.is_some()
        });
        self.idle = self
            .authorities
            .values()
            .map(|authority| authority.idle.len())
            .sum();
    }
}

impl Authority {
    fn new(key: &Key, limits: PoolLimits) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limits.per_authority)),
            dialling: Arc::default(),
            // Cleartext is HTTP/1.1: there is nothing to negotiate.
            is_http1: key.scheme == Scheme::Http,
            idle: VecDeque::new(),
            shared: None,
        }
    }
}

/// What one exchange holds: its places and its connection. Dropped before it is finished, it closes an HTTP/1.1
/// connection and resets an HTTP/2 stream; the pool is none the wiser.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) pool: Arc<Pool>,
    pub(super) key: Arc<Key>,
    pub(super) connection: Option<Connection>,
    pub(super) progress: Arc<Progress>,
    /// Given back when the exchange is over.
    _places: Vec<OwnedSemaphorePermit>,
    is_finished: bool,
}

impl Lease {
    pub(super) fn new(
        pool: Arc<Pool>,
        key: Arc<Key>,
        progress: Arc<Progress>,
        places: Vec<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            pool,
            key,
            connection: None,
            progress,
            _places: places,
            is_finished: false,
        }
    }

    /// The response came to its end. The connection is free when the request has too, for which it is given a while;
    /// the places are held as long.
    pub(super) fn finish(mut self) {
        self.is_finished = true;
        let Some(Connection::Http1(mut connection)) = self.connection.take() else {
            return;
        };
        if self.progress.is_done() {
            return self.pool.checkin(&self.key, connection);
        }
        tokio::spawn(async move {
            if connection.is_reusable(self.pool.limits.idle_timeout).await {
                self.pool.checkin(&self.key, connection);
            }
        });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.is_finished {
            self.progress.cancel();
        }
    }
}
