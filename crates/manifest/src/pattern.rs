//! Hosts and paths as an outbound grant names them. In: text. Out: a pattern that knows what it covers.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
};

use crate::{
    app::{HostPattern, PathPattern},
    problem::quote,
};

/// Why a text is not a pattern: one sentence, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PatternError {
    message: &'static str,
    fix: String,
}

impl PatternError {
    fn new(message: &'static str, fix: impl Into<String>) -> Self {
        Self {
            message,
            fix: fix.into(),
        }
    }

    /// What to write instead.
    pub fn fix(&self) -> &str {
        &self.fix
    }
}

impl HostPattern {
    /// A name, `*.name` or a literal address; case and a final dot do not matter.
    ///
    /// An address in another base or with fewer parts (`0x7f.1`, `2130706433`) is refused: resolvers disagree on what it means.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if let Some((scheme, rest)) = text.split_once("://") {
            let host = rest.split(['/', ':']).next().unwrap_or_default();
            return Err(PatternError::new(
                "a host has no scheme",
                format!("write `host = \"{host}\", scheme = \"{scheme}\"`"),
            ));
        }
        let unbracketed = text
            .strip_prefix('[')
            .and_then(|t| t.strip_suffix(']'))
            .unwrap_or(text);
        if let Ok(address) = unbracketed.parse::<IpAddr>() {
            return Ok(Self::Address(address));
        }
        if text.contains('/') {
            return Err(PatternError::new(
                "a host has no path",
                "name the path on its own: `path = \"/v1/*\"`",
            ));
        }
        if let Some((host, port)) = text.rsplit_once(':') {
            return Err(PatternError::new(
                "a host has no port",
                format!("write `host = \"{host}\", port = {port}`"),
            ));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        match name.strip_prefix("*.") {
            Some(parent) => host_name(parent).map(|()| Self::Below(parent.to_owned())),
            None => host_name(&name).map(|()| Self::Name(name)),
        }
    }

    /// Whether everything that `other` names is named by `self` too. A plain name covers itself.
    pub fn covers(&self, other: &HostPattern) -> bool {
        let below = |name: &str, parent: &str| {
            name.strip_suffix(parent)
                .is_some_and(|rest| rest.ends_with('.'))
        };
        match (self, other) {
            (Self::Below(parent), Self::Name(name)) => below(name, parent),
            (Self::Below(parent), Self::Below(other)) => other == parent || below(other, parent),
            (mine, other) => mine == other,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Below(parent) => write!(f, "*.{parent}"),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

/// Checks a DNS name: lower case, without a final dot.
pub(crate) fn host_name(name: &str) -> Result<(), PatternError> {
    let example = "write a name, `*.example.com` for every name below it, or an address";
    if name.is_empty() {
        return Err(PatternError::new("the host is empty", example));
    }
    if name.contains('*') {
        return Err(PatternError::new(
            "`*` stands only for whole labels at the front of a name",
            example,
        ));
    }
    if !name.is_ascii() {
        return Err(PatternError::new(
            "a host name is ASCII",
            "write an international name in its `xn--` form",
        ));
    }
    let label = |l: &str| {
        let inside = l
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        inside && !l.is_empty() && l.len() <= 63 && !l.starts_with('-') && !l.ends_with('-')
    };
    if name.len() > 253 || !name.split('.').all(label) {
        return Err(PatternError::new(
            "a label holds letters, digits and inner hyphens",
            example,
        ));
    }
    // WHATWG URL, "ends in a number checker": such a host is an address or nothing.
    let last = name.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last
        .strip_prefix("0x")
        .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    let number = hexadecimal || last.bytes().all(|b| b.is_ascii_digit());
    if number && name.parse::<Ipv4Addr>().is_err() {
        return Err(PatternError::new(
            "this is not an address",
            "write an address as four decimal numbers: 192.0.2.1",
        ));
    }
    Ok(())
}

impl PathPattern {
    /// `/exact`, or `/prefix/*`.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (path, prefix) = match text.strip_suffix("/*") {
            Some(parent) => (format!("{parent}/"), true),
            None => (text.to_owned(), false),
        };
        if path.contains('*') {
            let fix = "`/prefix/*` covers everything below a folder";
            return Err(PatternError::new(
                "`*` stands only as the last segment",
                fix,
            ));
        }
        url_path(&path)?;
        Ok(if prefix {
            Self::Prefix(path)
        } else {
            Self::Exact(path)
        })
    }

    /// Whether `path` (no query; dot segments resolved by the caller) is covered.
    pub fn covers(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => path.starts_with(prefix.as_str()),
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(path),
            Self::Prefix(path) => write!(f, "{path}*"),
        }
    }
}

