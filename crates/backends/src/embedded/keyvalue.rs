//! The calls of a bucket on one table of the store.
//!
//! In: calls of the contract. Out: replies; reads from the newest snapshot, writes through the writer. A number is read the way
//! every backend reads it ([`incremented`]). No reply is unbounded.

use std::{ops::Bound, sync::Arc};

use coracle_capability::{
    contract::{Answer, Backend},
    keyvalue::{Call, Error, KeyValue, Reply, memory::incremented},
};
use redb::{ReadableTable, StorageError, TableError};

use super::{
    client::Client,
    view::{Table, storage_error},
};

/// Most keys of one page.
const MAX_PAGE: usize = 1_000;
/// Most bytes of one reply.
const MAX_REPLY_BYTES: usize = 64 << 20;

/// One bucket of one app.
pub(crate) struct Bucket {
    table: Arc<str>,
    client: Arc<Client>,
}

impl Bucket {
    pub(crate) fn new(table: Arc<str>, client: Arc<Client>) -> Self {
        Self { table, client }
    }
}

impl Backend<KeyValue> for Bucket {
    fn call(&self, call: Call) -> Answer<'_, KeyValue> {
        Box::pin(async move {
            match call {
                Call::Get { .. }
                | Call::Exists { .. }
                | Call::List { .. }
                | Call::GetMany { .. } => self.client.read(&self.table, &call).await,
                write => self.client.write(&self.table, write).await,
            }
        })
    }
}

/// Why a call has no reply: its own error, or one that concerns the whole store.
pub(crate) enum Fault {
    Call(Error),
    Storage(StorageError),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<TableError> for Fault {
    fn from(error: TableError) -> Self {
        Self::Storage(storage_error(error))
    }
}

/// Answers a read; `None` is a bucket to which nothing was ever written.
pub(crate) fn read(table: Option<&Table>, call: &Call) -> Result<Reply, Fault> {
    let get = |key: &str| -> Result<Option<Vec<u8>>, StorageError> {
        let value = table
            .map(|table| table.get(key.as_bytes()))
            .transpose()?
            .flatten();
        Ok(value.map(|value| value.value().to_vec()))
    };
    Ok(match call {
        Call::Get { key } => Reply::Value(get(key)?),
        Call::Exists { key } => {
            let value = table.map(|table| table.get(key.as_bytes())).transpose()?;
            Reply::Exists(value.flatten().is_some())
        }
        Call::GetMany { keys } => {
            let mut room = MAX_REPLY_BYTES;
            let mut values = Vec::with_capacity(keys.len());
            for key in keys {
                let value = get(key)?;
                let bytes = value.as_ref().map_or(0, Vec::len);
                room = room.checked_sub(bytes).ok_or_else(too_large_a_reply)?;
                values.push(value);
            }
            Reply::Values(values)
        }
        Call::List {
            prefix,
            after,
            limit,
        } => match table {
            Some(table) => list(table, prefix, after.as_deref(), *limit as usize)?,
            None => Reply::Keys {
                keys: vec![],
                more: false,
            },
        },
        _ => return Err(Error::Failed("a write reached the readers".into()).into()),
    })
}

fn too_large_a_reply() -> Error {
    Error::TooLarge(format!(
        "the values together are larger than {MAX_REPLY_BYTES} bytes"
    ))
}

fn list(table: &Table, prefix: &str, after: Option<&str>, limit: usize) -> Result<Reply, Fault> {
    let limit = limit.min(MAX_PAGE);
    let from = match after {
        Some(after) if after >= prefix => Bound::Excluded(after.as_bytes()),
        _ => Bound::Included(prefix.as_bytes()),
    };
    let mut keys = Vec::new();
    for entry in table.range::<&[u8]>((from, Bound::Unbounded))? {
        let (key, _) = entry?;
        let key = std::str::from_utf8(key.value())
            .map_err(|_| StorageError::Corrupted("a key of a bucket is not UTF-8".into()))?;
        if !key.starts_with(prefix) {
            break;
        }
        if keys.len() == limit {
            return Ok(Reply::Keys { keys, more: true });
        }
        keys.push(key.to_owned());
    }
    Ok(Reply::Keys { keys, more: false })
}

/// Carries out a write inside the writer's transaction. A call that fails with an error of its own has changed nothing.
pub(crate) fn write(
    table: &mut redb::Table<'_, &'static [u8], &'static [u8]>,
    call: &Call,
) -> Result<Reply, Fault> {
    Ok(match call {
        Call::Set { key, value } => {
            table.insert(key.as_bytes(), value.as_slice())?;
            Reply::Done
        }
        Call::Delete { key } => {
            table.remove(key.as_bytes())?;
            Reply::Done
        }
        Call::SetMany { pairs } => {
            for (key, value) in pairs {
                table.insert(key.as_bytes(), value.as_slice())?;
            }
            Reply::Done
        }
        Call::DeleteMany { keys } => {
            for key in keys {
                table.remove(key.as_bytes())?;
            }
            Reply::Done
        }
        Call::Increment { key, delta } => {
            let number = {
                let value = table.get(key.as_bytes())?;
                incremented(key, value.as_ref().map(|value| value.value()), *delta)?
            };
            table.insert(key.as_bytes(), number.to_string().as_bytes())?;
            Reply::Number(number)
        }
        Call::CompareAndSwap {
            key,
            expected,
            value,
        } => {
            let swaps = {
                let current = table.get(key.as_bytes())?;
                current.as_ref().map(|current| current.value()) == expected.as_deref()
            };
            if swaps {
                table.insert(key.as_bytes(), value.as_slice())?;
            }
            Reply::Swapped(swaps)
        }
        _ => return Err(Error::Failed("a read reached the writer".into()).into()),
    })
}
