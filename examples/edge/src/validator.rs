//! Cache validation (RFC 9110, 8.8 and 13.1.2). In: content, and what the client says it has. Out: an entity tag, and whether the two are one.

/// FNV-1a, then a mixing step. The same on every node and in every version: tags and variants outlive a deploy. Not a secret.
pub(crate) fn stable_hash(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

/// A strong entity tag: equal for equal bytes only.
pub(crate) fn entity_tag(content: &[u8]) -> String {
    format!("\"{:016x}\"", stable_hash(content))
}

/// Whether `If-None-Match` names `tag`. "A recipient MUST use the weak comparison function": `W/` is ignored.
pub(crate) fn names(if_none_match: &str, tag: &str) -> bool {
    if_none_match.trim() == "*"
        || if_none_match
            .split(',')
            .any(|candidate| candidate.trim().trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_content_the_same_way_for_ever() {
        assert_eq!(entity_tag(b"content"), entity_tag(b"content"));
        assert_ne!(entity_tag(b"content"), entity_tag(b"contenu"));
        assert_eq!(entity_tag(b""), "\"ecba3df2c3383c52\"");
    }

    #[test]
    fn finds_a_tag_in_every_form_the_header_may_take() {
        for header in ["\"1\"", "W/\"1\"", "\"0\", \"1\"", "\"0\" ,W/\"1\"", "*"] {
            assert!(names(header, "\"1\""), "{header}");
        }
        for header in ["", "\"2\"", "1", "W/\"2\", \"11\""] {
            assert!(!names(header, "\"1\""), "{header}");
        }
    }
}
