//! Ends a call that takes too long.
//!
//! In: a call. Out: the reply, or the contract's own deadline error.

use std::time::Duration;

use crate::contract::{Answer, Backend, CallError, Contract, Shared};

/// A backend that answers within `limit` or with an error.
pub struct Deadline<C: Contract> {
    inner: Shared<C>,
    limit: Duration,
}

impl<C: Contract> Deadline<C> {
    /// Bounds every call of `inner`.
    pub fn new(inner: Shared<C>, limit: Duration) -> Self {
        Self { inner, limit }
    }
}

impl<C: Contract> Backend<C> for Deadline<C> {
    fn call(&self, call: C::Call) -> Answer<'_, C> {
        Box::pin(async move {
            match tokio::time::timeout(self.limit, self.inner.call(call)).await {
                Ok(answer) => answer,
                Err(_) => Err(C::Error::deadline(self.limit)),
            }
        })
    }
}
