//! `wasi:config`: values an operator gives a component. Read only, fixed for a revision.
//!
//! In: a key. Out: its value or nothing. Both drafts read alike, so one translation serves them under two names.

use std::{collections::BTreeMap, sync::Arc};

use wasmtime::component::{HasData, Linker};

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package coracle:host; world config { import wasi:config/store@0.2.0-rc.1; }",
        path: "../../wit/config-0.2.0-rc.1",
        imports: { default: trappable },
        named_imports: { "wasi:config/store": crate::config::Values },
    });
}

use bindings::{named_imports::wasi::config::store, wasi::config::store::Error as WitError};

/// The versions this room answers to.
pub const VERSIONS: [&str; 2] = ["0.2.0-rc.1", "0.2.0-draft-2024-09-27"];

/// The values of one component.
#[derive(Debug, Clone, Default)]
pub struct Values(Arc<BTreeMap<String, String>>);

impl Values {
    /// The values a component sees.
    pub fn new(values: BTreeMap<String, String>) -> Self {
        Self(Arc::new(values))
    }
}

/// Links `store` under the name a component imports it by.
///
/// # Errors
/// When the name is already taken.
pub fn link<T: Send + 'static>(
    linker: &mut Linker<T>,
    name: &str,
    values: Values,
) -> wasmtime::Result<()> {
    fn nothing<T>(_: &mut T) -> Nothing {
        Nothing
    }
    store::add_to_linker_instance::<T, Nothing>(&mut linker.instance(name)?, values, nothing::<T>)
}

/// The translation needs nothing of the store: the values are in the linker's closures.
struct Nothing;

impl HasData for Nothing {
    type Data<'a> = Nothing;
}

impl store::Host for Nothing {
    fn get(
        &mut self,
        values: Values,
        key: String,
    ) -> wasmtime::Result<Result<Option<String>, WitError>> {
        Ok(Ok(values.0.get(&key).cloned()))
    }

    fn get_all(
        &mut self,
        values: Values,
    ) -> wasmtime::Result<Result<Vec<(String, String)>, WitError>> {
        Ok(Ok(values
            .0
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()))
    }
}
