//! Calls and answers of any contract as one self-describing value, so that recordings need not know the contracts.
//!
//! In: anything serde can write. Out: its bytes in CBOR, in which sequences of bytes are byte strings, and back. Equal values have equal bytes.

use std::fmt;

use bytes::Bytes;
use ciborium::Value;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

use super::encode::encode;

/// What cannot be turned into a value or back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAValue(pub String);

impl serde::ser::Error for NotAValue {
    fn custom<T: fmt::Display>(what: T) -> Self {
        NotAValue(what.to_string())
    }
}

/// A value as it is written down. Inside another it is a byte string (RFC 8949, 3.4.5.1), so that nobody who passes it on takes it apart.
#[derive(Clone, PartialEq, Eq)]
pub struct Encoded(Bytes);

impl Encoded {
    /// Writes a value down.
    ///
    /// # Errors
    /// When serde cannot express it.
    pub fn of(value: &(impl Serialize + ?Sized)) -> Result<Self, NotAValue> {
        let mut bytes = Vec::new();
        encode(value, &mut bytes)?;
        Ok(Self(bytes.into()))
    }

    /// Bytes that a value was written to.
    pub(super) fn written(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// Reads it as what it was.
    ///
    /// # Errors
    /// When it is something else.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, NotAValue> {
        ciborium::from_reader(&*self.0).map_err(|error| NotAValue(error.to_string()))
    }

    /// Changes every text and every byte string in it.
    pub(super) fn change(&mut self, change: &mut impl FnMut(&mut Vec<u8>)) {
        if let Ok(mut value) = self.read::<Value>() {
            change_strings(&mut value, change);
            if let Ok(changed) = Self::of(&Raw(&value)) {
                *self = changed;
            }
        }
    }

    /// One line for a person.
    pub fn show(&self) -> String {
        self.read::<Value>()
            .map_or_else(|error| format!("damaged: {error}"), |value| show(&value))
    }
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.show())
    }
}

impl Serialize for Encoded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Encoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Encoded;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a byte string")
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Encoded, E> {
                Ok(Encoded(bytes.into()))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

fn change_strings(value: &mut Value, change: &mut impl FnMut(&mut Vec<u8>)) {
    match value {
        Value::Bytes(bytes) => change(bytes),
        Value::Text(text) => {
            let mut bytes = text.clone().into_bytes();
            change(&mut bytes);
            if let Ok(changed) = String::from_utf8(bytes) {
                *text = changed;
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| change_strings(item, change)),
        Value::Map(pairs) => pairs.iter_mut().for_each(|(key, item)| {
            change_strings(key, change);
            change_strings(item, change);
        }),
        _ => {}
    }
}

/// A value that was read, to be written as it was: its own `Serialize` takes an array of small numbers for bytes.
struct Raw<'a>(&'a Value);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::{SerializeMap as _, SerializeTuple as _};
        match self.0 {
            Value::Array(items) => {
                let mut array = serializer.serialize_tuple(items.len())?;
                for item in items {
                    array.serialize_element(&Raw(item))?;
                }
                array.end()
            }
            Value::Map(pairs) => {
                let mut map = serializer.serialize_map(Some(pairs.len()))?;
                for (key, value) in pairs {
                    map.serialize_entry(&Raw(key), &Raw(value))?;
                }
                map.end()
            }
            other => other.serialize(serializer),
        }
    }
}

/// One line for a person: strings quoted, bytes as text where they are text.
fn show(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Bytes(bytes) => show_bytes(bytes),
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(show).collect::<Vec<_>>().join(", ")
        ),
        Value::Map(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| match key {
                Value::Text(key) => format!("{key}: {}", show(value)),
                key => format!("{}: {}", show(key), show(value)),
            });
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::Integer(number) => i128::from(*number).to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Null => "none".into(),
        other => format!("{other:?}"),
    }
}

/// Longest piece of bytes shown.
const SHOWN_BYTES: usize = 160;

/// Bytes as text where they are text, at most their beginning.
pub fn show_bytes(bytes: &[u8]) -> String {
    let shown = bytes.get(..SHOWN_BYTES).unwrap_or(bytes);
    let more = bytes.len() - shown.len();
    let tail = if more == 0 {
        String::new()
    } else {
        format!(" and {more} bytes more")
    };
    format!("b\"{}\"{tail}", shown.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyvalue::{Call, Error, Reply};

    #[test]
    fn every_value_of_a_contract_comes_back() {
        let calls = [
            Call::Get { key: "k".into() },
            Call::Set {
                key: "k".into(),
                value: vec![0, 255],
            },
            Call::Set {
                key: "k".into(),
                value: vec![],
            },
            Call::SetMany {
                pairs: vec![("a".into(), vec![1]), ("b".into(), vec![])],
            },
            Call::CompareAndSwap {
                key: "k".into(),
                expected: Some(vec![7]),
                value: vec![300u16 as u8],
            },
            Call::List {
                prefix: "p".into(),
                after: None,
                limit: 9,
            },
        ];
        for call in calls {
            let written = Encoded::of(&call).unwrap();
            assert_eq!(written.read::<Call>().unwrap(), call);
        }
        let answers: [Result<Reply, Error>; 4] = [
            Ok(Reply::Value(Some(vec![1, 2]))),
            Ok(Reply::Values(vec![None, Some(vec![])])),
            Ok(Reply::Number(-1)),
            Err(Error::Failed("x".into())),
        ];
        for answer in answers {
            let written = Encoded::of(&answer).unwrap();
            assert_eq!(written.read::<Result<Reply, Error>>().unwrap(), answer);
        }
    }

    #[test]
    fn numbers_of_every_size_are_written_as_others_read_them() {
        for number in [
            0,
            23,
            24,
            255,
            256,
            65_535,
            65_536,
            u64::from(u32::MAX),
            u64::MAX,
        ] {
            assert_eq!(Encoded::of(&number).unwrap().read::<u64>().unwrap(), number);
        }
        for number in [-1, -24, -25, -256, -257, i64::MIN, i64::MAX] {
            assert_eq!(Encoded::of(&number).unwrap().read::<i64>().unwrap(), number);
        }
        let pair = (1.5, 'ä', true, (), [1_u8, 2]);
        assert_eq!(
            Encoded::of(&pair)
                .unwrap()
                .read::<(f64, char, bool, (), [u8; 2])>()
                .unwrap(),
            pair
        );
    }

    #[test]
    fn bytes_cost_a_byte_each_and_numbers_stay_numbers() {
        let bytes = Encoded::of(&vec![200_u8; 1_000]).unwrap();
        assert_eq!(bytes.0.len(), 1_003);
        assert_eq!(Encoded::of(&vec![1_u16, 2]).unwrap().show(), "[1, 2]");
    }

    #[test]
    fn what_is_changed_in_a_value_leaves_the_rest_as_it_was_written() {
        let call = (vec![1_u16, 2], "key", vec![Some(b"key".to_vec()), None]);
        let mut written = Encoded::of(&call).unwrap();
        written.change(&mut |_| {});
        assert_eq!(written, Encoded::of(&call).unwrap());
        written.change(&mut |found| *found = found.to_ascii_uppercase());
        let changed = (vec![1_u16, 2], "KEY", vec![Some(b"KEY".to_vec()), None]);
        assert_eq!(written, Encoded::of(&changed).unwrap());
    }
}
