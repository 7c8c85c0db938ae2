//! Names on the wire. In: the operator's path, an app, a bucket and a key. Out: the keys of Redis.
//!
//! Two different inputs never share a key, whatever they contain: the path ends where `coracle:` first occurs, lengths say where
//! the names end, and the key is the rest, as it is. Nothing is a pattern: no command of this backend takes one.

use std::str::FromStr;

use super::config::ConfigError;

/// What the operator puts before all keys of a bucket, for an ACL of the server to name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyPath(String);

impl FromStr for KeyPath {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text.contains("coracle:") {
            true => Err(ConfigError::Path),
            false => Ok(Self(text.to_owned())),
        }
    }
}

/// The keys of one bucket of one app.
pub(crate) struct Names {
    /// What stands before every key of a value.
    pub(crate) values: String,
    /// The bucket's index.
    pub(crate) index: String,
    /// Remembers that the bucket was seeded.
    pub(crate) seeded: String,
}

impl Names {
    pub(crate) fn new(path: &KeyPath, app: &str, bucket: &str) -> Self {
        // The braces keep a bucket's keys together where keys are spread over servers.
        let bucket = format!(
            "{}coracle:{{{}:{app}:{}:{bucket}}}:",
            path.0,
            app.len(),
            bucket.len()
        );
        Self {
            values: format!("{bucket}v:"),
            index: format!("{bucket}i"),
            seeded: format!("{bucket}s"),
        }
    }

    pub(crate) fn value(&self, key: &str) -> String {
        [&self.values, key].concat()
    }
}

/// The first key of Redis' lexicographic order that is beyond all keys with this prefix. UTF-8 has no byte 255.
pub(crate) fn beyond(prefix: &str) -> Vec<u8> {
    let mut bound = [b"(", prefix.as_bytes()].concat();
    match bound.last_mut() {
        Some(last) if !prefix.is_empty() => *last = last.saturating_add(1),
        _ => return b"+".to_vec(),
    }
    bound
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Everything with which one name might be made to look like two.
    const PIECES: [&str; 16] = [
        "", "a", "b", ":", "::", "{", "}", "}:v:", "coracle", "coracle:", "1", "1:a", ":v:", "i",
        "v:\0", "../",
    ];

    #[test]
    fn no_two_names_share_a_key_whatever_they_contain() {
        let mut words: Vec<String> = PIECES.map(Into::into).into();
        for left in PIECES {
            words.extend(PIECES.map(|right| [left, right].concat()));
        }
        words.sort();
        words.dedup();
        let mut seen = HashMap::new();
        let mut state = 7_u64;
        let mut any = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            words[(state >> 33) as usize % words.len()].clone()
        };
        for _ in 0..300_000 {
            let (path, app, bucket, key) = (any(), any(), any(), any());
            let Ok(path) = path.parse::<KeyPath>() else {
                continue;
            };
            let names = Names::new(&path, &app, &bucket);
            let bucket = (path, app, bucket);
            for (wire, meant) in [
                (names.value(&key), Some(key)),
                (names.index.clone(), None),
                (names.seeded.clone(), Some("the mark of a seed".into())),
            ] {
                let meant = (bucket.clone(), meant);
                let before = seen.insert(wire.clone(), meant.clone());
                assert!(
                    before.as_ref().is_none_or(|before| *before == meant),
                    "{wire:?} is {before:?} and {meant:?}"
                );
            }
        }
        assert!(seen.len() > 100_000);
    }

    #[test]
    fn refuses_a_path_that_looks_like_a_bucket() {
        assert_eq!("team:coracle:x".parse::<KeyPath>(), Err(ConfigError::Path));
        assert!("team-a:".parse::<KeyPath>().is_ok());
    }

    #[test]
    fn the_bound_of_a_prefix_is_beyond_its_keys_only() {
        assert_eq!(beyond(""), b"+");
        assert_eq!(beyond("a/"), b"(a0");
        assert_eq!(beyond("\u{10ffff}"), b"(\xf4\x8f\xbf\xc0");
    }
}
