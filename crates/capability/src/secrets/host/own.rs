//! `coracle:secrets@0.1.0`.

use wasmtime::component::{Linker, Resource};

use super::{Handle, Table};
use crate::guest::Handles;
use crate::secrets::{Error, Keyring};

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package coracle:host; world secrets {
            import coracle:secrets/store@0.1.0;
            import coracle:secrets/reveal@0.1.0;
        }",
        path: "../../wit/secrets-0.1.0",
        imports: { default: async | trappable },
        with: { "coracle:secrets/store.secret": crate::secrets::host::Handle },
        named_imports: {
            "coracle:secrets/store": crate::secrets::Keyring,
            "coracle:secrets/reveal": crate::secrets::Keyring,
        },
    });
}

use bindings::{
    coracle::secrets::{reveal::SecretValue as WitValue, store::Error as WitError},
    named_imports::coracle::secrets::{reveal, store},
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
            Error::Denied(_) => WitError::Denied,
            Error::Superseded => WitError::Superseded,
            Error::Unavailable(why) => WitError::Unavailable(why),
            Error::TooLarge(why) | Error::Failed(why) => WitError::Other(why),
        }
    }
}

type Translated<T> = wasmtime::Result<Result<T, WitError>>;

impl store::Host for Handles {
    async fn get(&mut self, keyring: Keyring, name: String) -> Translated<Resource<Handle>> {
        Ok(super::get(self, &keyring, name)
            .await?
            .map_err(WitError::from))
    }
}

impl store::HostSecret for Handles {
    async fn version(&mut self, _: Keyring, secret: Resource<Handle>) -> wasmtime::Result<String> {
        Ok(self.table.get(&secret)?.version.clone())
    }

    async fn drop(&mut self, _: Keyring, secret: Resource<Handle>) -> wasmtime::Result<()> {
        self.table.delete(secret)?;
        Ok(())
    }
}

impl reveal::Host for Handles {
    async fn reveal(&mut self, _: Keyring, secret: Resource<Handle>) -> Translated<WitValue> {
        let handle = self.table.get(&secret)?.clone();
        Ok(match handle.reveal().await {
            Ok(value) => {
                Ok(super::text_or_bytes(&value).map_or_else(WitValue::Bytes, WitValue::Text))
            }
            Err(error) => Err(error.into()),
        })
    }
}
