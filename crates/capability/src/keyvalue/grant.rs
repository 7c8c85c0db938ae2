//! What a component may do with a bucket.
//!
//! In: calls as the guest makes them. Out: calls with the grant's prefix, or a refusal. A guest cannot name its way out: the
//! prefix is put before every key here, and keys that come back lose it again.

use std::sync::Arc;

use super::contract::{Call, Error, KeyValue, Reply};
use crate::contract::{Answer, Backend, Shared};

/// Longest key a guest may use, prefix included.
pub const MAX_KEY_BYTES: usize = 1_024;
/// Largest value.
pub const MAX_VALUE_BYTES: usize = 4 << 20;
/// Most entries of one batch.
pub const MAX_BATCH: usize = 1_000;

/// Whether writes pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads only.
    Read,
    /// Reads and writes.
    ReadWrite,
}

/// A bucket as one component sees it.
pub struct Granted {
    bucket: Shared<KeyValue>,
    access: Access,
    prefix: String,
}

impl Granted {
    /// Confines `bucket` to keys below `prefix` and to `access`.
    pub fn new(bucket: Shared<KeyValue>, access: Access, prefix: impl Into<String>) -> Self {
        Self {
            bucket,
            access,
            prefix: prefix.into(),
        }
    }

    fn admit(&self, call: &mut Call) -> Result<(), Error> {
        let writes = match call {
            Call::Get { key } | Call::Exists { key } => {
                self.prefix_key(key)?;
                false
            }
            Call::List { prefix, after, .. } => {
                prefix.insert_str(0, &self.prefix);
                if let Some(after) = after {
                    after.insert_str(0, &self.prefix);
                }
                false
            }
            Call::GetMany { keys } => {
                self.prefix_keys(keys)?;
                false
            }
            Call::Set { key, value } | Call::CompareAndSwap { key, value, .. } => {
                check_value(value)?;
                self.prefix_key(key)?;
                true
            }
            Call::Delete { key } | Call::Increment { key, .. } => {
                self.prefix_key(key)?;
                true
            }
            Call::SetMany { pairs } => {
                check_batch(pairs.len())?;
                for (key, value) in pairs {
                    check_value(value)?;
                    self.prefix_key(key)?;
                }
                true
            }
            Call::DeleteMany { keys } => {
                self.prefix_keys(keys)?;
                true
            }
        };
        if writes && self.access == Access::Read {
            return Err(Error::Denied(
                "this component may only read the bucket".into(),
            ));
        }
        Ok(())
    }

    fn prefix_key(&self, key: &mut String) -> Result<(), Error> {
        if key.is_empty() {
            return Err(Error::TooLarge("a key must not be empty".into()));
        }
        key.insert_str(0, &self.prefix);
        if key.len() > MAX_KEY_BYTES {
            return Err(Error::TooLarge(format!(
                "a key is at most {MAX_KEY_BYTES} bytes long"
            )));
        }
        Ok(())
    }

    fn prefix_keys(&self, keys: &mut [String]) -> Result<(), Error> {
        check_batch(keys.len())?;
        keys.iter_mut().try_for_each(|key| self.prefix_key(key))
    }

    fn unprefix(&self, reply: Reply) -> Reply {
        match reply {
            Reply::Keys { mut keys, more } if !self.prefix.is_empty() => {
                for key in &mut keys {
                    key.drain(..self.prefix.len().min(key.len()));
                }
                Reply::Keys { keys, more }
            }
            reply => reply,
        }
    }
}

fn check_value(value: &[u8]) -> Result<(), Error> {
    if value.len() > MAX_VALUE_BYTES {
        return Err(Error::TooLarge(format!(
            "a value is at most {MAX_VALUE_BYTES} bytes large"
        )));
    }
    Ok(())
}

fn check_batch(entries: usize) -> Result<(), Error> {
    if entries > MAX_BATCH {
        return Err(Error::TooLarge(format!(
            "a batch has at most {MAX_BATCH} entries"
        )));
    }
    Ok(())
}

impl Backend<KeyValue> for Granted {
    fn call(&self, mut call: Call) -> Answer<'_, KeyValue> {
        match self.admit(&mut call) {
            Err(error) => Box::pin(async { Err(error) }),
            Ok(()) if self.prefix.is_empty() => self.bucket.call(call),
            Ok(()) => Box::pin(async move { Ok(self.unprefix(self.bucket.call(call).await?)) }),
        }
    }
}

/// A bucket as it is opened: the backend, and what its grant puts around it.
pub struct Door {
    plain: Shared<KeyValue>,
    backend: Shared<KeyValue>,
    grant: Grant,
}

