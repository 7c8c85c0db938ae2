//! Names of what a manifest names. In: text. Out: a newtype that cannot hold an ill-formed name.
//!
//! One grammar for all of them, `[a-z][a-z0-9-]{0,62}`, so that a name is at once a DNS label, a file name and a metric label.

use std::{fmt, str::FromStr};

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("the name is empty")]
    Empty,
    /// More than 63 bytes.
    #[error("the name is longer than 63 characters")]
    TooLong,
    /// Something else than a lower-case letter at the start.
    #[error("a name begins with a lower-case letter a-z, not with {0:?}")]
    Start(char),
    /// A character outside the grammar.
    #[error("a name holds lower-case letters, digits and hyphens, not {0:?}")]
    Character(char),
}

/// The nearest well-formed name, for a message. `None` when nothing is left.
pub(crate) fn well_formed(text: &str) -> Option<String> {
    let mapped: String = text
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| {
            if c.is_ascii_lowercase() || c.is_ascii_digit() {
                c
            } else {
                '-'
            }
        })
        .collect();
    let start = mapped.find(|c: char| c.is_ascii_lowercase())?;
    let name: String = mapped.chars().skip(start).take(63).collect();
    Some(name.trim_end_matches('-').to_owned())
}

fn check(text: &str) -> Result<(), NameError> {
    let first = text.chars().next().ok_or(NameError::Empty)?;
    if !first.is_ascii_lowercase() {
        return Err(NameError::Start(first));
    }
    if let Some(c) = text
        .chars()
        .find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-'))
    {
        return Err(NameError::Character(c));
    }
    if text.len() > 63 {
        return Err(NameError::TooLong);
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks `text` against `[a-z][a-z0-9-]{0,62}`.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                check(text).map(|()| Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// Names an app on its host.
    AppName
}
name! {
    /// Names a component of an app.
    ComponentName
}
name! {
    /// Names a key-value bucket of an app.
    BucketName
}
name! {
    /// Names a secret of an app.
    SecretName
}
name! {
    /// Names a backend in the operator's file.
    BackendName
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_lower_case_label_of_at_most_63_bytes() {
        for good in ["a", "api-keys", "a1", &"a".repeat(63)] {
            assert_eq!(AppName::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(AppName::parse(""), Err(NameError::Empty));
        assert_eq!(AppName::parse("1a"), Err(NameError::Start('1')));
        assert_eq!(AppName::parse("a_b"), Err(NameError::Character('_')));
        assert_eq!(AppName::parse("a/../b"), Err(NameError::Character('/')));
        assert_eq!(AppName::parse(&"a".repeat(64)), Err(NameError::TooLong));
    }

    #[test]
    fn the_suggested_name_is_itself_a_name() {
        for bad in ["Key_Store", "9lives", "ümlaut", "-a-", &"Z".repeat(90)] {
            let suggestion = well_formed(bad).unwrap();
            assert_eq!(
                AppName::parse(&suggestion).map(|n| n.to_string()),
                Ok(suggestion)
            );
        }
        assert_eq!(well_formed("42"), None);
    }
}
