//! Spares a backend that is down, and its callers the wait.
//!
//! In: calls. Out: their answers; after a number of temporary errors in a row, the last of those errors at once, until one call
//! that was let through succeeds. Errors that will not pass are answers: whoever gives them is there.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::contract::{Answer, Backend, CallError as _, Contract, Shared};

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance {
    /// Temporary errors in a row that open it; at least one.
    pub errors: u32,
    /// How long no call passes then. After that one does, and the others wait for what becomes of it no longer than for an error.
    pub pause: Duration,
}

impl Default for Tolerance {
    /// Five errors, one second: a backend that is back is used again within two.
    fn default() -> Self {
        Self {
            errors: 5,
            pause: Duration::from_secs(1),
        }
    }
}

/// A backend that is not called while it is down. Belongs outside a [`Deadline`](super::Deadline): a call that came to its end is an
/// error like others.
pub struct Breaker<C: Contract> {
    inner: Shared<C>,
    tolerance: Tolerance,
    state: Mutex<State<C::Error>>,
}

enum State<E> {
    /// Calls pass.
    Closed { errors: u32 },
    /// They do not.
    Open { until: Instant, error: E },
    /// One does.
    Probing { error: E },
}

impl<C: Contract> Breaker<C> {
    /// Closed at first.
    pub fn new(inner: Shared<C>, tolerance: Tolerance) -> Self {
        Self {
            inner,
            tolerance,
            state: Mutex::new(State::Closed { errors: 0 }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<C::Error>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a call pass, as a probe or not, or says why not.
    fn admit(&self) -> Result<Option<Probe<'_, C>>, C::Error> {
        let mut state = self.state();
        match &*state {
            State::Closed { .. } => Ok(None),
            State::Open { until, error } if Instant::now() >= *until => {
                *state = State::Probing {
                    error: error.clone(),
                };
                Ok(Some(Probe(self)))
            }
            State::Open { error, .. } | State::Probing { error } => Err(error.clone()),
        }
    }

    /// What one answer says of the backend. The probe goes when the state has changed, so that its going changes nothing.
    fn heard(&self, answer: Result<(), &C::Error>, probe: Option<Probe<'_, C>>) {
        let is_probe = probe.is_some();
        let mut state = self.state();
        let State::Closed { errors } = &*state else {
            // Calls that began before it opened say nothing new.
            if is_probe {
                *state = self.next(answer, self.tolerance.errors);
            }
            return;
        };
        *state = self.next(answer, errors.saturating_add(1));
    }

    fn next(&self, answer: Result<(), &C::Error>, errors: u32) -> State<C::Error> {
        match answer {
            Err(error) if error.is_temporary() => match errors >= self.tolerance.errors {
                true => State::Open {
                    until: Instant::now() + self.tolerance.pause,
                    error: error.clone(),
                },
                false => State::Closed { errors },
            },
            _ => State::Closed { errors: 0 },
        }
    }
}

/// The one call that passes. A probe that is given up says nothing: the next call is the probe.
struct Probe<'a, C: Contract>(&'a Breaker<C>);

impl<C: Contract> Drop for Probe<'_, C> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if let State::Probing { error } = &*state {
            *state = State::Open {
                until: Instant::now(),
                error: error.clone(),
            };
        }
    }
}

impl<C: Contract> Backend<C> for Breaker<C> {
    fn call(&self, call: C::Call) -> Answer<'_, C> {
        Box::pin(async move {
            let probe = self.admit()?;
            let answer = self.inner.call(call).await;
            self.heard(answer.as_ref().map(|_| ()), probe);
            answer
        })
    }
}

#[cfg(test)]
mod tests;
