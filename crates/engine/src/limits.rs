//! What one invocation may use of memory, and the account of what it uses.
//!
//! In: every growth of a linear memory or table, before it happens. Out: leave or refusal, and the peak.
//! One sum over all memories and tables of the store: a component cannot escape its limit by having several.

use std::{sync::Arc, time::Duration};

use wasmtime::ResourceLimiter;

use crate::account::Account;

/// The limits of one invocation. The defaults are those of an app that says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// All linear memories and tables together.
    pub memory_bytes: u64,
    /// Time on a core.
    pub cpu: Duration,
    /// Time on the wall, from admission to the end of all work.
    pub timeout: Duration,
    /// Entries in the table of host resources (streams, fields, buckets, …).
    pub host_resources: usize,
    /// Handles the component itself may hold.
    pub handles: usize,
    /// Bytes one host call may copy out of the guest.
    pub host_call_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 128 << 20,
            cpu: Duration::from_secs(1),
            timeout: Duration::from_secs(30),
            host_resources: 4_096,
            handles: 8_192,
            host_call_bytes: 8 << 20,
        }
    }
}

/// The running account of one store's memory.
#[derive(Debug)]
pub struct Budget {
    limit_bytes: u64,
    used_bytes: u64,
    last_growth_bytes: u64,
    account: Arc<Account>,
}

/// What a table element occupies in the pool.
const TABLE_ELEMENT_BYTES: u64 = 8;

impl Budget {
    /// Nothing used yet; what is used is told to `account`.
    pub fn new(limits: &Limits, account: Arc<Account>) -> Self {
        Self {
            limit_bytes: limits.memory_bytes,
            used_bytes: 0,
            last_growth_bytes: 0,
            account,
        }
    }

    /// The account of the invocation that runs now.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// From here on another invocation runs in the same store. What the memories and tables have become is told its account:
    /// they do not shrink, and the limit holds for all of them as before.
    pub(crate) fn pass_to(&mut self, account: Arc<Account>) {
        account.set_memory_bytes(self.used_bytes);
        self.account = account;
    }

    fn grow(&mut self, growth_bytes: u64) -> bool {
        let wanted = self.used_bytes.saturating_add(growth_bytes);
        if wanted > self.limit_bytes {
            self.account.refuse_memory();
            return false;
        }
        self.used_bytes = wanted;
        self.account.set_memory_bytes(wanted);
        self.last_growth_bytes = growth_bytes;
        true
    }

    fn undo_last_growth(&mut self) {
        self.used_bytes = self.used_bytes.saturating_sub(self.last_growth_bytes);
        self.last_growth_bytes = 0;
        self.account.set_memory_bytes(self.used_bytes);
        self.account.refuse_memory();
    }
}

impl ResourceLimiter for Budget {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        Ok(self.grow(desired.saturating_sub(current) as u64))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.undo_last_growth();
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        Ok(self.grow((desired.saturating_sub(current) as u64).saturating_mul(TABLE_ELEMENT_BYTES)))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.undo_last_growth();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(memory_bytes: u64) -> Budget {
        let limits = Limits {
            memory_bytes,
            ..Limits::default()
        };
        Budget::new(&limits, Account::new(Duration::from_secs(1)))
    }

    #[test]
    fn sums_over_all_memories() {
        let mut budget = budget(100);
        assert!(budget.memory_growing(0, 60, None).unwrap());
        assert!(
            !budget.memory_growing(0, 60, None).unwrap(),
            "a second memory counts too"
        );
        assert!(budget.account.memory_refused());
        assert_eq!(budget.account.memory_bytes(), 60);
    }

    #[test]
    fn counts_tables_as_memory() {
        let mut budget = budget(100);
        assert!(!budget.table_growing(0, 13, None).unwrap());
        assert!(budget.table_growing(0, 12, None).unwrap());
        assert_eq!(budget.account.memory_bytes(), 96);
    }

    #[test]
    fn the_next_invocation_begins_with_what_the_former_left_grown() {
        let mut budget = budget(100);
        assert!(budget.memory_growing(0, 60, None).unwrap());
        assert!(!budget.memory_growing(60, 101, None).unwrap());
        let next = Account::new(Duration::from_secs(1));
        budget.pass_to(Arc::clone(&next));
        assert_eq!(next.memory_bytes(), 60);
        assert!(!next.memory_refused(), "the refusal was the former's");
        assert!(!budget.memory_growing(60, 101, None).unwrap());
        assert!(next.memory_refused());
    }

    #[test]
    fn gives_back_what_the_system_refused() {
        let mut budget = budget(100);
        assert!(budget.memory_growing(0, 60, None).unwrap());
        budget
            .memory_grow_failed(wasmtime::Error::msg("no memory"))
            .unwrap();
        assert_eq!(budget.account.memory_bytes(), 0);
    }
}
