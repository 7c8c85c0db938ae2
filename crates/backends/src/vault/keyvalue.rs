//! A secret of a Vault read as a bucket: its fields are the keys. What is asked for at once is read at once, so a batch and a page are
//! of one version.

use coracle_capability::{
    contract::{Answer, Backend, Contract as _, Support},
    keyvalue::{Call, Error, KeyValue, Reply},
};

use super::{Vault, client::Secret, path::Path};

/// Most keys of one page.
const MAX_PAGE: usize = 1_000;
/// Most bytes of one reply: a batch may name one key many times.
const MAX_REPLY_BYTES: usize = 16 << 20;

impl Vault {
    /// What its buckets cannot do: write.
    pub const BUCKET: Support = Support {
        backend: "vault",
        unsupported: &[
            "set",
            "delete",
            "set-many",
            "delete-many",
            "increment",
            "compare-and-swap",
        ],
    };
}

/// The fields of one secret.
pub(super) struct Bucket {
    vault: Vault,
    path: Path,
}

impl Bucket {
    pub(super) fn new(vault: Vault, path: Path) -> Self {
        Self { vault, path }
    }

    async fn answer(&self, call: Call) -> Result<Reply, Error> {
        let operation = KeyValue::operation(&call);
        if !Vault::BUCKET.has(operation) {
            return Err(Error::Denied(format!(
                "a bucket in Vault is read only, {operation} is not to be had"
            )));
        }
        let secret = self.vault.read(&self.path, None).await?;
        let field = |key: &str| secret.as_ref().and_then(|secret| secret.field(key));
        match call {
            Call::Get { key } => Ok(Reply::Value(field(&key))),
            Call::Exists { key } => Ok(Reply::Exists(field(&key).is_some())),
            Call::GetMany { keys } => many(&keys, field),
            Call::List {
                prefix,
                after,
                limit,
            } => Ok(page(
                secret.as_ref(),
                &prefix,
                after.as_deref(),
                limit as usize,
            )),
            _ => Err(Error::Failed("a write reached the readers".into())),
        }
    }
}

impl Backend<KeyValue> for Bucket {
    fn call(&self, call: Call) -> Answer<'_, KeyValue> {
        Box::pin(self.answer(call))
    }
}

fn many(keys: &[String], field: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Reply, Error> {
    let mut room = MAX_REPLY_BYTES;
    let mut values = Vec::with_capacity(keys.len());
    for key in keys {
        let value = field(key);
        room = room
            .checked_sub(value.as_ref().map_or(0, Vec::len))
            .ok_or_else(|| {
                Error::TooLarge(format!(
                    "the values together are larger than {MAX_REPLY_BYTES} bytes"
                ))
            })?;
        values.push(value);
    }
    Ok(Reply::Values(values))
}

fn page(secret: Option<&Secret>, prefix: &str, after: Option<&str>, limit: usize) -> Reply {
    let limit = limit.min(MAX_PAGE);
    let names = secret.into_iter().flat_map(Secret::names);
    let below = names
        .filter(|name| name.starts_with(prefix) && after.is_none_or(|after| name.as_str() > after));
    let mut keys: Vec<String> = below.take(limit + 1).cloned().collect();
    let more = keys.len() > limit;
    keys.truncate(limit);
    Reply::Keys { keys, more }
}