/// Checks an absolute URL path in which no two spellings mean one place.
pub(crate) fn url_path(path: &str) -> Result<(), PatternError> {
    if !path.starts_with('/') {
        return Err(PatternError::new(
            "a path begins with `/`",
            format!("write {}", quote(&format!("/{path}"))),
        ));
    }
    if path.contains(['?', '#']) {
        return Err(PatternError::new(
            "a path has no query and no fragment",
            "leave out what follows the `?` or `#`",
        ));
    }
    // RFC 3986 3.3: pchar and "/". Braces are a route's own and are checked there.
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%".contains(&b);
    if !path.bytes().all(allowed) {
        let fix = "percent-encode it: a space is `%20`";
        return Err(PatternError::new(
            "this character does not stand in a URL's path",
            fix,
        ));
    }
    let encoded =
        |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|b| b.is_ascii_hexdigit());
    if !path.split('%').skip(1).all(encoded) {
        return Err(PatternError::new(
            "`%` is followed by two hexadecimal digits",
            "`%25` is the percent sign itself",
        ));
    }
    let folded = path.to_ascii_lowercase().replace("%2e", ".");
    if folded
        .split('/')
        .any(|segment| segment == "." || segment == "..")
    {
        return Err(PatternError::new(
            "a path has no `.` or `..` segments",
            "write the path that is meant",
        ));
    }
    if path.contains("//") {
        return Err(PatternError::new(
            "a path has no empty segments",
            "leave out one of the slashes",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> HostPattern {
        HostPattern::parse(text).unwrap()
    }

    #[test]
    fn a_host_is_lower_case_without_its_final_dot() {
        assert_eq!(
            host("Tax.Example.COM."),
            HostPattern::Name("tax.example.com".into())
        );
        assert_eq!(host("*.Example.com").to_string(), "*.example.com");
        assert_eq!(host("[::1]"), host("::1"));
        assert_eq!(
            host("127.0.0.1"),
            HostPattern::Address("127.0.0.1".parse().unwrap())
        );
    }

    #[test]
    fn refuses_what_is_no_host() {
        let other_spellings = [
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
            "0x7f000001",
            "1.2.3.4.5",
            "*.0.0.1",
        ];
        let malformed = [
            "",
            ".",
            "*",
            "a..b",
            "-a",
            "a b",
            "*.",
            "a.*.b",
            "**.a",
            "ü.de",
            "https://a/b",
            "a:80",
            "a/b",
            "[a]",
        ];
        for bad in other_spellings.iter().chain(&malformed) {
            assert!(HostPattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wildcard_covers_names_below_but_not_the_name_itself() {
        assert!(host("*.example.com").covers(&host("a.b.example.com")));
        assert!(host("*.example.com").covers(&host("*.a.example.com")));
        assert!(!host("*.example.com").covers(&host("example.com")));
        assert!(!host("*.example.com").covers(&host("evilexample.com")));
        assert!(!host("a.example.com").covers(&host("*.example.com")));
    }

    #[test]
    fn a_path_is_exact_or_everything_below_a_folder() {
        let covers = |pattern: &str, path| PathPattern::parse(pattern).unwrap().covers(path);
        assert!(covers("/*", "/"));
        assert!(covers("/rates/*", "/rates/eu"));
        assert!(!covers("/rates/*", "/rates"));
        assert!(!covers("/rates/*", "/ratesX"));
        assert!(!covers("/rates", "/rates/eu"));
        for bad in [
            "",
            "rates",
            "/a*",
            "/*/b",
            "/a?b",
            "/a b",
            "/a/../b",
            "/a/%2E%2e/b",
            "/%zz",
            "/%a",
            "//a",
            "/{x}",
            "/é",
        ] {
            assert!(PathPattern::parse(bad).is_err(), "{bad}");
        }
    }
}
