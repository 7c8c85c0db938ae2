//! Calls and answers of any contract as one self-describing value, so that recordings need not know the contracts.
//!
//! In: anything serde can write. Out: a CBOR value in which sequences of bytes are byte strings, and back.

use ciborium::Value;
use serde::{Serialize, de::DeserializeOwned};

/// What cannot be turned into a value or back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAValue(pub String);

/// Writes a value down.
///
/// # Errors
/// When serde cannot express it.
pub fn pack(value: &impl Serialize) -> Result<Value, NotAValue> {
    Value::serialized(value)
        .map(shorten)
        .map_err(|error| NotAValue(error.to_string()))
}

/// Reads a value.
///
/// # Errors
/// When it is something else.
pub fn unpack<T: DeserializeOwned>(value: Value) -> Result<T, NotAValue> {
    lengthen(value)
        .deserialized()
        .map_err(|error| NotAValue(error.to_string()))
}

/// `Vec<u8>` is a sequence of numbers to serde; a recording holds many.
pub(super) fn shorten(value: Value) -> Value {
    match value {
        Value::Array(items) => match bytes(&items) {
            Some(bytes) => Value::Bytes(bytes),
            None => Value::Array(items.into_iter().map(shorten).collect()),
        },
        Value::Map(pairs) => Value::Map(
            pairs
                .into_iter()
                .map(|(key, value)| (key, shorten(value)))
                .collect(),
        ),
        other => other,
    }
}

fn lengthen(value: Value) -> Value {
    match value {
        Value::Bytes(bytes) => Value::Array(bytes.into_iter().map(Value::from).collect()),
        Value::Array(items) => Value::Array(items.into_iter().map(lengthen).collect()),
        Value::Map(pairs) => Value::Map(
            pairs
                .into_iter()
                .map(|(key, value)| (key, lengthen(value)))
                .collect(),
        ),
        other => other,
    }
}

fn bytes(items: &[Value]) -> Option<Vec<u8>> {
    items
        .iter()
        .map(|item| {
            item.as_integer()
                .and_then(|number| u8::try_from(number).ok())
        })
        .collect()
}

/// One line for a person: strings quoted, bytes as text where they are text.
pub fn show(value: &Value) -> String {
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
            assert_eq!(unpack::<Call>(pack(&call).unwrap()).unwrap(), call);
        }
        let answers: [Result<Reply, Error>; 3] = [
            Ok(Reply::Value(Some(vec![1, 2]))),
            Ok(Reply::Values(vec![None, Some(vec![])])),
            Err(Error::Failed("x".into())),
        ];
        for answer in answers {
            assert_eq!(
                unpack::<Result<Reply, Error>>(pack(&answer).unwrap()).unwrap(),
                answer
            );
        }
    }
}
