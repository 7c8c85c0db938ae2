//! Somebody wants no more. In: one call. Out: everything that waits ends, and keeps what it has.

use std::sync::Arc;

use tokio::sync::watch;

/// Asked to stop, or not yet. Clones share it.
#[derive(Debug, Clone)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    /// Nobody asked yet.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// No more.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Whether somebody asked.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// Until somebody asks.
    pub(crate) async fn stopped(&self) {
        // The sender is held here, so the wait ends only when it is asked.
        let _ = self.0.subscribe().wait_for(|stopped| *stopped).await;
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}
