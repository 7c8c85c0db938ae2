//! The identity of a request, shared with whoever traces it.
//!
//! In: a `traceparent` field as W3C Trace Context writes it, or nothing. Out: a [`RequestId`] and the `traceparent` to pass
//! on, always well formed and with a span of our own. Absent: sampling decisions; the caller's flags pass unchanged.

use std::{
    cell::Cell,
    fmt,
    hash::{BuildHasher, RandomState},
};

use http::{HeaderName, HeaderValue};

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Sixteen bytes that name one request: the trace-id of its `traceparent`. Displays as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(u128);

impl RequestId {
    /// Makes a new one: unique, but no secret.
    pub fn random() -> Self {
        // All zeros is no valid trace-id (Trace Context, 3.2.2.3).
        Self((u128::from(random()) << 64 | u128::from(random() ^ key())).max(1))
    }

    /// Reads one from 32 lower-case hexadecimal digits that are not all zero.
    pub fn parse(text: &str) -> Option<Self> {
        hex(text.as_bytes(), 32).map(Self)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// What is kept of a caller's `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) id: RequestId,
    flags: u8,
}

impl Trace {
    /// A trace that begins here, not sampled by anybody.
    pub(crate) fn begin() -> Self {
        Self {
            id: RequestId::random(),
            flags: 0,
        }
    }

    /// Continues a caller's trace, if the field is valid.
    ///
    /// "If the vendor failed to parse traceparent, it MUST NOT attempt to parse tracestate" (3.2.2): the caller of this
    /// function then removes both.
    pub(crate) fn parse(field: &[u8]) -> Option<Self> {
        // version "-" trace-id "-" parent-id "-" trace-flags
        let (known, future) = field.split_at_checked(55)?;
        let [v0, v1, b'-', rest @ ..] = known else {
            return None;
        };
        let (trace_id, rest) = rest.split_at_checked(32)?;
        let (parent_id, rest) = rest.strip_prefix(b"-")?.split_at_checked(16)?;
        let flags = rest.strip_prefix(b"-")?;
        // Version ff is forbidden. Version 00 ends after the flags; a later one may continue after a dash.
        match (&[*v0, *v1], future) {
            (b"ff", _) => return None,
            (b"00", []) => {}
            (b"00", _) => return None,
            (_, [] | [b'-', ..]) => {}
            _ => return None,
        }
        digits(&[*v0, *v1])?;
        hex(parent_id, 16)?;
        Some(Self {
            id: RequestId(hex(trace_id, 32)?),
            flags: u8::try_from(digits(flags)?).ok()?,
        })
    }

    /// The field to pass on: the same trace, a new span.
    pub(crate) fn traceparent(self) -> Option<HeaderValue> {
        let mut text = [b'-'; 55];
        let span = random().max(1);
        write_hex(text.get_mut(..2)?, 0);
        write_hex(text.get_mut(3..35)?, self.id.0);
        write_hex(text.get_mut(36..52)?, u128::from(span));
        write_hex(text.get_mut(53..)?, u128::from(self.flags));
        HeaderValue::from_bytes(&text).ok()
    }
}

/// Lower-case hexadecimal digits of exactly this length, not all zero.
fn hex(text: &[u8], length: usize) -> Option<u128> {
    (text.len() == length)
        .then(|| digits(text))
        .flatten()
        .filter(|value| *value != 0)
}

fn digits(text: &[u8]) -> Option<u128> {
    text.iter().try_fold(0, |value, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(digit))
    })
}

fn write_hex(into: &mut [u8], value: u128) {
    let mut rest = value;
    for byte in into.iter_mut().rev() {
        let digit = (rest & 0xf) as u8;
        *byte = if digit < 10 {
            b'0' + digit
        } else {
            b'a' + digit - 10
        };
        rest >>= 4;
    }
}

thread_local! {
    /// Seeded once per thread from the standard library's keyed hasher, whose key is the system's randomness.
    static SEED: (Cell<u64>, u64) = {
        let keyed = RandomState::new();
        (Cell::new(keyed.hash_one(0_u8)), keyed.hash_one(1_u8))
    };
}

/// SplitMix64: no lock and no system call per request.
fn random() -> u64 {
    SEED.with(|(state, _)| {
        let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(next);
        let mixed = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

/// Keeps two threads apart even where their sequences should overlap.
fn key() -> u64 {
    SEED.with(|(_, key)| *key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn takes_the_trace_id_of_a_valid_traceparent() {
        let trace = Trace::parse(VALID.as_bytes()).unwrap();
        assert_eq!(trace.id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let sent = trace.traceparent().unwrap();
        let sent = sent.to_str().unwrap();
        assert!(sent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && sent.ends_with("-01"));
        assert!(!sent.contains("00f067aa0ba902b7"), "a span of our own");
        assert_eq!(Trace::parse(sent.as_bytes()).unwrap(), trace);
    }

    #[test]
    fn accepts_a_later_version_with_more_fields() {
        assert!(
            Trace::parse(format!("cc{}-what-the-future-will-be", &VALID[2..]).as_bytes()).is_some()
        );
        assert!(Trace::parse(format!("cc{}.what", &VALID[2..]).as_bytes()).is_none());
    }

    #[test]
    fn refuses_what_the_grammar_does_not_allow() {
        for wrong in [
            "".to_owned(),
            "00".to_owned(),
            format!("ff{}", &VALID[2..]),
            format!("{VALID}-extra"),
            VALID.to_uppercase(),
            VALID.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            VALID.replace("00f067aa0ba902b7", &"0".repeat(16)),
            VALID.replace("-01", "-0g"),
            VALID.replace("4bf", "4b-"),
        ] {
            assert_eq!(Trace::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn makes_ids_that_differ() {
        let made: std::collections::HashSet<_> = (0..10_000).map(|_| RequestId::random()).collect();
        assert_eq!(made.len(), 10_000);
        assert_eq!(RequestId::random().to_string().len(), 32);
    }
}
