//! Says in the log that a backend fails, so that its operator hears of it and not only the guest.
//!
//! In: calls. Out: the same answers, and a line for an error, at most one a minute: a backend that fails fails often. Errors name
//! operations and objects, never values, so they can be shown.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::contract::{Answer, Backend, Contract, Shared};

/// From one line to the next.
const PAUSE: Duration = Duration::from_secs(60);

/// A backend whose errors are told.
pub struct Notice<C: Contract> {
    inner: Shared<C>,
    app: String,
    component: String,
    backend: String,
    told: Mutex<Option<Instant>>,
}

impl<C: Contract> Notice<C> {
    /// Tells of `inner`, which is the operator's `backend` for this component of this app.
    pub fn new(inner: Shared<C>, app: &str, component: &str, backend: &str) -> Self {
        Self {
            inner,
            app: app.into(),
            component: component.into(),
            backend: backend.into(),
            told: Mutex::default(),
        }
    }

    fn is_due(&self) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let due = told.is_none_or(|told| told.elapsed() >= PAUSE);
        if due {
            *told = Some(Instant::now());
        }
        due
    }
}

impl<C: Contract> Backend<C> for Notice<C> {
    fn call(&self, call: C::Call) -> Answer<'_, C> {
        Box::pin(async move {
            let operation = C::operation(&call);
            let answer = self.inner.call(call).await;
            if let Err(error) = &answer
                && self.is_due()
            {
                let (app, component, backend) = (&*self.app, &*self.component, &*self.backend);
                tracing::warn!(app, component, backend, "{} {operation}: {error}", C::NAME);
            }
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::keyvalue::{KeyValue, Memory};

    #[tokio::test(start_paused = true)]
    async fn a_failing_backend_is_told_of_once_a_minute() {
        let notice = Notice::<KeyValue>::new(Arc::new(Memory::default()), "shop", "orders", "r");
        assert!(notice.is_due());
        tokio::time::advance(PAUSE - Duration::from_millis(1)).await;
        assert!(!notice.is_due());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(notice.is_due());
        assert!(!notice.is_due());
    }
}
