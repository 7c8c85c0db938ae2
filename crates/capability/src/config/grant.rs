//! What one component reads: the operator's values over its manifest's.
//!
//! In: a call. Out: the operator's value where there is one, else the manifest's; for a list, both, key by key. A source that fails is
//! an error and never the manifest's value in its place: a component is not to run on a default that the operator replaced.
//! Everything that leaves has a bound, whatever a source says.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    contract::{Call, Config, Error, MAX_KEYS, MAX_LIST_BYTES, MAX_VALUE_BYTES, Reply, bytes},
    memory::Memory,
};
use crate::contract::{Answer, Backend, Shared};

/// The operator's values over the manifest's.
pub struct Granted {
    operator: Shared<Config>,
    manifest: Memory,
}

impl Granted {
    /// What `operator` holds, and for other keys what the manifest says.
    pub fn new(operator: Shared<Config>, manifest: Memory) -> Self {
        Self { operator, manifest }
    }

    async fn answer(&self, call: Call) -> Result<Reply, Error> {
        match (self.operator.call(call.clone()).await?, call) {
            (Reply::Value(Some(value)), Call::Get { key }) if value.len() > MAX_VALUE_BYTES => {
                Err(Error::value_too_large(&key))
            }
            (Reply::Value(None), call) => self.manifest.call(call).await,
            (Reply::Values(operators), call) => {
                let Reply::Values(manifests) = self.manifest.call(call).await? else {
                    return Err(unexpected());
                };
                merged(manifests, operators).map(Reply::Values)
            }
            (reply, _) => Ok(reply),
        }
    }
}

impl Backend<Config> for Granted {
    fn call(&self, call: Call) -> Answer<'_, Config> {
        Box::pin(self.answer(call))
    }
}

/// Later ones win.
fn merged(
    below: Vec<(String, String)>,
    above: Vec<(String, String)>,
) -> Result<Vec<(String, String)>, Error> {
    if let Some((key, _)) = above
        .iter()
        .find(|(_, value)| value.len() > MAX_VALUE_BYTES)
    {
        return Err(Error::value_too_large(key));
    }
    let values: BTreeMap<String, String> = below.into_iter().chain(above).collect();
    let values: Vec<_> = values.into_iter().collect();
    if values.len() > MAX_KEYS || bytes(&values) > MAX_LIST_BYTES {
        return Err(Error::list_too_large());
    }
    Ok(values)
}

pub(super) fn unexpected() -> Error {
    Error::Failed("the backend answered something else than it was asked".into())
}

/// What one component may read. The linker's closures hold it.
#[derive(Clone)]
pub struct Values(Shared<Config>);

impl Values {
    /// Reads from `source`: a manifest's [`Memory`] or a [`Granted`], with any layers around it.
    pub fn new(source: Shared<Config>) -> Self {
        Self(source)
    }

    pub(super) fn source(&self) -> Shared<Config> {
        Arc::clone(&self.0)
    }
}

impl Default for Values {
    /// None at all.
    fn default() -> Self {
        Self(Arc::new(Memory::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{
        Fault,
        fault::{Effect, Rule, When},
    };

    fn memory(values: &[(&str, &str)]) -> Memory {
        let owned = |(key, value): &(&str, &str)| (key.to_string(), value.to_string());
        Memory::new(values.iter().map(owned).collect())
    }

    fn granted(operator: Memory) -> Granted {
        let manifest = memory(&[("currency", "EUR"), ("region", "eu")]);
        Granted::new(Arc::new(operator), manifest)
    }

    async fn get(values: &Granted, key: &str) -> Result<Reply, Error> {
        values.call(Call::Get { key: key.into() }).await
    }

    fn value(text: &str) -> Result<Reply, Error> {
        Ok(Reply::Value(Some(text.into())))
    }

    #[tokio::test]
    async fn the_operators_value_stands_above_the_manifests_key_by_key() {
        let values = granted(memory(&[("region", "us"), ("zone", "")]));
        assert_eq!(get(&values, "region").await, value("us"));
        assert_eq!(get(&values, "currency").await, value("EUR"));
        assert_eq!(get(&values, "zone").await, value(""));
        assert_eq!(get(&values, "other").await, Ok(Reply::Value(None)));
        let all = [("currency", "EUR"), ("region", "us"), ("zone", "")];
        let all = all.map(|(key, value)| (key.into(), value.into()));
        assert_eq!(
            values.call(Call::GetAll).await,
            Ok(Reply::Values(all.into()))
        );
    }

    #[tokio::test]
    async fn a_source_that_fails_is_an_error_and_not_the_manifests_value() {
        let gone = Error::Unavailable("gone".into());
        let rule = Rule::new(When::Always, Effect::Error(gone.clone()));
        let source = Fault::<Config>::new(Arc::new(memory(&[])), vec![rule]);
        let values = Granted::new(Arc::new(source), memory(&[("region", "eu")]));
        assert_eq!(get(&values, "region").await, Err(gone.clone()));
        assert_eq!(values.call(Call::GetAll).await, Err(gone));
    }

    #[tokio::test]
    async fn what_a_source_holds_beyond_the_bounds_is_refused_without_showing_it() {
        let large = "x".repeat(MAX_VALUE_BYTES + 1);
        let values = granted(memory(&[("big", &large)]));
        let refused = Err(Error::value_too_large("big"));
        assert_eq!(get(&values, "big").await, refused);
        assert_eq!(values.call(Call::GetAll).await, refused);
        assert_eq!(get(&values, "region").await, value("eu"));

        let many: Vec<String> = (0..=MAX_KEYS).map(|n| n.to_string()).collect();
        let many: Vec<_> = many.iter().map(|key| (key.as_str(), "")).collect();
        let values = granted(memory(&many));
        assert_eq!(
            values.call(Call::GetAll).await,
            Err(Error::list_too_large())
        );

        let full = "x".repeat(MAX_VALUE_BYTES);
        let keys: Vec<String> = (0..=MAX_LIST_BYTES / MAX_VALUE_BYTES)
            .map(|n| n.to_string())
            .collect();
        let pairs: Vec<_> = keys
            .iter()
            .map(|key| (key.as_str(), full.as_str()))
            .collect();
        let values = granted(memory(&pairs));
        assert_eq!(
            values.call(Call::GetAll).await,
            Err(Error::list_too_large())
        );
    }
}
