//! Names of WIT interfaces as a link writes them. In: text. Out: `shop:auth/tokens`, with a version or without, that is well formed.
//!
//! Whether a component imports or exports it is not asked here.

use std::fmt;

/// An interface of a package, `shop:auth/tokens@1.0.0`. Without a version it stands for the one version that fits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InterfaceName {
    /// `shop:auth/tokens`.
    path: Box<str>,
    version: Option<Box<str>>,
}

/// Why a text is not the name of an interface.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InterfaceError {
    /// No `namespace:`, or nothing in it.
    #[error("it has no namespace: `NAMESPACE:PACKAGE/INTERFACE`")]
    Namespace,
    /// No `/interface`, or nothing in it.
    #[error("it names no interface of the package: `NAMESPACE:PACKAGE/INTERFACE`")]
    Interface,
    /// A part that is no WIT identifier.
    #[error("{0:?} is not a WIT identifier")]
    Identifier(String),
    /// What follows `@`.
    #[error("{0:?} is not a version: `1.0.0`")]
    Version(String),
}

impl InterfaceName {
    /// Checks `text` against `namespace:package/interface[@version]`.
    ///
    /// # Errors
    /// See [`InterfaceError`].
    pub fn parse(text: &str) -> Result<Self, InterfaceError> {
        let (path, version) = match text.split_once('@') {
            Some((path, version)) => (path, Some(version)),
            None => (text, None),
        };
        let (namespace, rest) = path.split_once(':').ok_or(InterfaceError::Namespace)?;
        let (package, interface) = rest.split_once('/').ok_or(InterfaceError::Interface)?;
        if namespace.is_empty() {
            return Err(InterfaceError::Namespace);
        }
        if interface.is_empty() {
            return Err(InterfaceError::Interface);
        }
        for part in [namespace, package, interface] {
            if !is_identifier(part) {
                return Err(InterfaceError::Identifier(part.to_owned()));
            }
        }
        if let Some(version) = version.filter(|version| !is_version(version)) {
            return Err(InterfaceError::Version(version.to_owned()));
        }
        Ok(Self {
            path: path.into(),
            version: version.map(Into::into),
        })
    }

    /// Without its version: `shop:auth/tokens`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The version, when it is said.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Whether one import could be meant by both: the same interface, and one of them says no version or both say the same.
    pub fn meets(&self, other: &Self) -> bool {
        let versions = (self.version(), other.version());
        self.path == other.path
            && match versions {
                (Some(one), Some(another)) => one == another,
                _ => true,
            }
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}@{version}", self.path),
            None => f.write_str(&self.path),
        }
    }
}

/// Words with hyphens between them, each in one case; the first begins with a letter (Component Model, `Explainer.md`, "label").
fn is_identifier(text: &str) -> bool {
    let word = |word: &str| {
        let lower = word
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let upper = word
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        !word.is_empty() && (lower || upper)
    };
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.split('-').all(word)
}

/// `MAJOR.MINOR.PATCH`, then `-PRE` and `+BUILD` (SemVer 2.0.0, 2, 9 and 10).
fn is_version(text: &str) -> bool {
    let (text, build) = match text.split_once('+') {
        Some((text, build)) => (text, Some(build)),
        None => (text, None),
    };
    let (core, pre) = match text.split_once('-') {
        Some((core, pre)) => (core, Some(pre)),
        None => (text, None),
    };
    let number = |n: &str| {
        !n.is_empty()
            && n.len() <= 19
            && n.chars().all(|c| c.is_ascii_digit())
            && (n == "0" || !n.starts_with('0'))
    };
    let labels = |labels: &str| {
        labels
            .split('.')
            .all(|l| !l.is_empty() && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
    };
    core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(labels)
        && build.is_none_or(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_a_namespace_a_package_an_interface_and_perhaps_a_version() {
        for good in [
            "shop:auth/tokens",
            "shop:auth/tokens@1.0.0",
            "wasi:config/store@0.2.0-rc.1",
            "wasi:keyvalue/store@0.2.0-draft2",
            "a:b-c/HTTP-call@10.20.30-a.b+c.d",
        ] {
            assert_eq!(InterfaceName::parse(good).unwrap().to_string(), good);
        }
    }

    #[test]
    fn what_is_wrong_with_a_name_is_said() {
        use InterfaceError::*;
        let cases = [
            ("", Namespace),
            ("tokens", Namespace),
            (":a/b", Namespace),
            ("shop:auth", Interface),
            ("shop:auth/", Interface),
            ("shop:/tokens", Identifier(String::new())),
            ("Shop_1:auth/tokens", Identifier("Shop_1".into())),
            ("shop:auth/to-", Identifier("to-".into())),
            ("shop:auth/a/b", Identifier("a/b".into())),
            ("shop:auth/9lives", Identifier("9lives".into())),
            ("shop:auth/tokens@", Version(String::new())),
            ("shop:auth/tokens@1.0", Version("1.0".into())),
            ("shop:auth/tokens@01.0.0", Version("01.0.0".into())),
            ("shop:auth/tokens@1.0.0-", Version("1.0.0-".into())),
        ];
        for (text, error) in cases {
            assert_eq!(InterfaceName::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn two_names_meet_when_one_import_could_be_meant_by_both() {
        let name = |text: &str| InterfaceName::parse(text).unwrap();
        let meets = |one: &str, another: &str| name(one).meets(&name(another));
        assert!(meets("a:b/c", "a:b/c@1.0.0") && meets("a:b/c@1.0.0", "a:b/c"));
        assert!(meets("a:b/c@1.0.0", "a:b/c@1.0.0"));
        assert!(!meets("a:b/c@1.0.0", "a:b/c@2.0.0") && !meets("a:b/c", "a:b/d"));
    }
}
