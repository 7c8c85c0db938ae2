//! The calls of configuration on environment variables. They do not change.

use std::{collections::BTreeMap, ffi::OsString, sync::Arc};

use coracle_capability::{
    config::{Call, Config as Contract, Error, MAX_KEYS, MAX_LIST_BYTES, MAX_VALUE_BYTES, Reply},
    contract::{Answer, Backend, Shared, Support},
};

use super::{Config, Spelling};

/// The variables below a prefix, as values of components.
#[derive(Debug, Clone)]
pub struct Values(Arc<BTreeMap<String, Result<String, Error>>>);

impl Values {
    /// What they cannot do: change, and have keys of other characters than letters, digits, hyphen and underscore.
    pub const VALUES: Support = Support {
        backend: "environment",
        unsupported: &["change", "any key"],
    };

    /// Takes the variables of this process.
    pub fn new(config: &Config, spelling: Spelling) -> Self {
        Self::of(config, spelling, std::env::vars_os())
    }

    /// Takes these variables.
    pub fn of(
        config: &Config,
        spelling: Spelling,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let below = |(name, value): (OsString, OsString)| {
            let name = name.into_string().ok()?;
            let key = spelling.called(name.strip_prefix(&config.prefix)?)?;
            let value = match value.into_string() {
                Ok(text) if text.len() > MAX_VALUE_BYTES => Err(Error::value_too_large(&key)),
                Ok(text) => Ok(text),
                Err(_) => Err(Error::not_text(&key)),
            };
            Some((key, value))
        };
        Self(Arc::new(variables.into_iter().filter_map(below).collect()))
    }

    /// The values.
    pub fn values(&self) -> Shared<Contract> {
        Arc::new(self.clone())
    }

    fn answer(&self, call: &Call) -> Result<Reply, Error> {
        match call {
            Call::Get { key } => self.0.get(key).cloned().transpose().map(Reply::Value),
            Call::GetAll => {
                let pair = |(key, value): (&String, &Result<String, Error>)| {
                    value.clone().map(|value| (key.clone(), value))
                };
                let values: Vec<_> = self.0.iter().map(pair).collect::<Result<_, _>>()?;
                let bytes: usize = values.iter().map(|(k, v)| k.len() + v.len()).sum();
                if values.len() > MAX_KEYS || bytes > MAX_LIST_BYTES {
                    return Err(Error::list_too_large());
                }
                Ok(Reply::Values(values))
            }
        }
    }
}

impl Backend<Contract> for Values {
    fn call(&self, call: Call) -> Answer<'_, Contract> {
        let answer = self.answer(&call);
        Box::pin(async { answer })
    }
}
