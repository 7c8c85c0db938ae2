//! What a component may do with a secret.
//!
//! In: calls under the name the component uses. Out: calls under the name the operator keeps the secret by, or a refusal. One
//! grant is one secret: what is asked for beside it does not reach the backend.

use std::sync::Arc;

use super::{
    contract::{Call, Error, Reply, Secrets},
    value::{MAX_SECRET_BYTES, Revealed},
};
use crate::contract::{Answer, Backend, Shared};

/// Whether the value may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reveal {
    /// Handles only.
    Withheld,
    /// Values too.
    Granted,
}

/// One secret as one component sees it. The name in a call is replaced by the one it is kept under.
pub struct Granted {
    store: Shared<Secrets>,
    kept_as: String,
    reveal: Reveal,
}

impl Granted {
    /// The secret that `store` keeps as `kept_as`.
    pub fn new(store: Shared<Secrets>, kept_as: impl Into<String>, reveal: Reveal) -> Self {
        Self {
            store,
            kept_as: kept_as.into(),
            reveal,
        }
    }

    fn admit(&self, call: Call) -> Result<Call, Error> {
        let name = self.kept_as.clone();
        match call {
            Call::Get { .. } => Ok(Call::Get { name }),
            Call::Reveal { version, .. } if self.reveal == Reveal::Granted => {
                Ok(Call::Reveal { name, version })
            }
            Call::Reveal { .. } => Err(Error::Denied(
                "this component may not reveal the secret".into(),
            )),
        }
    }
}

impl Backend<Secrets> for Granted {
    fn call(&self, call: Call) -> Answer<'_, Secrets> {
        Box::pin(async move { bounded(self.store.call(self.admit(call)?).await?) })
    }
}

fn bounded(reply: Reply) -> Result<Reply, Error> {
    match &reply {
        Reply::Revealed(Revealed::Value(value)) if value.expose().len() > MAX_SECRET_BYTES => {
            Err(Error::TooLarge(format!(
                "a secret is at most {MAX_SECRET_BYTES} bytes large"
            )))
        }
        _ => Ok(reply),
    }
}

/// Everything one component may hold, by the name it uses. The linker's closures hold it.
#[derive(Clone, Default)]
pub struct Keyring(Arc<Ring>);

#[derive(Default)]
struct Ring {
    component: String,
    secrets: Vec<(String, Shared<Secrets>)>,
    reveals: bool,
}

impl Keyring {
    /// The names a component may use, each with the secret behind it; the component's own name is for messages.
    ///
    /// Each secret is a [`Granted`], with any layers around it; `reveal` repeats what its grant says, so that linking can tell
    /// whether there is anything to reveal.
    pub fn new(
        component: impl Into<String>,
        secrets: Vec<(String, Reveal, Shared<Secrets>)>,
    ) -> Self {
        Self(Arc::new(Ring {
            component: component.into(),
            reveals: secrets
                .iter()
                .any(|(_, reveal, _)| *reveal == Reveal::Granted),
            secrets: secrets
                .into_iter()
                .map(|(name, _, secret)| (name, secret))
                .collect(),
        }))
    }

    /// Whether there is nothing to get.
    pub fn is_empty(&self) -> bool {
        self.0.secrets.is_empty()
    }

    /// Whether one of them may be revealed.
    pub fn reveals(&self) -> bool {
        self.0.reveals
    }

    /// Whose it is.
    pub fn component(&self) -> &str {
        &self.0.component
    }

    /// The secret of that name.
    pub fn secret(&self, name: &str) -> Option<Shared<Secrets>> {
        let found = self.0.secrets.iter().find(|(granted, _)| granted == name);
        found.map(|(_, secret)| Arc::clone(secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::{Memory, SecretValue};

    fn get(name: &str) -> Call {
        Call::Get { name: name.into() }
    }

    fn reveal(version: &str) -> Call {
        Call::Reveal {
            name: "k".into(),
            version: version.into(),
        }
    }

    fn memory() -> Shared<Secrets> {
        Arc::new(Memory::new([("kept/a", "one"), ("kept/b", "two")]))
    }

    #[tokio::test]
    async fn a_handle_can_be_had_without_the_right_to_reveal() {
        let secret = Granted::new(memory(), "kept/a", Reveal::Withheld);
        let Ok(Reply::Found { version }) = secret.call(get("k")).await else {
            panic!("no handle");
        };
        assert!(matches!(
            secret.call(reveal(&version)).await,
            Err(Error::Denied(_))
        ));
    }

    #[tokio::test]
    async fn no_name_reaches_another_secret_of_the_same_store() {
        let secret = Granted::new(memory(), "kept/a", Reveal::Granted);
        for name in ["k", "kept/b", "../b", ""] {
            let call = Call::Reveal {
                name: name.into(),
                version: "1".into(),
            };
            let value = Reply::Revealed(Revealed::Value(SecretValue::new("one")));
            assert_eq!(secret.call(call).await, Ok(value), "{name:?}");
        }
    }

    #[tokio::test]
    async fn a_value_beyond_the_limit_is_refused_whatever_the_backend_says() {
        let store: Shared<Secrets> =
            Arc::new(Memory::new([("big", "x".repeat(MAX_SECRET_BYTES + 1))]));
        let secret = Granted::new(store, "big", Reveal::Granted);
        assert!(matches!(
            secret.call(reveal("1")).await,
            Err(Error::TooLarge(_))
        ));
    }

    #[test]
    fn a_keyring_knows_what_was_granted_and_whether_any_can_be_revealed() {
        let secret: Shared<Secrets> = Arc::new(Granted::new(memory(), "kept/a", Reveal::Withheld));
        let ring = |reveal| {
            Keyring::new(
                "orders",
                vec![("stripe-key".into(), reveal, Arc::clone(&secret))],
            )
        };
        assert!(Keyring::default().is_empty());
        assert!(!ring(Reveal::Withheld).reveals());
        assert!(ring(Reveal::Granted).reveals());
        assert!(ring(Reveal::Granted).secret("stripe-key").is_some());
        assert!(ring(Reveal::Granted).secret("kept/a").is_none());
    }
}
