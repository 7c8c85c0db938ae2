//! The value of a secret, and what stands for it wherever it must not be.
//!
//! In: bytes from where the secret is kept. Out: the bytes to whoever asks with [`SecretValue::expose`], so that a search finds
//! every such place; to everybody else a keyed digest. There is no `Display`, no `Serialize` and no `Debug` that shows it.

use std::{cell::Cell, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::Error as _};

/// Largest secret, in every backend.
pub const MAX_SECRET_BYTES: usize = 64 << 10;

/// The value of a secret. Clones share it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(Arc<[u8]>);

impl SecretValue {
    /// Keeps `value`.
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self(value.into().into())
    }

    /// The value itself. Whoever asks answers for where it goes.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// What a recording under `key` holds in its place.
    pub fn fingerprint(&self, key: &DigestKey) -> Fingerprint {
        Fingerprint {
            digest: blake3::keyed_hash(&key.0, &self.0).to_hex().to_string(),
            length: self.0.len() as u64,
        }
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(..)")
    }
}

/// What stands for a value that is not to be seen: equal values under one key have equal fingerprints, and without the key
/// nobody can try guesses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Keyed BLAKE3 of the value, in hexadecimal.
    pub digest: String,
    /// Bytes of the value.
    pub length: u64,
}

impl Fingerprint {
    /// A value of the same length to run a replay with, where the real one is not to be had. The same for equal fingerprints.
    pub fn stand_in(&self) -> SecretValue {
        let length =
            usize::try_from(self.length).map_or(MAX_SECRET_BYTES, |n| n.min(MAX_SECRET_BYTES));
        let letters = b"stand-in-"
            .iter()
            .chain(self.digest.as_bytes().iter().cycle());
        SecretValue::new(letters.copied().take(length).collect::<Vec<u8>>())
    }
}

/// What a reveal answers: the value, or after a recording was read only what stood for it.
///
/// Its written form is always the [`Fingerprint`], and only under a key: see [`DigestKey::during`].
#[derive(Debug, Clone)]
pub enum Revealed {
    /// From where it is kept.
    Value(SecretValue),
    /// From a recording.
    Recorded(Fingerprint),
}

impl PartialEq for Revealed {
    /// A value and a fingerprint are compared under the key of [`DigestKey::during`]; without one they differ.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Value(a), Self::Value(b)) => a == b,
            (Self::Recorded(a), Self::Recorded(b)) => a == b,
            (Self::Value(value), Self::Recorded(recorded))
            | (Self::Recorded(recorded), Self::Value(value)) => KEY
                .get()
                .is_some_and(|key| value.fingerprint(&DigestKey(key)) == *recorded),
        }
    }
}

impl Serialize for Revealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Recorded(fingerprint) => fingerprint.serialize(serializer),
            Self::Value(value) => {
                let key = KEY.get().ok_or_else(|| {
                    S::Error::custom("a revealed secret is written down as a digest only, and no key is in effect")
                })?;
                value.fingerprint(&DigestKey(key)).serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Revealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Fingerprint::deserialize(deserializer).map(Self::Recorded)
    }
}

thread_local! {
    static KEY: Cell<Option<[u8; 32]>> = const { Cell::new(None) };
}

/// The key of the digests in one recording, or in all recordings of a node. Kept apart from what is recorded under it.
#[derive(Clone)]
pub struct DigestKey([u8; 32]);

impl DigestKey {
    /// From bytes that nobody can guess.
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// Tells this key from others, and nothing of it.
    pub fn name(&self) -> String {
        blake3::keyed_hash(&self.0, b"the name of this key")
            .to_hex()
            .to_string()
    }

    /// Runs `work`, in which revealed secrets can be written down, each as its digest under this key.
    ///
    /// A recorder wraps its one call of the serialiser in this. On this thread and for this call only: `work` is not to await.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        struct Before(Option<[u8; 32]>);
        impl Drop for Before {
            fn drop(&mut self) {
                KEY.set(self.0);
            }
        }
        let _before = Before(KEY.replace(Some(self.0)));
        work()
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::{Call, Error, Reply};

