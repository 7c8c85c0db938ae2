//! `Authorization` → key. In: every value of the header. Out: the key, or the refusal.

use crate::Refusal;

/// The key in `Authorization: Bearer KEY`.
///
/// RFC 9110, 11.1: "a case-insensitive token to identify the authentication scheme". A header that stands twice is refused:
/// taking the first and taking the last are both wrong for somebody.
pub(crate) fn key<V: AsRef<[u8]>>(authorization: &[V]) -> Result<&str, Refusal> {
    let value = match authorization {
        [] => return Err(Refusal::MissingHeader),
        [value] => str::from_utf8(value.as_ref()).map_err(|_| Refusal::WrongScheme)?,
        _ => return Err(Refusal::WrongScheme),
    };
    let (scheme, key) = value.split_once(' ').ok_or(Refusal::WrongScheme)?;
    let key = key.trim_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") && is_token68(key) {
        Ok(key)
    } else {
        Err(Refusal::WrongScheme)
    }
}

/// RFC 9110, 11.2: `token68 = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
fn is_token68(key: &str) -> bool {
    let stem = key.trim_end_matches('=');
    !stem.is_empty()
        && stem
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_key_whatever_the_case_of_the_scheme() {
        assert_eq!(key(&["Bearer key_123"]), Ok("key_123"));
        assert_eq!(key(&["bearer  key_123 "]), Ok("key_123"));
        assert_eq!(key(&["BEARER a-._~+/=="]), Ok("a-._~+/=="));
    }

    #[test]
    fn tells_a_missing_header_from_a_wrong_scheme() {
        assert_eq!(key::<&str>(&[]), Err(Refusal::MissingHeader));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Basic key_123",
            "Bearerkey_123",
            "Bearer a b",
            "Bearer =",
            "Bearer \u{e9}",
        ] {
            assert_eq!(key(&[wrong]), Err(Refusal::WrongScheme), "{wrong:?}");
        }
        assert_eq!(key(&[b"Bearer \xff"]), Err(Refusal::WrongScheme));
    }

    #[test]
    fn refuses_a_header_that_stands_twice() {
        assert_eq!(
            key(&["Bearer key_123", "Bearer key_456"]),
            Err(Refusal::WrongScheme)
        );
    }
}
