//! A store that cannot exceed its limits.
//!
//! In: an engine, what the host keeps for the guest, limits. Out: a store whose memory, time on a core, handles and
//! host-call bytes are bounded, and which yields the core every epoch; for one invocation, or for one after the other.

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
pub fn new_store<T: Guest>(engine: &Engine, guest: T, limits: &Limits) -> Store<T> {
    let mut store = Store::new(engine, guest);
    store.limiter(|guest| guest.budget());
    store.set_hostcall_fuel(limits.host_call_bytes);
    store.set_max_component_handles(limits.handles);
    store.set_epoch_deadline(1);
    // One callback for both: the yield and the budget would overwrite each other. `yield_now` of the runtime, because
    // Wasmtime's own yield wakes itself at once and starves I/O.
    store.epoch_deadline_callback(|mut store| {
        let account = store.data_mut().budget().account();
        if account.is_spent() {
            return Err(wasmtime::Error::new(Exceeded));
        }
        account.interrupt();
        Ok(UpdateDeadline::YieldCustom(
            1,
            Box::pin(tokio::task::yield_now()),
        ))
    });
    store
}

/// Lets another invocation begin in a store whose last one is over. `kept` are handles that the component holds from before:
/// they are not counted against the new one.
pub fn renew<T: Guest>(store: &mut Store<T>, limits: &Limits, account: Arc<Account>, kept: usize) {
    store.data_mut().budget().pass_to(account);
    store.set_max_component_handles(limits.handles.saturating_add(kept));
    // Epochs went by while it waited: the first of the new invocation is a whole one.
    store.set_epoch_deadline(1);
}