    const CANARY: &str = "canary-7f3a-do-not-print";

    fn reply() -> Reply {
        Reply::Revealed(Revealed::Value(SecretValue::new(CANARY)))
    }

    fn written(key: [u8; 32]) -> String {
        DigestKey::new(key).during(|| serde_json::to_string(&reply()).unwrap())
    }

    #[test]
    fn a_value_shows_itself_in_no_printed_or_written_form() {
        let value = SecretValue::new(CANARY);
        let answer: Result<Reply, Error> = Ok(reply());
        let key = DigestKey::new(*b"canary-7f3a-do-not-print-32bytes");
        let shown = [
            format!("{value:?} {value:#?} {key:?} {answer:?} {answer:#?}"),
            format!("{:?}", value.fingerprint(&key)),
            written([7; 32]),
            serde_json::to_string(&reply()).unwrap_err().to_string(),
        ];
        for shown in shown {
            assert!(!shown.contains("canary"), "{shown}");
            assert!(
                !shown.contains(&format!("{:?}", CANARY.as_bytes())),
                "{shown}"
            );
        }
    }

    #[test]
    fn the_written_form_is_a_digest_that_only_the_key_can_repeat() {
        assert_eq!(written([7; 32]), written([7; 32]));
        assert_ne!(written([7; 32]), written([8; 32]));
        let unkeyed = blake3::hash(CANARY.as_bytes()).to_hex().to_string();
        assert!(!written([7; 32]).contains(&unkeyed));

        let read: Reply = serde_json::from_str(&written([7; 32])).unwrap();
        let Reply::Revealed(Revealed::Recorded(fingerprint)) = &read else {
            panic!("{read:?}");
        };
        assert_eq!(fingerprint.length, CANARY.len() as u64);
        assert_eq!(
            *fingerprint,
            SecretValue::new(CANARY).fingerprint(&DigestKey::new([7; 32]))
        );
        assert_eq!(
            serde_json::to_string(&read).unwrap(),
            written([7; 32]),
            "written again as it was read"
        );
    }

    #[test]
    fn a_recorded_value_equals_the_real_one_under_the_key_and_nothing_without() {
        let read: Reply = serde_json::from_str(&written([7; 32])).unwrap();
        assert_ne!(read, reply());
        DigestKey::new([7; 32]).during(|| assert_eq!(read, reply()));
        DigestKey::new([8; 32]).during(|| assert_ne!(read, reply()));
        assert_ne!(read, reply(), "the key is in effect no longer");
        assert_eq!(reply(), reply());
    }

    #[test]
    fn a_key_is_in_effect_no_longer_after_a_panic() {
        let panicked = std::panic::catch_unwind(|| {
            DigestKey::new([7; 32]).during(|| panic!("in the serialiser"))
        });
        assert!(panicked.is_err());
        assert!(serde_json::to_string(&reply()).is_err());
    }

    #[test]
    fn a_stand_in_has_the_length_of_the_value_and_a_hostile_recording_gets_no_memory() {
        let fingerprint = SecretValue::new(CANARY).fingerprint(&DigestKey::new([7; 32]));
        let stand_in = fingerprint.stand_in();
        assert_eq!(stand_in.expose().len(), CANARY.len());
        assert_eq!(stand_in, fingerprint.stand_in());
        assert_ne!(stand_in, SecretValue::new(CANARY));
        let hostile = Fingerprint {
            digest: String::new(),
            length: u64::MAX,
        };
        assert!(hostile.stand_in().expose().len() <= MAX_SECRET_BYTES);
    }

    #[test]
    fn calls_and_errors_come_back_as_they_were_written() {
        let call = Call::Reveal {
            name: "k".into(),
            version: "3".into(),
        };
        let text = serde_json::to_string(&call).unwrap();
        assert_eq!(serde_json::from_str::<Call>(&text).unwrap(), call);
        let error = Error::Unavailable("down".into());
        let text = serde_json::to_string(&error).unwrap();
        assert_eq!(serde_json::from_str::<Error>(&text).unwrap(), error);
    }
}
