//! Secrets kept in a Vault. A version is Vault's own number; past ones can be read for as long as Vault keeps them.

use coracle_capability::{
    contract::{Answer, Backend, Support},
    secrets::{Call, Error, Reply, Revealed, SecretValue, Secrets},
};

use super::{Vault, client::Secret, path::Path};

/// The field that a name without one means.
const FIELD: &str = "value";

impl Vault {
    /// What its secrets cannot be: JSON holds text only.
    pub const SECRETS: Support = Support {
        backend: "vault",
        unsupported: &["bytes"],
    };
}

/// The secrets below one path.
pub(super) struct Store {
    vault: Vault,
    path: Path,
}

impl Store {
    pub(super) fn new(vault: Vault, path: Path) -> Self {
        Self { vault, path }
    }

    async fn get(&self, name: &str) -> Result<Reply, Error> {
        let (path, field) = self.place(name)?;
        let secret = self.vault.read(&path, None).await?.ok_or(Error::NotFound)?;
        value(&secret, field).ok_or(Error::NotFound)?;
        Ok(Reply::Found {
            version: secret.version.to_string(),
        })
    }

    async fn reveal(&self, name: &str, version: &str) -> Result<Reply, Error> {
        let (path, field) = self.place(name)?;
        let version = number(version).ok_or(Error::Superseded)?;
        let secret = self
            .vault
            .read(&path, Some(version))
            .await?
            .ok_or(Error::Superseded)?;
        // A server that answers with another version is not to be believed.
        let found = Some(secret).filter(|secret| secret.version == version);
        let value = found
            .and_then(|secret| value(&secret, field))
            .ok_or(Error::Superseded)?;
        Ok(Reply::Revealed(Revealed::Value(value)))
    }

    /// `stripe#key`: the path of the secret and the name of its field.
    fn place<'a>(&self, name: &'a str) -> Result<(Path, &'a str), Error> {
        let (path, field) = name.rsplit_once('#').unwrap_or((name, FIELD));
        let path = self.path.join(path).ok_or(Error::NotFound)?;
        Ok((path, field))
    }
}

impl Backend<Secrets> for Store {
    fn call(&self, call: Call) -> Answer<'_, Secrets> {
        Box::pin(async move {
            match call {
                Call::Get { name } => self.get(&name).await,
                Call::Reveal { name, version } => self.reveal(&name, &version).await,
            }
        })
    }
}

fn value(secret: &Secret, field: &str) -> Option<SecretValue> {
    secret.field(field).map(SecretValue::new)
}

/// A version as [`Reply::Found`] tells it; to Vault, 0 would mean the newest.
fn number(version: &str) -> Option<u64> {
    let number: u64 = version.parse().ok()?;
    (number > 0 && number.to_string() == version).then_some(number)
}
