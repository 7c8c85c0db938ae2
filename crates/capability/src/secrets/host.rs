//! Both packages of secrets translated to the contract.
//!
//! In: calls of a guest, with the secrets its component was granted: the linker's closures hold them. Out: calls of the contract.
//! A handle holds the secret as it was granted to whoever got it, so passing one on passes on that right and no more.

pub mod own;
pub mod wasmcloud;

use wasmtime::component::{HasData, Resource};

use super::{
    contract::{Call, Error, Reply, Secrets},
    grant::Keyring,
    value::{Revealed, SecretValue},
};
use crate::contract::Shared;
use crate::guest::Handles;

/// The line of a component's grants that lets it reveal a secret.
pub const REVEAL_LINE: &str = r#"secrets = [{ name = "NAME", reveal = true }]"#;

/// A secret that a guest has got: one version of it, without its value.
#[derive(Clone)]
pub struct Handle {
    secret: Shared<Secrets>,
    name: String,
    version: String,
}

impl Handle {
    async fn newest(secret: Shared<Secrets>, name: String) -> Result<Self, Error> {
        match secret.call(Call::Get { name: name.clone() }).await? {
            Reply::Found { version } => Ok(Self {
                secret,
                name,
                version,
            }),
            Reply::Revealed(_) => Err(unexpected()),
        }
    }

    async fn reveal(&self) -> Result<SecretValue, Error> {
        let Self {
            secret,
            name,
            version,
        } = self;
        let call = Call::Reveal {
            name: name.clone(),
            version: version.clone(),
        };
        match secret.call(call).await? {
            Reply::Revealed(Revealed::Value(value)) => Ok(value),
            // A replay without the operator's word: of the same length, and nothing that opens a door.
            Reply::Revealed(Revealed::Recorded(fingerprint)) => Ok(fingerprint.stand_in()),
            Reply::Found { .. } => Err(unexpected()),
        }
    }
}

/// The translation needs nothing of the store but its table.
struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut Handles;
}

async fn get(
    handles: &mut Handles,
    keyring: &Keyring,
    name: String,
) -> wasmtime::Result<Result<Resource<Handle>, Error>> {
    let Some(secret) = keyring.secret(&name) else {
        return Ok(Err(Error::NotFound));
    };
    let secret = handles.observation.secret(&name, secret);
    Ok(match Handle::newest(secret, name).await {
        Ok(handle) => Ok(handles.table.push(handle)?),
        Err(error) => Err(error),
    })
}

fn unexpected() -> Error {
    Error::Failed("the backend answered something else than it was asked".into())
}

/// A value as a guest reads it: text where it is UTF-8.
fn text_or_bytes(value: &SecretValue) -> Result<String, Vec<u8>> {
    String::from_utf8(value.expose().to_vec()).map_err(std::string::FromUtf8Error::into_bytes)
}
