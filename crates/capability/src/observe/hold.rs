//! The writes of one invocation, held back and listed.
//!
//! In: buckets as they are opened. Out: the same buckets with an overlay that the invocation sees and the backend does not, and the list
//! of what would have changed outside.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use super::value::Encoded;
use crate::{
    contract::Shared,
    keyvalue::{Call, KeyValue, overlay::Overlay},
};

/// Something an invocation would have changed outside itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// A write to a bucket.
    Keyvalue {
        /// As the guest names it.
        bucket: String,
        /// The write as the backend would have seen it, the grant's prefix included.
        call: Call,
    },
    /// An outbound request that may change something; it was refused.
    Http {
        /// Method.
        method: String,
        /// Where to.
        url: String,
    },
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::Keyvalue { bucket, call } => {
                let call =
                    Encoded::of(call).map_or_else(|error| error.to_string(), |call| call.show());
                write!(f, "bucket {bucket:?}: {call}")
            }
            Effect::Http { method, url } => write!(f, "http: {method} {url}"),
        }
    }
}

/// The held writes of one invocation.
#[derive(Default)]
pub struct Effects {
    buckets: Mutex<Vec<(String, Arc<Overlay>)>>,
    others: Mutex<Vec<Effect>>,
}

impl Effects {
    /// The overlay of this bucket; the same one each time the invocation opens it.
    pub(super) fn bucket(&self, name: &str, make: impl FnOnce() -> Overlay) -> Shared<KeyValue> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, overlay)) = buckets.iter().find(|(known, _)| known == name) {
            return Arc::clone(overlay) as _;
        }
        let overlay = Arc::new(make());
        buckets.push((name.to_string(), Arc::clone(&overlay)));
        overlay
    }

    /// Notes an outbound request that was refused.
    pub fn http(&self, method: &str, url: &str) {
        let effect = Effect::Http {
            method: method.into(),
            url: url.into(),
        };
        self.others
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(effect);
    }

    /// Everything held back, bucket by bucket in order.
    pub fn list(&self) -> Vec<Effect> {
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let writes = buckets.iter().flat_map(|(bucket, overlay)| {
            overlay.writes().into_iter().map(|call| Effect::Keyvalue {
                bucket: bucket.clone(),
                call,
            })
        });
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        writes.chain(others.iter().cloned()).collect()
    }
}
