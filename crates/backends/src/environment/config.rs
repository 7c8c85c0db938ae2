//! Settings of secrets in the environment. In: a prefix. Out: which variable a secret is.

/// Settings of secrets in the environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// What every variable begins with: `CORACLE_SECRET_`. Variables without it are no secrets.
    pub prefix: String,
}

impl Config {
    /// Variables that begin with `prefix`.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
        }
    }

    /// The part after the prefix: upper case, underscores for hyphens. `None` for a name that is not lower-case letters, digits and
    /// hyphens: no two names are one variable.
    pub(super) fn variable(name: &str) -> Option<String> {
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let plain = !name.is_empty() && name.bytes().all(is_plain);
        plain.then(|| name.to_ascii_uppercase().replace('-', "_"))
    }
}
