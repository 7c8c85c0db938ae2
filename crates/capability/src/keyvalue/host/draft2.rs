//! `wasi:keyvalue@0.2.0-draft2`: numbers with sign, cursors that are keys, compare-and-swap.

use wasmtime::component::{HasData, Linker, Resource};

use super::{OpenBucket, Refusal};
use crate::{
    contract::Shared,
    guest::Handles,
    keyvalue::{Buckets, Call, KeyValue, Reply},
};

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package coracle:host; world keyvalue {
            import wasi:keyvalue/store@0.2.0-draft2;
            import wasi:keyvalue/atomics@0.2.0-draft2;
            import wasi:keyvalue/batch@0.2.0-draft2;
        }",
        path: "../../wit/keyvalue-0.2.0-draft2",
        imports: { default: async | trappable },
        with: {
            "wasi:keyvalue/store.bucket": crate::keyvalue::host::OpenBucket,
            "wasi:keyvalue/atomics.cas": crate::keyvalue::host::draft2::Cas,
        },
        named_imports: {
            "wasi:keyvalue/store": crate::keyvalue::Buckets,
            "wasi:keyvalue/atomics": crate::keyvalue::Buckets,
            "wasi:keyvalue/batch": crate::keyvalue::Buckets,
        },
    });
}

use bindings::{
    named_imports::wasi::keyvalue::{atomics, batch, store},
    wasi::keyvalue::{
        atomics::CasError,
        store::{Error as WitError, KeyResponse},
    },
};

/// A value as it was read, to be replaced only if it still is.
pub struct Cas {
    bucket: Shared<KeyValue>,
    key: String,
    seen: Option<Vec<u8>>,
}

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
super::bucket_translation!(store, String, list_keys);

/// `list<tuple<string, option<list<u8>>>>`: a missing key is an entry without a value.
type GetManyEntry = (String, Option<Vec<u8>>);

fn get_many_entry(entry: GetManyEntry) -> GetManyEntry {
    entry
}

async fn list_keys(
    handles: &mut Handles,
    bucket: &Resource<OpenBucket>,
    cursor: Option<String>,
) -> Translated<KeyResponse> {
    let page = ask(handles, bucket, super::page(cursor), super::keys).await?;
    Ok(page.map(|(keys, more)| KeyResponse {
        cursor: keys.last().filter(|_| more).cloned(),
        keys,
    }))
}

async fn read(bucket: &Shared<KeyValue>, key: &str) -> Result<Option<Vec<u8>>, WitError> {
    let reply = bucket
        .call(Call::Get {
            key: key.to_string(),
        })
        .await
        .map_err(Refusal::from);
    reply.and_then(super::value).map_err(WitError::from)
}

impl atomics::Host for Handles {
    async fn increment(
        &mut self,
        _: Buckets,
        bucket: Resource<OpenBucket>,
        key: String,
        delta: i64,
    ) -> Translated<i64> {
        ask(self, &bucket, Call::Increment { key, delta }, super::number).await
    }

    async fn swap(
        &mut self,
        _: Buckets,
        cas: Resource<Cas>,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), CasError>> {
        let Cas { bucket, key, seen } = self.table.delete(cas)?;
        let swap = Call::CompareAndSwap {
            key: key.clone(),
            expected: seen,
            value,
        };
        match bucket.call(swap).await {
            Ok(Reply::Swapped(true)) => Ok(Ok(())),
            Ok(Reply::Swapped(false)) => match read(&bucket, &key).await {
                // "This returns a new CAS handle for easy retries": updated to the latest version.
                Ok(seen) => Ok(Err(CasError::CasFailed(self.table.push(Cas {
                    bucket,
                    key,
                    seen,
                })?))),
                Err(error) => Ok(Err(CasError::StoreError(error))),
            },
            Ok(other) => Ok(
                super::unexpected(other).map_err(|refusal| CasError::StoreError(refusal.into()))
            ),
            Err(error) => Ok(Err(CasError::StoreError(Refusal::from(error).into()))),
        }
    }
}

impl atomics::HostCas for Handles {
    async fn new(
        &mut self,
        _: Buckets,
        bucket: Resource<OpenBucket>,
        key: String,
    ) -> Translated<Resource<Cas>> {
        let bucket = Shared::clone(&self.table.get(&bucket)?.bucket);
        match read(&bucket, &key).await {
            Ok(seen) => Ok(Ok(self.table.push(Cas { bucket, key, seen })?)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn current(&mut self, _: Buckets, cas: Resource<Cas>) -> Translated<Option<Vec<u8>>> {
        let cas = self.table.get(&cas)?;
        let (bucket, key) = (Shared::clone(&cas.bucket), cas.key.clone());
        match read(&bucket, &key).await {
            Ok(seen) => Ok(Ok(seen)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn drop(&mut self, _: Buckets, cas: Resource<Cas>) -> wasmtime::Result<()> {
        self.table.delete(cas)?;
        Ok(())
    }
}
