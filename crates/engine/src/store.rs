//! A store that cannot exceed its limits.
//!
//! In: an engine, what the host keeps for the guest, limits. Out: a store whose memory, time on a core, handles and
//! host-call bytes are bounded, and which yields the core every epoch.

use std::{error::Error, fmt, sync::Arc};

use wasmtime::{Engine, Store, UpdateDeadline};

use crate::{
    account::Account,
    limits::{Budget, Limits},
};

/// What the host keeps in a store; the engine needs its memory account only.
pub trait Guest: Send + 'static {
    /// The account of this store's memory.
    fn budget(&mut self) -> &mut Budget;
}

/// The error with which a guest ends that spent its time on the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded;

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the invocation used up its CPU limit")
    }
}

impl Error for Exceeded {}

/// A store under these limits.
pub fn new_store<T: Guest>(
    engine: &Engine,
    guest: T,
    limits: &Limits,
    account: Arc<Account>,
) -> Store<T> {
    let mut store = Store::new(engine, guest);
    store.limiter(|guest| guest.budget());
    store.set_hostcall_fuel(limits.host_call_bytes);
    store.set_max_component_handles(limits.handles);
    store.set_epoch_deadline(1);
    // One callback for both: the yield and the budget would overwrite each other. `yield_now` of the runtime, because
    // Wasmtime's own yield wakes itself at once and starves I/O.
    store.epoch_deadline_callback(move |_| {
        if account.is_spent() {
            return Err(wasmtime::Error::new(Exceeded));
        }
        Ok(UpdateDeadline::YieldCustom(
            1,
            Box::pin(tokio::task::yield_now()),
        ))
    });
    store
}
