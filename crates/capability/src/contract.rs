//! What a capability is to everything but its guest: calls, replies and errors as values, and somebody who answers.
//!
//! In: one call. Out: its reply or its error. A backend, a grant, a meter and a recording all have this one shape, so what
//! cuts across is a layer over any contract and knows no interface. Nothing of WIT is here.

use std::{fmt::Debug, future::Future, pin::Pin, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

/// A value that can be written down, compared and replayed.
pub trait Value:
    Serialize + DeserializeOwned + Clone + PartialEq + Debug + Send + Sync + 'static
{
}
impl<V: Serialize + DeserializeOwned + Clone + PartialEq + Debug + Send + Sync + 'static> Value
    for V
{
}

/// One capability.
pub trait Contract: Send + Sync + 'static {
    /// The word used in logs and metrics.
    const NAME: &'static str;
    /// Whether every call is answered where it is made: nobody waits, and nothing else comes to pass meanwhile.
    const AT_ONCE: bool = false;
    /// What a guest asks.
    type Call: Value;
    /// What it is answered.
    type Reply: Value;
    /// Why it is not answered.
    type Error: CallError;

    /// The operation of a call, for logs and metrics: one of a closed set.
    fn operation(call: &Self::Call) -> &'static str;
    /// Payload of a call in bytes, for meters.
    fn call_bytes(call: &Self::Call) -> u64;
    /// Payload of a reply in bytes, for meters.
    fn reply_bytes(reply: &Self::Reply) -> u64;
}

/// An error of a contract.
pub trait CallError: Value + std::error::Error {
    /// Whether the same call may succeed a moment later.
    fn is_temporary(&self) -> bool;
    /// The error of a call that took longer than it may.
    fn deadline(after: std::time::Duration) -> Self;
}

/// The answer to one call, when it comes.
pub type Answer<'a, C> = Pin<
    Box<dyn Future<Output = Result<<C as Contract>::Reply, <C as Contract>::Error>> + Send + 'a>,
>;

/// Somebody who answers the calls of a contract: a backend, or a layer around one.
pub trait Backend<C: Contract>: Send + Sync {
    /// Answers one call. Dropping the answer abandons the call; whether it took effect is then unknown.
    fn call(&self, call: C::Call) -> Answer<'_, C>;
}

/// A backend behind any number of layers.
pub type Shared<C> = Arc<dyn Backend<C>>;

/// What a backend says of itself, so that a skipped test is visible and a table can be printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Support {
    /// The vendor's folder.
    pub backend: &'static str,
    /// What it cannot do, in the words of the contract's operations and of its conformance suite.
    pub unsupported: &'static [&'static str],
}

impl Support {
    /// A backend that can do everything.
    pub const fn full(backend: &'static str) -> Self {
        Self {
            backend,
            unsupported: &[],
        }
    }

    /// Whether the backend can do this.
    pub fn has(&self, what: &str) -> bool {
        !self.unsupported.contains(&what)
    }

    /// Its row of a table with one column for each of `what`.
    pub fn row(&self, what: &[&str]) -> String {
        let can = |what: &&str| if self.has(what) { "yes" } else { "no" };
        let cells: Vec<&str> = what.iter().map(can).collect();
        format!("| {} | {} |", self.backend, cells.join(" | "))
    }

    /// Whether a case of a suite that needs all of this can run; says on standard error what is missing.
    pub fn runs(&self, case: &str, needs: &[&str]) -> bool {
        let missing: Vec<&str> = needs
            .iter()
            .copied()
            .filter(|need| !self.has(need))
            .collect();
        if !missing.is_empty() {
            let (backend, missing) = (self.backend, missing.join(", "));
            eprintln!("skipped for {backend}: {case} needs {missing}");
        }
        missing.is_empty()
    }
}
