//! `wasi:keyvalue@0.2.0-draft`: numbers without sign, cursors that are numbers.

use wasmtime::component::{HasData, Linker, Resource};

use super::{OpenBucket, Refusal};
use crate::{
    guest::Handles,
    keyvalue::{Buckets, Call, Reply},
};

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package coracle:host; world keyvalue {
            import wasi:keyvalue/store@0.2.0-draft;
            import wasi:keyvalue/atomics@0.2.0-draft;
            import wasi:keyvalue/batch@0.2.0-draft;
        }",
        path: "../../wit/keyvalue-0.2.0-draft",
        imports: { default: async | trappable },
        with: { "wasi:keyvalue/store.bucket": crate::keyvalue::host::OpenBucket },
        named_imports: {
            "wasi:keyvalue/store": crate::keyvalue::Buckets,
            "wasi:keyvalue/atomics": crate::keyvalue::Buckets,
            "wasi:keyvalue/batch": crate::keyvalue::Buckets,
        },
    });
}

use bindings::{
    named_imports::wasi::keyvalue::{atomics, batch, store},
    wasi::keyvalue::store::{Error as WitError, KeyResponse},
};

/// Links one interface of this draft under the name a component imports it by.
///
/// # Errors
/// When the name is already taken.
pub fn link<T: Send + 'static>(
    linker: &mut Linker<T>,
    interface: &str,
    name: &str,
    buckets: Buckets,
    table: fn(&mut T) -> &mut Handles,
) -> wasmtime::Result<bool> {
    let instance = &mut linker.instance(name)?;
    match interface {
        "store" => store::add_to_linker_instance::<T, Table>(instance, buckets, table)?,
        "atomics" => atomics::add_to_linker_instance::<T, Table>(instance, buckets, table)?,
        "batch" => batch::add_to_linker_instance::<T, Table>(instance, buckets, table)?,
        _ => return Ok(false),
    }
    Ok(true)
}

struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut Handles;
}

super::shared_translation!(store, batch, WitError);
super::bucket_translation!(store, u64, list_keys);

/// `list<option<tuple<string, list<u8>>>>`: a missing key is a missing entry.
type GetManyEntry = Option<(String, Vec<u8>)>;

fn get_many_entry((key, value): (String, Option<Vec<u8>>)) -> GetManyEntry {
    value.map(|value| (key, value))
}

/// Cursors are numbers here and keys in the contract: the open bucket remembers which key a number stands for.
async fn list_keys(
    handles: &mut Handles,
    bucket: &Resource<OpenBucket>,
    cursor: Option<u64>,
) -> Translated<KeyResponse> {
    let after = match cursor {
        None | Some(0) => None,
        Some(number) => {
            let index = usize::try_from(number - 1).unwrap_or(usize::MAX);
            match handles.table.get(bucket)?.cursors.get(index) {
                Some(key) => Some(key.clone()),
                None => {
                    return Ok(Err(WitError::Other(
                        "no page of this bucket had that cursor".into(),
                    )));
                }
            }
        }
    };
    let (keys, more) = match ask(handles, bucket, super::page(after), super::keys).await? {
        Ok(page) => page,
        Err(error) => return Ok(Err(error)),
    };
    let cursors = &mut handles.table.get_mut(bucket)?.cursors;
    let cursor = match keys.last() {
        Some(last) if more => {
            if cursors.last() != Some(last) {
                cursors.push(last.clone());
            }
            Some(cursors.len() as u64)
        }
        _ => None,
    };
    Ok(Ok(KeyResponse { keys, cursor }))
}

impl atomics::Host for Handles {
    async fn increment(
        &mut self,
        _: Buckets,
        bucket: Resource<OpenBucket>,
        key: String,
        delta: u64,
    ) -> Translated<u64> {
        let Ok(delta) = i64::try_from(delta) else {
            return Ok(Err(WitError::Other("a delta is at most 2^63 - 1".into())));
        };
        let number = ask(self, &bucket, Call::Increment { key, delta }, super::number).await?;
        Ok(number.and_then(|number| {
            u64::try_from(number)
                .map_err(|_| WitError::Other("the number is negative; this draft has none".into()))
        }))
    }
}
