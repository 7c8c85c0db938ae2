//! The calls of a bucket as commands and scripts of Redis.
//!
//! In: calls of the contract. Out: replies. A write and its entry in the bucket's index are one script, so that a list is exact; a
//! batch is one script, so that it is all or nothing. No reply is unbounded, whoever wrote what is there.

use std::{sync::Arc, time::Duration};

use coracle_capability::{
    contract::{Answer, Backend},
    keyvalue::{
        Call, Error, KeyValue, Reply,
        grant::{MAX_BATCH, MAX_KEY_BYTES, MAX_VALUE_BYTES},
    },
};
use redis::{Value, cmd, pipe};

use super::{
    client::Connections,
    failure::unexpected,
    names::{Names, beyond},
    scripts::{self, Argument, Invocation, Script},
};

/// Largest call, its keys included.
pub(crate) const MAX_CALL_BYTES: u64 = 16 << 20;
/// Most bytes of one reply.
const MAX_REPLY_BYTES: u64 = 64 << 20;
/// Most keys of one page.
const MAX_PAGE: usize = 1_000;
/// Most pairs of a bucket's first data.
const MAX_SEED: usize = 10_000;
/// Most entries of the index that one script looks at.
const MAX_LOOKS: u64 = 5_000;
/// Redis counts expiry in signed milliseconds since 1970.
const MAX_TTL_MS: u64 = 1 << 50;

/// One bucket of one app.
pub(crate) struct Bucket {
    names: Names,
    /// 0 is for ever.
    ttl_ms: u64,
    connections: Arc<Connections>,
}

impl Bucket {
    pub(crate) fn new(names: Names, ttl: Option<Duration>, connections: Arc<Connections>) -> Self {
        let ttl_ms = |ttl: Duration| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        Self {
            names,
            ttl_ms: ttl.map_or(0, |ttl| ttl_ms(ttl).clamp(1, MAX_TTL_MS)),
            connections,
        }
    }

    async fn answer(&self, call: &Call) -> Result<Reply, Error> {
        let _room = self.connections.room(call, MAX_BATCH).await?;
        match call {
            Call::Get { key } => self.get(key).await,
            Call::Exists { key } => {
                let mut command = cmd("EXISTS");
                command.arg(self.names.value(key));
                let exists = flag(self.connections.ask(&command).await?)?;
                Ok(Reply::Exists(exists))
            }
            Call::GetMany { keys } if keys.is_empty() => Ok(Reply::Values(vec![])),
            Call::GetMany { keys } => {
                let keys = keys.iter().map(|key| self.names.value(key)).collect();
                Ok(Reply::Values(self.values(keys).await?))
            }
            Call::List {
                prefix,
                after,
                limit,
            } => self.list(prefix, after.as_deref(), *limit as usize).await,
            Call::Set { key, value } => self.set(&[(key, value)]).await,
            Call::SetMany { pairs } => {
                let pairs: Vec<_> = pairs.iter().map(|(key, value)| (key, value)).collect();
                self.set(&pairs).await
            }
            Call::Delete { key } => self.delete(std::slice::from_ref(key)).await,
            Call::DeleteMany { keys } => self.delete(keys).await,
            Call::Increment { key, delta } => self.increment(key, *delta).await,
            Call::CompareAndSwap {
                key,
                expected,
                value,
            } => self.swap(key, expected.as_deref(), value).await,
        }
    }

    /// Redis has no command that reads at most so much and tells an empty value from none. The two commands do, except when
    /// there was a key and nothing in it: it may have been deleted between them, so a script looks again.
    async fn get(&self, key: &str) -> Result<Reply, Error> {
        let key = self.names.value(key);
        let mut commands = pipe();
        commands.cmd("EXISTS").arg(&key);
        // Both ends count: one byte more than a value may have.
        commands
            .cmd("GETRANGE")
            .arg(&key)
            .arg(0)
            .arg(MAX_VALUE_BYTES);
        let replies = self.connections.ask_all(&commands).await?;
        let Ok([exists, value]) = <[Value; 2]>::try_from(replies) else {
            return Err(unexpected(Value::Nil));
        };
        match optional(value)? {
            Some(value) if value.len() > MAX_VALUE_BYTES => Err(too_large_a_value()),
            Some(value) if !value.is_empty() => Ok(Reply::Value(Some(value))),
            _ if !flag(exists)? => Ok(Reply::Value(None)),
            _ => Ok(Reply::Value(self.values(vec![key]).await?.pop().flatten())),
        }
    }

    async fn values(&self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let script = Invocation {
            script: &scripts::GET,
            keys,
            arguments: vec![(MAX_VALUE_BYTES as u64).into(), MAX_REPLY_BYTES.into()],
        };
        match self.connections.run(&script).await? {
            Value::Array(values) if values.len() == script.keys.len() => {
                values.into_iter().map(optional).collect()
            }
            other => Err(unexpected(other)),
        }
    }

    /// Exact as of each script's moment; a page is one script unless thousands of its keys have expired.
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Reply, Error> {
        let limit = limit.min(MAX_PAGE);
        let mut from = match after {
            Some(after) if after >= prefix => [b"(", after.as_bytes()].concat(),
            _ => [b"[", prefix.as_bytes()].concat(),
        };
        let to = beyond(prefix);
        let mut keys = Vec::new();
        while keys.len() <= limit {
            let wanted = limit + 1 - keys.len();
            let script = Invocation {
                script: &scripts::LIST,
                keys: vec![self.names.index.clone()],
                arguments: vec![
                    from.as_slice().into(),
                    to.as_slice().into(),
                    (wanted as u64).into(),
                    self.names.values.as_str().into(),
                    MAX_LOOKS.into(),
                    (MAX_KEY_BYTES as u64).into(),
                ],
            };
            let Value::Array(page) = self.connections.run(&script).await? else {
                return Err(unexpected(Value::Nil));
            };
            let mut page = page.into_iter();
            let complete = page.next().map_or(Ok(true), flag)?;
            if let Some(Value::Array(found)) = page.next() {
                for key in found {
                    keys.push(text(key)?);
                }
            }
            match page.next() {
                Some(Value::BulkString(next)) if !complete => from = next,
                _ => break,
            }
        }
        let more = keys.len() > limit;
        keys.truncate(limit);
        Ok(Reply::Keys { keys, more })
    }

