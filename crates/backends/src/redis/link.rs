//! One connection that is kept up. In: a dialler. Out: the connection, while there is one, or why there is none.
//!
//! Made with the first call, and by one task from then on. While the server is away, calls are answered at once and that task
//! tries again with growing waits, so that nobody queues for a server that is not there. No call is ever sent twice.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use coracle_capability::{contract::CallError as _, keyvalue::Error};
use redis::aio::MultiplexedConnection;
use tokio::{
    sync::{Notify, watch},
    task::{AbortHandle, JoinHandle},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{dial::Dialler, failure::unavailable};

/// Waits between attempts: from the first to the last, doubling. The last bounds how long a server is back before it is found.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LAST_WAIT: Duration = Duration::from_millis(500);
/// A connection that is lost sooner counts as a failed attempt.
const STEADY: Duration = Duration::from_millis(100);
/// A connection is not replaced because of an error reply sooner than this: the reply may be the same everywhere.
const REPLACED_AFTER: Duration = Duration::from_secs(1);

pub(crate) struct Link {
    shared: Arc<Kept>,
    keeper: OnceLock<AbortHandle>,
}

struct Kept {
    dialler: Arc<Dialler>,
    state: watch::Sender<State>,
    stale: Notify,
}

enum State {
    Dialling,
    Up(MultiplexedConnection),
    Down(Error),
}

impl Link {
    pub(crate) fn new(dialler: Arc<Dialler>) -> Self {
        Self {
            shared: Arc::new(Kept {
                dialler,
                state: watch::Sender::new(State::Dialling),
                stale: Notify::new(),
            }),
            keeper: OnceLock::new(),
        }
    }

    /// The connection; waits only while the first attempt after a loss is under way.
    pub(crate) async fn connection(&self) -> Result<MultiplexedConnection, Error> {
        self.keeper
            .get_or_init(|| tokio::spawn(keep(self.shared.clone())).abort_handle());
        if let Some(settled) = self.shared.state.borrow().settled() {
            return settled;
        }
        let mut states = self.shared.state.subscribe();
        let state = states.wait_for(|state| state.settled().is_some()).await;
        let settled = state.ok().and_then(|state| state.settled());
        settled.unwrap_or_else(|| Err(unavailable("the connection to Redis was closed")))
    }

    /// Whether a call would be answered with why there is no connection.
    pub(crate) fn is_down(&self) -> bool {
        matches!(*self.shared.state.borrow(), State::Down(_))
    }

    /// Asks for another connection. Calls under way on this one are still answered.
    pub(crate) fn replace(&self) {
        self.shared.stale.notify_one();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.get() {
            keeper.abort();
        }
    }
}

impl State {
    fn settled(&self) -> Option<Result<MultiplexedConnection, Error>> {
        match self {
            State::Dialling => None,
            State::Up(connection) => Some(Ok(connection.clone())),
            State::Down(error) => Some(Err(error.clone())),
        }
    }
}

async fn keep(link: Arc<Kept>) {
    let mut wait = FIRST_WAIT;
    loop {
        let error = match link.dial().await {
            Ok((connection, driver)) => {
                let began = Instant::now();
                link.up(connection);
                link.lost(driver).await;
                if began.elapsed() >= STEADY {
                    wait = FIRST_WAIT;
                    link.state.send_replace(State::Dialling);
                    continue;
                }
                unavailable("the connection to Redis was lost")
            }
            Err(error) => error,
        };
        link.down(error);
        sleep(wait).await;
        wait = (wait * 2).min(LAST_WAIT);
    }
}

impl Kept {
    async fn dial(&self) -> Result<(MultiplexedConnection, JoinHandle<()>), Error> {
        let limit = self.dialler.config().timeout;
        let dialled = timeout(limit, self.dialler.dial()).await;
        dialled.unwrap_or_else(|_| Err(Error::deadline(limit)))
    }

    /// Until the connection is lost, or somebody asks for another one.
    async fn lost(&self, driver: JoinHandle<()>) {
        let replaceable = async {
            sleep_until(Instant::now() + REPLACED_AFTER).await;
            self.stale.notified().await;
        };
        tokio::select! {
            _ = driver => {}
            () = replaceable => {}
        }
    }

    fn up(&self, connection: MultiplexedConnection) {
        let before = self.state.send_replace(State::Up(connection));
        if matches!(before, State::Down(_)) {
            tracing::info!(redis = %self.dialler.config().endpoint, "connected again");
        }
    }

    fn down(&self, error: Error) {
        let text = error.to_string();
        let before = self.state.send_replace(State::Down(error));
        if !matches!(before, State::Down(_)) {
            tracing::warn!(redis = %self.dialler.config().endpoint, "no connection: {text}");
        }
    }
}
