//! Who owes an exchange its ending: moves from the service to the body of the response, and settles exactly once.
//!
//! Dropped without an ending, the client left or the node cut it off; there is no third way to lose one.

use std::{sync::Arc, time::Instant};

use crate::{
    exchange::{Ending, Exchange},
    listener::Session,
};

pub(crate) struct Account {
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) session: Arc<Session>,
    settled: bool,
}

impl Account {
    pub(crate) fn open(exchange: Exchange, session: &Arc<Session>) -> Self {
        session.request_began();
        Self {
            exchange: Arc::new(exchange),
            session: Arc::clone(session),
            settled: false,
        }
    }

    pub(crate) fn settle(&mut self, ending: Ending) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let now = Instant::now();
        self.exchange.set_ending(ending);
        self.exchange
            .set_duration(now.saturating_duration_since(self.exchange.started));
        self.session.request_ended(now);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        if self.session.is_cut() {
            self.exchange.set_reason("shutdown");
            self.settle(Ending::Aborted);
        } else {
            self.settle(Ending::ClientLeft);
        }
    }
}