    async fn set(&self, pairs: &[(&String, &Vec<u8>)]) -> Result<Reply, Error> {
        if pairs.is_empty() {
            return Ok(Reply::Done);
        }
        pairs
            .iter()
            .try_for_each(|(key, value)| check(key, value))?;
        let keys = pairs.iter().map(|(key, _)| self.names.value(key));
        let values = pairs.iter().map(|(_, value)| value.as_slice().into());
        let script = self.write(&scripts::SET, keys, values);
        flag(self.connections.run(&script).await?).map(|_| Reply::Done)
    }

    /// See [`Client::seed`](super::Client::seed).
    pub(crate) async fn seed(&self, pairs: Vec<(String, Vec<u8>)>) -> Result<bool, Error> {
        let call = Call::SetMany { pairs };
        self.connections.within(self.plant(&call)).await
    }

    async fn plant(&self, call: &Call) -> Result<bool, Error> {
        let _room = self.connections.room(call, MAX_SEED).await?;
        let Call::SetMany { pairs } = call else {
            return Ok(false);
        };
        pairs
            .iter()
            .try_for_each(|(key, value)| check(key, value))?;
        let seeded = std::iter::once(self.names.seeded.clone());
        let keys = seeded.chain(pairs.iter().map(|(key, _)| self.names.value(key)));
        let values = pairs.iter().map(|(_, value)| value.as_slice().into());
        let script = self.write(&scripts::SEED, keys, values);
        flag(self.connections.run(&script).await?)
    }

    async fn delete(&self, keys: &[String]) -> Result<Reply, Error> {
        if keys.is_empty() {
            return Ok(Reply::Done);
        }
        let values = keys.iter().map(|key| self.names.value(key));
        let script = Invocation {
            script: &scripts::DELETE,
            keys: self.with_index(values),
            arguments: vec![self.names.values.as_str().into()],
        };
        flag(self.connections.run(&script).await?).map(|_| Reply::Done)
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<Reply, Error> {
        check(key, &[])?;
        let delta = delta.to_string();
        let arguments = [
            delta.as_bytes().into(),
            Argument::from(MAX_VALUE_BYTES as u64),
        ];
        let keys = std::iter::once(self.names.value(key));
        let script = self.write(&scripts::INCREMENT, keys, arguments);
        match self.connections.run(&script).await? {
            Value::BulkString(number) => std::str::from_utf8(&number)
                .ok()
                .and_then(|number| number.parse().ok())
                .map(Reply::Number)
                .ok_or_else(|| unexpected(Value::Nil)),
            Value::Nil => Err(Error::NotANumber(key.to_owned())),
            other => Err(unexpected(other)),
        }
    }

    async fn swap(&self, key: &str, expected: Option<&[u8]>, value: &[u8]) -> Result<Reply, Error> {
        check(key, value)?;
        let arguments = [Some(value), expected].into_iter().flatten();
        let keys = std::iter::once(self.names.value(key));
        let script = self.write(&scripts::SWAP, keys, arguments.map(Argument::from));
        flag(self.connections.run(&script).await?).map(Reply::Swapped)
    }

    fn write<'a>(
        &'a self,
        script: &'static Script,
        keys: impl Iterator<Item = String>,
        arguments: impl IntoIterator<Item = Argument<'a>>,
    ) -> Invocation<'a> {
        let mut all = vec![self.ttl_ms.into(), self.names.values.as_str().into()];
        all.extend(arguments);
        Invocation {
            script,
            keys: self.with_index(keys),
            arguments: all,
        }
    }

    fn with_index(&self, keys: impl Iterator<Item = String>) -> Vec<String> {
        std::iter::once(self.names.index.clone())
            .chain(keys)
            .collect()
    }
}

impl Backend<KeyValue> for Bucket {
    fn call(&self, call: Call) -> Answer<'_, KeyValue> {
        Box::pin(async move { self.connections.within(self.answer(&call)).await })
    }
}

/// What this backend writes it can read again, and a list can show.
fn check(key: &str, value: &[u8]) -> Result<(), Error> {
    if key.len() > MAX_KEY_BYTES {
        let message = format!("a key is at most {MAX_KEY_BYTES} bytes long");
        return Err(Error::TooLarge(message));
    }
    if value.len() > MAX_VALUE_BYTES {
        return Err(too_large_a_value());
    }
    Ok(())
}

fn too_large_a_value() -> Error {
    Error::TooLarge(format!("a value is at most {MAX_VALUE_BYTES} bytes large"))
}

fn flag(value: Value) -> Result<bool, Error> {
    match value {
        Value::Int(number) => Ok(number != 0),
        other => Err(unexpected(other)),
    }
}

fn optional(value: Value) -> Result<Option<Vec<u8>>, Error> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes)),
        other => Err(unexpected(other)),
    }
}

fn text(value: Value) -> Result<String, Error> {
    let Value::BulkString(bytes) = value else {
        return Err(unexpected(value));
    };
    String::from_utf8(bytes).map_err(|_| {
        Error::Failed("another program put a key into the bucket that is not UTF-8".into())
    })
}
