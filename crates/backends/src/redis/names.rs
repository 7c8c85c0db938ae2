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

    /// Everything with which one name might be made to look like two; names are all pairs of these.
    const PIECES: [&str; 11] = [
        "", "a", "b", ":", ":0:", ":1:", "1:a", "{", "}", "}:v:", "}:i",
    ];
    const PATHS: [&str; 6] = ["", "a", "a:", "coracle", ":", "coracle:{1:a:1:b}:v:"];
    const KEYS: [&str; 8] = [
        "",
        "a",
        "i",
        ":",
        "v:",
        "}:v:a",
        "coracle:{1:a:1:b}:i",
        "coracle:{1:a:1:b}:v:a",
    ];

    #[test]
    fn no_two_names_share_a_key_whatever_they_contain() {
        let pairs = PIECES.map(|left| PIECES.map(|right| [left, right].concat()));
        let mut words = pairs.into_iter().flatten().collect::<Vec<_>>();
        words.sort();
        words.dedup();
        let paths: Vec<KeyPath> = PATHS.iter().filter_map(|path| path.parse().ok()).collect();
        let mut seen = HashMap::new();
        for (path, app) in paths
            .iter()
            .flat_map(|path| words.iter().map(move |app| (path, app)))
        {
            for bucket in &words {
                let names = Names::new(path, app, bucket);
                let values = KEYS.map(|key| (names.value(key), key));
                let own = [(names.index, "(index)"), (names.seeded, "(seeded)")];
                for (wire, what) in values.into_iter().chain(own) {
                    let meant = (path, app, bucket, what);
                    if let Some(before) = seen.insert(wire, meant) {
                        panic!("{before:?} and {meant:?} share a key");
                    }
                }
            }
        }
        assert!(seen.len() > 400_000, "{}", seen.len());
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
