//! Secrets in memory: the reference reading of the contract, and the mock of tests. Only the newest version of each is kept.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::{
    contract::{Call, Error, Reply, Secrets},
    value::{Revealed, SecretValue},
};
use crate::contract::{Answer, Backend, Support};

/// Secrets in memory.
#[derive(Debug, Default)]
pub struct Memory(Mutex<BTreeMap<String, (u64, SecretValue)>>);

impl Memory {
    /// Everything except what is over: only the newest version is kept.
    pub const SUPPORT: Support = Support {
        backend: "memory",
        unsupported: &["past versions"],
    };

    /// Holds these, each as its first version.
    pub fn new<N: Into<String>, V: Into<Vec<u8>>>(
        secrets: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let first = |(name, value): (N, V)| (name.into(), (1, SecretValue::new(value)));
        Self(Mutex::new(secrets.into_iter().map(first).collect()))
    }

    /// Puts a value in the place of the one before, as its next version.
    pub fn put(&self, name: &str, value: impl Into<Vec<u8>>) {
        let mut secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let version = secrets.get(name).map_or(0, |(version, _)| *version) + 1;
        secrets.insert(name.to_string(), (version, SecretValue::new(value)));
    }
}

impl Backend<Secrets> for Memory {
    fn call(&self, call: Call) -> Answer<'_, Secrets> {
        let answer = answer(
            &self.0.lock().unwrap_or_else(PoisonError::into_inner),
            &call,
        );
        Box::pin(async { answer })
    }
}

fn answer(secrets: &BTreeMap<String, (u64, SecretValue)>, call: &Call) -> Result<Reply, Error> {
    let find = |name: &str| secrets.get(name).ok_or(Error::NotFound);
    match call {
        Call::Get { name } => Ok(Reply::Found {
            version: find(name)?.0.to_string(),
        }),
        Call::Reveal { name, version } => {
            let (newest, value) = find(name)?;
            if newest.to_string() != *version {
                return Err(Error::Superseded);
            }
            Ok(Reply::Revealed(Revealed::Value(value.clone())))
        }
    }
}
