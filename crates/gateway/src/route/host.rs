//! Host names as they are written in `Host`, in targets and in tables.
//!
//! Out: whether an authority is one, and the name to match: lower case, without port and without the final dot.

/// Whether a `Host` value or `:authority` is `uri-host [ ":" port ]`.
///
/// Stricter than RFC 3986, which would also allow sub-delimiters and percent escapes in a registered name: no name that
/// resolves has them, and they are what confuses readers of logs and of `Location`. User information is never allowed:
/// "A sender MUST NOT generate the userinfo subcomponent" and recipients treat it as an error (RFC 9110, 4.2.4).
pub(crate) fn is_authority(text: &str) -> bool {
    let Some((name, port)) = split(text) else {
        return false;
    };
    is_host(name)
        && port.is_none_or(|port| {
            port.is_empty() || port.parse::<u16>().is_ok() && !port.starts_with('+')
        })
}

/// Calls `with` with the canonical name of an authority, without allocating. None if it cannot be a name of a table.
pub(crate) fn canonical_host<T>(
    authority: &str,
    with: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let (name, _) = split(authority)?;
    let name = name.strip_suffix('.').unwrap_or(name);
    // Host names have at most 253 characters (RFC 1035, 2.3.4).
    let mut buffer = [0; 255];
    let lower = buffer.get_mut(..name.len())?;
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    with(std::str::from_utf8(lower).ok()?)
}

/// The canonical form of a host as a table writes it: no port.
pub(super) fn parse(text: &str) -> Option<Box<str>> {
    match split(text)? {
        (name, None) if is_host(name) => canonical_host(name, |name| Some(name.into())),
        _ => None,
    }
}

fn split(authority: &str) -> Option<(&str, Option<&str>)> {
    if authority.starts_with('[') {
        let (address, rest) = authority.split_at_checked(authority.find(']')? + 1)?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((address, Some(port))),
            None => rest.is_empty().then_some((address, None)),
        };
    }
    Some(match authority.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (authority, None),
    })
}

fn is_host(name: &str) -> bool {
    if let Some(address) = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
    {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    (1..=253).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_an_authority() {
        for yes in [
            "example.com",
            "EXAMPLE.com:8080",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:80",
            "a_b.example.",
            "localhost:",
        ] {
            assert!(is_authority(yes), "{yes}");
        }
        for no in [
            "",
            ":80",
            "a b",
            "user@host",
            "a/b",
            "a,b",
            "host:port",
            "host:+80",
            "host:65536",
            "[::1",
            "[::1]x",
            "[zz]",
            "a:1:2",
            "a?b",
            "ü",
        ] {
            assert!(!is_authority(no), "{no}");
        }
    }

    #[test]
    fn canonical_names_have_no_case_port_or_final_dot() {
        for same in [
            "Example.COM",
            "example.com.",
            "example.com:8080",
            "EXAMPLE.com.:1",
        ] {
            assert_eq!(
                canonical_host(same, |name| Some(name.to_owned())).as_deref(),
                Some("example.com")
            );
        }
        assert_eq!(canonical_host(&"a".repeat(300), |_| Some(())), None);
    }
}
