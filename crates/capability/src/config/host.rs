//! Both drafts of `wasi:config` translated to the contract. They read alike, so one translation serves them under two names.
//!
//! In: calls of a guest, with the values of its component: the linker's closures hold them. Out: calls of the contract.

use wasmtime::component::{HasData, Linker};

use super::{
    contract::{Call, Error, Reply},
    grant::{Values, unexpected},
};
use crate::guest::Handles;

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package coracle:host; world config { import wasi:config/store@0.2.0-rc.1; }",
        path: "../../wit/config-0.2.0-rc.1",
        imports: { default: async | trappable },
        named_imports: { "wasi:config/store": crate::config::Values },
    });
}

use bindings::{named_imports::wasi::config::store, wasi::config::store::Error as WitError};

/// The versions this room answers to.
pub const VERSIONS: [&str; 2] = ["0.2.0-rc.1", "0.2.0-draft-2024-09-27"];

/// Links `store` under the name a component imports it by.
///
/// # Errors
/// When the name is already taken.
pub fn link<T: Send + 'static>(
    linker: &mut Linker<T>,
    name: &str,
    values: Values,
    handles: fn(&mut T) -> &mut Handles,
) -> wasmtime::Result<()> {
    store::add_to_linker_instance::<T, Observed>(&mut linker.instance(name)?, values, handles)
}

/// The translation needs nothing of the store but what is done with the calls of this invocation.
struct Observed;

impl HasData for Observed {
    type Data<'a> = &'a mut Handles;
}

impl From<Error> for WitError {
    /// `io` is what may pass, as a directory that is not mounted; `upstream` is a source that holds what it must not.
    fn from(error: Error) -> Self {
        let why = error.to_string();
        match error {
            Error::Unavailable(_) => WitError::Io(why),
            Error::TooLarge(_) | Error::Failed(_) => WitError::Upstream(why),
        }
    }
}

impl store::Host for Handles {
    async fn get(
        &mut self,
        values: Values,
        key: String,
    ) -> wasmtime::Result<Result<Option<String>, WitError>> {
        // There is no handle to observe at, so each call is: one comparison where nobody watches.
        let values = self.observation.around("", values.source());
        Ok(match values.call(Call::Get { key }).await {
            Ok(Reply::Value(value)) => Ok(value),
            Ok(Reply::Values(_)) => Err(unexpected().into()),
            Err(error) => Err(error.into()),
        })
    }

    async fn get_all(
        &mut self,
        values: Values,
    ) -> wasmtime::Result<Result<Vec<(String, String)>, WitError>> {
        let values = self.observation.around("", values.source());
        Ok(match values.call(Call::GetAll).await {
            Ok(Reply::Values(values)) => Ok(values),
            Ok(Reply::Value(_)) => Err(unexpected().into()),
            Err(error) => Err(error.into()),
        })
    }
}
