//! Paths of Vault as URLs carry them. In: text of the operator or of a guest. Out: a path that is below where it is meant to be, or
//! none: what a server could read as another path is refused, everything else is escaped.

/// Longest path; Vault keeps its paths as keys of its storage.
const MAX_BYTES: usize = 512;

/// A path below a mount, escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path(String);

impl Path {
    /// `None` for a path with an empty segment, a dot segment or a control character, and for one that is too long.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_plain = |segment: &str| !matches!(segment, "" | "." | "..");
        if text.len() > MAX_BYTES
            || text.contains(char::is_control)
            || !text.split('/').all(is_plain)
        {
            return None;
        }
        let segments: Vec<String> = text.split('/').map(escaped).collect();
        Some(Self(segments.join("/")))
    }

    /// The path `text` below this one.
    pub(crate) fn join(&self, text: &str) -> Option<Self> {
        let below = Self::parse(text)?;
        Some(Self(format!("{}/{}", self.0, below.0)))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// RFC 3986, 2.3: everything but the unreserved characters.
fn escaped(segment: &str) -> String {
    let mut escaped = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(byte.into())
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leaves_the_path_it_is_joined_to() {
        let shop = Path::parse("apps/shop").unwrap();
        for bad in [
            "",
            ".",
            "..",
            "../blog/k",
            "a/../../blog",
            "a//b",
            "/a",
            "a/",
            "a\0",
            "a\n",
            &"a".repeat(600),
        ] {
            assert_eq!(shop.join(bad), None, "{bad:?}");
        }
        for (text, path) in [
            ("k", "apps/shop/k"),
            ("a/b", "apps/shop/a/b"),
            ("...", "apps/shop/..."),
            ("%2e%2e/k", "apps/shop/%252e%252e/k"),
            ("k?version=1#x", "apps/shop/k%3Fversion%3D1%23x"),
            ("..\\k \u{e4}", "apps/shop/..%5Ck%20%C3%A4"),
        ] {
            assert_eq!(shop.join(text).unwrap().as_str(), path);
        }
    }
}
