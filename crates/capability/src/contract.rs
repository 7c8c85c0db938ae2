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
