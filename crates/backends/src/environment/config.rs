//! Settings of texts in the environment. In: a prefix. Out: which variable a secret or a key is, and back.

/// Settings of texts in the environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// What every variable begins with: `CORACLE_SECRET_`. Variables without it are not there.
    pub prefix: String,
}

impl Config {
    /// Variables that begin with `prefix`.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
        }
    }

    /// The part of a secret's variable after the prefix: upper case, underscores for hyphens. `None` for a name that is not lower-case
    /// letters, digits and hyphens: no two names are one variable.
    pub(super) fn variable(name: &str) -> Option<String> {
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let plain = !name.is_empty() && name.bytes().all(is_plain);
        plain.then(|| name.to_ascii_uppercase().replace('-', "_"))
    }
}

/// What a variable's name after the prefix says to a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// A key of configuration: `LOG_LEVEL` is `log-level`, `LOG__LEVEL` is `log_level`.
    Key,
    /// The name of a variable of the component's: the same.
    Variable,
}

impl Spelling {
    /// What the rest of a variable's name is called; `None` for what is nothing. No two variables are one key.
    pub(super) fn called(self, rest: &str) -> Option<String> {
        match self {
            Self::Variable => (!rest.is_empty()).then(|| rest.to_owned()),
            Self::Key => key(rest),
        }
    }
}

/// One underscore is a hyphen, two are an underscore; three are neither one nor the other.
fn key(rest: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if rest.is_empty() || !rest.bytes().all(is_plain) {
        return None;
    }
    let mut key = String::with_capacity(rest.len());
    let mut rest = rest;
    while let Some(first) = rest.chars().next() {
        let run = rest.len() - rest.trim_start_matches('_').len();
        match run {
            0 => key.push(first.to_ascii_lowercase()),
            1 => key.push('-'),
            run if run.is_multiple_of(2) => key.extend(std::iter::repeat_n('_', run / 2)),
            _ => return None,
        }
        rest = rest.get(run.max(1)..)?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_variables_are_one_key() {
        let letters = ["A", "B", "1", "_"];
        let longer = |names: Vec<String>| {
            let each = |name: &String| letters.map(|letter| format!("{name}{letter}"));
            names.iter().flat_map(each).collect::<Vec<_>>()
        };
        let mut names = vec![String::new()];
        let mut all = Vec::new();
        for _ in 0..6 {
            names = longer(names);
            all.extend(names.iter().cloned());
        }
        let mut keys: Vec<String> = all
            .iter()
            .filter_map(|name| Spelling::Key.called(name))
            .collect();
        assert!(keys.len() > 3_000, "{}", keys.len());
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn a_key_is_spelt_as_it_is_written_in_a_manifest() {
        for (rest, key) in [
            ("ISSUER", Some("issuer")),
            ("LOG_LEVEL", Some("log-level")),
            ("LOG__LEVEL", Some("log_level")),
            ("A____B", Some("a__b")),
            ("_A_", Some("-a-")),
            ("A___B", None),
            ("a", None),
            ("A-B", None),
            ("", None),
        ] {
            assert_eq!(Spelling::Key.called(rest).as_deref(), key, "{rest:?}");
        }
    }
}
