//! `wasmcloud:secrets@0.1.0-draft`: the same, but its `reveal` has no error.

use wasmtime::component::{Linker, Resource};

use super::{Handle, Table};
use crate::guest::Handles;
use crate::{
    NotGranted,
    secrets::{Error, Keyring},
};

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package coracle:host; world secrets {
            import wasmcloud:secrets/store@0.1.0-draft;
            import wasmcloud:secrets/reveal@0.1.0-draft;
        }",
        path: "../../wit/secrets-wasmcloud-0.1.0-draft",
        imports: { default: async | trappable },
        with: { "wasmcloud:secrets/store.secret": crate::secrets::host::Handle },
        named_imports: {
            "wasmcloud:secrets/store": crate::secrets::Keyring,
            "wasmcloud:secrets/reveal": crate::secrets::Keyring,
        },
    });
}

use bindings::{
    named_imports::wasmcloud::secrets::{reveal, store},
    wasmcloud::secrets::store::{SecretValue as WitValue, SecretsError as WitError},
};

/// Links one interface under the name a component imports it by; `false` when the package has no such interface.
///
/// # Errors
/// When the name is already taken.
pub fn link<T: Send + 'static>(
    linker: &mut Linker<T>,
    interface: &str,
    name: &str,
    keyring: Keyring,
    table: fn(&mut T) -> &mut Handles,
) -> wasmtime::Result<bool> {
    let instance = &mut linker.instance(name)?;
    match interface {
        "store" => store::add_to_linker_instance::<T, Table>(instance, keyring, table)?,
        "reveal" => reveal::add_to_linker_instance::<T, Table>(instance, keyring, table)?,
        _ => return Ok(false),
    }
    Ok(true)
}

impl From<Error> for WitError {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => WitError::NotFound,
            Error::Unavailable(why) => WitError::Io(why),
            other => WitError::Upstream(other.to_string()),
        }
    }
}

impl store::Host for Handles {
    async fn get(
        &mut self,
        keyring: Keyring,
        name: String,
    ) -> wasmtime::Result<Result<Resource<Handle>, WitError>> {
        Ok(super::get(self, &keyring, name)
            .await?
            .map_err(WitError::from))
    }
}

impl store::HostSecret for Handles {
    async fn drop(&mut self, _: Keyring, secret: Resource<Handle>) -> wasmtime::Result<()> {
        self.table.delete(secret)?;
        Ok(())
    }
}

impl reveal::Host for Handles {
    async fn reveal(
        &mut self,
        keyring: Keyring,
        secret: Resource<Handle>,
    ) -> wasmtime::Result<WitValue> {
        let handle = self.table.get(&secret)?.clone();
        let value = match handle.reveal().await {
            // The type has no word for it, so the handle moves on to the newest version.
            Err(Error::Superseded) => match Handle::newest(handle.secret, handle.name).await {
                Ok(newest) => newest.reveal().await,
                Err(error) => Err(error),
            },
            revealed => revealed,
        };
        match value {
            Ok(value) => {
                Ok(super::text_or_bytes(&value).map_or_else(WitValue::Bytes, WitValue::String))
            }
            Err(Error::Denied(_)) => Err(wasmtime::Error::new(NotGranted {
                component: keyring.component().to_string(),
                call: "wasmcloud:secrets/reveal@0.1.0-draft#reveal".into(),
                line: super::REVEAL_LINE,
            })),
            Err(error) => {
                Err(wasmtime::Error::new(error)
                    .context("wasmcloud:secrets/reveal@0.1.0-draft#reveal"))
            }
        }
    }
}
