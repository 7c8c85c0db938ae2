//! Values in memory: the reference reading of the contract, and what a manifest says. They do not change.

use std::{collections::BTreeMap, sync::Arc};

use super::contract::{Call, Config, Error, Reply};
use crate::contract::{Answer, Backend, Support};

/// Values in memory.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<BTreeMap<String, String>>);

impl Memory {
    /// Everything but seeing a change: there is none.
    pub const SUPPORT: Support = Support {
        backend: "memory",
        unsupported: &["change"],
    };

    /// Holds these.
    pub fn new(values: BTreeMap<String, String>) -> Self {
        Self(Arc::new(values))
    }

    fn answer(&self, call: &Call) -> Reply {
        match call {
            Call::Get { key } => Reply::Value(self.0.get(key).cloned()),
            Call::GetAll => Reply::Values(
                self.0
                    .iter()
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect(),
            ),
        }
    }
}

impl Backend<Config> for Memory {
    fn call(&self, call: Call) -> Answer<'_, Config> {
        let reply: Result<Reply, Error> = Ok(self.answer(&call));
        Box::pin(async { reply })
    }
}