/// Puts the grant, and whatever counts or bounds its use, around a bucket.
pub type Grant = Arc<dyn Fn(Shared<KeyValue>) -> Shared<KeyValue> + Send + Sync>;

impl Door {
    /// A bucket behind a grant.
    pub fn new(backend: Shared<KeyValue>, grant: Grant) -> Self {
        Self {
            plain: grant(Arc::clone(&backend)),
            backend,
            grant,
        }
    }

    /// The bucket, granted.
    pub fn open(&self) -> Shared<KeyValue> {
        Arc::clone(&self.plain)
    }

    /// The bucket, granted, with a layer between the grant and the backend.
    pub fn open_over(
        &self,
        layer: impl FnOnce(Shared<KeyValue>) -> Shared<KeyValue>,
    ) -> Shared<KeyValue> {
        (self.grant)(layer(Arc::clone(&self.backend)))
    }
}

/// A bucket without a grant around it.
impl From<Shared<KeyValue>> for Door {
    fn from(backend: Shared<KeyValue>) -> Self {
        Self::new(backend, Arc::new(|backend| backend))
    }
}

/// Everything one component may open, by the name it uses. The linker's closures hold it.
#[derive(Clone, Default)]
pub struct Buckets(Arc<Vec<(String, Door)>>);

impl Buckets {
    /// The names a component may open, each with the bucket behind it.
    pub fn new<D: Into<Door>>(buckets: Vec<(String, D)>) -> Self {
        Self(Arc::new(
            buckets
                .into_iter()
                .map(|(name, door)| (name, door.into()))
                .collect(),
        ))
    }

    /// Whether there is nothing to open.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bucket of that name.
    pub fn open(&self, name: &str) -> Option<&Door> {
        self.0
            .iter()
            .find(|(alias, _)| alias == name)
            .map(|(_, door)| door)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyvalue::Memory;

    fn get(key: &str) -> Call {
        Call::Get { key: key.into() }
    }

    fn set(key: &str) -> Call {
        Call::Set {
            key: key.into(),
            value: b"v".to_vec(),
        }
    }

    #[tokio::test]
    async fn refuses_every_write_through_a_read_grant() {
        let bucket: Shared<KeyValue> = Arc::new(Memory::default());
        let granted = Granted::new(Arc::clone(&bucket), Access::Read, "");
        let writes = [
            set("k"),
            Call::Delete { key: "k".into() },
            Call::SetMany {
                pairs: vec![("k".into(), vec![])],
            },
            Call::DeleteMany {
                keys: vec!["k".into()],
            },
            Call::Increment {
                key: "k".into(),
                delta: 1,
            },
            Call::CompareAndSwap {
                key: "k".into(),
                expected: None,
                value: vec![],
            },
        ];
        for write in writes {
            assert!(
                matches!(granted.call(write.clone()).await, Err(Error::Denied(_))),
                "{write:?}"
            );
        }
        let listed = bucket
            .call(Call::List {
                prefix: String::new(),
                after: None,
                limit: 10,
            })
            .await;
        assert_eq!(
            listed,
            Ok(Reply::Keys {
                keys: vec![],
                more: false
            })
        );
    }

    #[tokio::test]
    async fn keeps_two_prefixes_of_one_bucket_apart() {
        let bucket: Shared<KeyValue> = Arc::new(Memory::default());
        let a = Granted::new(Arc::clone(&bucket), Access::ReadWrite, "a/");
        let b = Granted::new(bucket, Access::ReadWrite, "b/");
        a.call(set("../b/k")).await.unwrap();
        a.call(set("k")).await.unwrap();
        assert_eq!(b.call(get("k")).await, Ok(Reply::Value(None)));
        let all = Call::List {
            prefix: String::new(),
            after: None,
            limit: 10,
        };
        assert_eq!(
            b.call(all.clone()).await,
            Ok(Reply::Keys {
                keys: vec![],
                more: false
            })
        );
        let keys = vec!["../b/k".to_string(), "k".to_string()];
        assert_eq!(a.call(all).await, Ok(Reply::Keys { keys, more: false }));
    }

    #[tokio::test]
    async fn refuses_keys_and_values_beyond_their_limits() {
        let granted = Granted::new(Arc::new(Memory::default()), Access::ReadWrite, "");
        for call in [
            get(""),
            get(&"k".repeat(MAX_KEY_BYTES + 1)),
            Call::Set {
                key: "k".into(),
                value: vec![0; MAX_VALUE_BYTES + 1],
            },
            Call::GetMany {
                keys: vec!["k".into(); MAX_BATCH + 1],
            },
        ] {
            assert!(matches!(granted.call(call).await, Err(Error::TooLarge(_))));
        }
    }
}
