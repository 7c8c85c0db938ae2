//! `wasi:keyvalue` translated to the contract, once for both drafts.
//!
//! In: calls of a guest, with the buckets its component may open: the linker's closures hold them. Out: calls of the contract.
//! What differs between the drafts is in `draft` and `draft2`; what they share is here.

pub mod draft;
pub mod draft2;

use std::sync::Arc;

use wasmtime::component::Resource;

use super::{
    contract::{Call, Error, KeyValue, Reply},
    grant::Buckets,
};
use crate::{contract::Shared, guest::Handles};

/// Keys a page of `list-keys` holds.
const PAGE_KEYS: u32 = 1_000;

/// A bucket a guest has opened.
pub struct OpenBucket {
    bucket: Shared<KeyValue>,
    /// 0.2.0-draft numbers its cursors: number n is the key at n - 1.
    cursors: Vec<String>,
}

/// How an error of the contract or of opening looks to a guest; each draft has a variant of this shape.
enum Refusal {
    NoSuchStore,
    AccessDenied,
    Other(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Denied(_) => Refusal::AccessDenied,
            error => Refusal::Other(error.to_string()),
        }
    }
}

type Answer<T> = Result<T, Refusal>;

fn open(
    handles: &mut Handles,
    buckets: &Buckets,
    name: &str,
) -> wasmtime::Result<Answer<Resource<OpenBucket>>> {
    Ok(match buckets.open(name) {
        Some(bucket) => {
            let bucket = handles.observation.bucket(name, bucket);
            Ok(handles.table.push(OpenBucket {
                bucket,
                cursors: Vec::new(),
            })?)
        }
        None => Err(Refusal::NoSuchStore),
    })
}

async fn call(
    handles: &mut Handles,
    bucket: &Resource<OpenBucket>,
    call: Call,
) -> wasmtime::Result<Answer<Reply>> {
    let bucket = Arc::clone(&handles.table.get(bucket)?.bucket);
    Ok(bucket.call(call).await.map_err(Refusal::from))
}

/// A backend that answers a call with another call's reply breaks the contract: the guest is told, the host lives.
fn unexpected<T>(_: Reply) -> Answer<T> {
    Err(Refusal::Other(
        "the backend answered something else than it was asked".into(),
    ))
}

fn value(reply: Reply) -> Answer<Option<Vec<u8>>> {
    match reply {
        Reply::Value(value) => Ok(value),
        other => unexpected(other),
    }
}

fn done(reply: Reply) -> Answer<()> {
    match reply {
        Reply::Done => Ok(()),
        other => unexpected(other),
    }
}

fn exists(reply: Reply) -> Answer<bool> {
    match reply {
        Reply::Exists(exists) => Ok(exists),
        other => unexpected(other),
    }
}

fn number(reply: Reply) -> Answer<i64> {
    match reply {
        Reply::Number(number) => Ok(number),
        other => unexpected(other),
    }
}

fn values(reply: Reply) -> Answer<Vec<Option<Vec<u8>>>> {
    match reply {
        Reply::Values(values) => Ok(values),
        other => unexpected(other),
    }
}

fn keys(reply: Reply) -> Answer<(Vec<String>, bool)> {
    match reply {
        Reply::Keys { keys, more } => Ok((keys, more)),
        other => unexpected(other),
    }
}

fn page(after: Option<String>) -> Call {
    Call::List {
        prefix: String::new(),
        after,
        limit: PAGE_KEYS,
    }
}

/// The functions that read alike in both drafts.
macro_rules! shared_translation {
    ($store:ident, $batch:ident, $error:ident) => {
        impl From<Refusal> for $error {
            fn from(refusal: Refusal) -> Self {
                match refusal {
                    Refusal::NoSuchStore => $error::NoSuchStore,
                    Refusal::AccessDenied => $error::AccessDenied,
                    Refusal::Other(why) => $error::Other(why),
                }
            }
        }

        type Translated<T> = wasmtime::Result<Result<T, $error>>;

        async fn ask<T>(
            handles: &mut Handles,
            bucket: &Resource<OpenBucket>,
            call: Call,
            read: fn(Reply) -> super::Answer<T>,
        ) -> Translated<T> {
            Ok(super::call(handles, bucket, call)
                .await?
                .and_then(read)
                .map_err($error::from))
        }

        impl $store::Host for Handles {
            async fn open(
                &mut self,
                buckets: Buckets,
                name: String,
            ) -> Translated<Resource<OpenBucket>> {
                Ok(super::open(self, &buckets, &name)?.map_err($error::from))
            }
        }

        impl $batch::Host for Handles {
            async fn get_many(
                &mut self,
                _: Buckets,
                bucket: Resource<OpenBucket>,
                keys: Vec<String>,
            ) -> Translated<Vec<GetManyEntry>> {
                let values = ask(
                    self,
                    &bucket,
                    Call::GetMany { keys: keys.clone() },
                    super::values,
                )
                .await?;
                Ok(values.map(|values| keys.into_iter().zip(values).map(get_many_entry).collect()))
            }

            async fn set_many(
                &mut self,
                _: Buckets,
                bucket: Resource<OpenBucket>,
                pairs: Vec<(String, Vec<u8>)>,
            ) -> Translated<()> {
                ask(self, &bucket, Call::SetMany { pairs }, super::done).await
            }

            async fn delete_many(
                &mut self,
                _: Buckets,
                bucket: Resource<OpenBucket>,
                keys: Vec<String>,
            ) -> Translated<()> {
                ask(self, &bucket, Call::DeleteMany { keys }, super::done).await
            }
        }
    };
}

/// The functions of the bucket resource; `$cursor` is what the drafts disagree on.
macro_rules! bucket_translation {
    ($store:ident, $cursor:ty, $list:ident) => {
        impl $store::HostBucket for Handles {
            async fn get(
                &mut self,
                _: Buckets,
                bucket: Resource<OpenBucket>,
                key: String,
            ) -> Translated<Option<Vec<u8>>> {
                ask(self, &bucket, Call::Get { key }, super::value).await
            }

            async fn set(
                &mut self,
                _: Buckets,
                bucket: Resource<OpenBucket>,
                key: String,
                value: Vec<u8>,
            ) -> Translated<()> {
                ask(self, &bucket, Call::Set { key, value }, super::done).await
            }

            async fn delete(
                &mut self,
                _: Buckets,
                bucket: Resource<OpenBucket>,
                key: String,
            ) -> Translated<()> {
                ask(self, &bucket, Call::Delete { key }, super::done).await
            }

            async fn exists(
                &mut self,
                _: Buckets,
                bucket: Resource<OpenBucket>,
                key: String,
            ) -> Translated<bool> {
                ask(self, &bucket, Call::Exists { key }, super::exists).await
            }

            async fn list_keys(
                &mut self,
                _: Buckets,
                bucket: Resource<OpenBucket>,
                cursor: Option<$cursor>,
            ) -> Translated<KeyResponse> {
                $list(self, &bucket, cursor).await
            }

            async fn drop(
                &mut self,
                _: Buckets,
                bucket: Resource<OpenBucket>,
            ) -> wasmtime::Result<()> {
                self.table.delete(bucket)?;
                Ok(())
            }
        }
    };
}

use {bucket_translation, shared_translation};
