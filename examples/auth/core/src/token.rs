//! What the bucket holds for a key. In: the record's bytes. Out: a token, or why the record is none.

use crate::{Fault, Refusal};

/// Whose key it is, and until when.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    pub user_id: String,
    /// Unix time, seconds.
    pub expires_at: u64,
}

impl Token {
    pub(crate) fn from_record(record: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice(record).map_err(|error| Fault::Record(error.to_string()))
    }

    pub(crate) fn valid_at(self, now_s: u64) -> Result<Self, Refusal> {
        if now_s < self.expires_at {
            Ok(self)
        } else {
            Err(Refusal::ExpiredKey)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_expired_from_the_second_it_names() {
        let token = Token {
            user_id: "user_123".into(),
            expires_at: 100,
        };
        assert!(token.clone().valid_at(99).is_ok());
        assert_eq!(token.valid_at(100), Err(Refusal::ExpiredKey));
    }

    #[test]
    fn refuses_a_record_with_a_field_nobody_reads() {
        assert!(Token::from_record(br#"{"user_id":"u","expires_at":1,"admin":true}"#).is_err());
    }
}
