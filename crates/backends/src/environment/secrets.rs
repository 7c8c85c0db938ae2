//! The calls of secrets on environment variables. They do not change, so there is one version.

use std::{collections::BTreeMap, ffi::OsString, os::unix::ffi::OsStringExt as _, sync::Arc};

use coracle_capability::{
    contract::{Answer, Backend, Shared, Support},
    secrets::{Call, Error, MAX_SECRET_BYTES, Reply, Revealed, SecretValue, Secrets},
};

use super::Config;

const VERSION: &str = "1";

/// The variables below a prefix.
#[derive(Debug, Clone)]
pub struct Environment(Arc<BTreeMap<String, SecretValue>>);

impl Environment {
    /// What its secrets cannot do: change.
    pub const SECRETS: Support = Support {
        backend: "environment",
        unsupported: &["rotation", "past versions"],
    };

    /// Takes the variables of this process.
    pub fn new(config: &Config) -> Self {
        Self::of(config, std::env::vars_os())
    }

    /// Takes these variables.
    pub fn of(config: &Config, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let below = |(name, value): (OsString, OsString)| {
            let name = name.into_string().ok()?;
            let rest = name.strip_prefix(&config.prefix)?;
            Some((rest.to_owned(), SecretValue::new(value.into_vec())))
        };
        Self(Arc::new(variables.into_iter().filter_map(below).collect()))
    }

    /// The secrets among them.
    pub fn secrets(&self) -> Shared<Secrets> {
        Arc::new(self.clone())
    }

    fn value(&self, name: &str) -> Result<&SecretValue, Error> {
        let value = Config::variable(name)
            .and_then(|variable| self.0.get(&variable))
            .ok_or(Error::NotFound)?;
        if value.expose().len() > MAX_SECRET_BYTES {
            return Err(Error::TooLarge(format!(
                "the variable is larger than {MAX_SECRET_BYTES} bytes"
            )));
        }
        Ok(value)
    }

    fn answer(&self, call: &Call) -> Result<Reply, Error> {
        match call {
            Call::Get { name } => self.value(name).map(|_| Reply::Found {
                version: VERSION.into(),
            }),
            Call::Reveal { name, version } => match self.value(name)? {
                value if version == VERSION => Ok(Reply::Revealed(Revealed::Value(value.clone()))),
                _ => Err(Error::Superseded),
            },
        }
    }
}

impl Backend<Secrets> for Environment {
    fn call(&self, call: Call) -> Answer<'_, Secrets> {
        let answer = self.answer(&call);
        Box::pin(async { answer })
    }
}
