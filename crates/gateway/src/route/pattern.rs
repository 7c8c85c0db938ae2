//! Path patterns as manifests write them: text to segments.
//!
//! Absent: partial wildcards (`/v{n}`, `/*.png`), which would make "most specific" a matter of opinion.

use super::path;

/// One segment of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Exact(Box<str>),
    One,
}

/// A parsed path pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) segments: Vec<Segment>,
    pub(super) rest: bool,
}

/// What is wrong with a path pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It does not begin with a slash.
    #[error("a path begins with `/`")]
    Relative,
    /// `*` stands elsewhere than alone at the end.
    #[error("`*` stands only at the end, as `/*`")]
    Star,
    /// Braces that are not a whole segment `{name}`.
    #[error("`{{name}}` stands for a whole segment, and the name is letters, digits, `_` or `-`")]
    Braces,
    /// A name used twice.
    #[error("`{{{name}}}` stands twice in one path")]
    Repeated {
        /// The name.
        name: String,
    },
    /// A segment that no request path can have.
    #[error("the segment `{segment}` cannot occur in a request path")]
    Impossible {
        /// The segment.
        segment: String,
    },
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        let path = text.strip_prefix('/').ok_or(PatternError::Relative)?;
        let mut pattern = Self {
            segments: Vec::new(),
            rest: false,
        };
        let mut names = Vec::new();
        let mut pieces = path.split('/').peekable();
        while let Some(piece) = pieces.next() {
            if piece == "*" && pieces.peek().is_none() {
                pattern.rest = true;
            } else if piece.contains('*') {
                return Err(PatternError::Star);
            } else if let Some(name) = placeholder(piece)? {
                if names.contains(&name) {
                    return Err(PatternError::Repeated {
                        name: name.to_owned(),
                    });
                }
                names.push(name);
                pattern.segments.push(Segment::One);
            } else {
                pattern
                    .segments
                    .push(Segment::Exact(literal(piece)?.into()));
            }
        }
        Ok(pattern)
    }
}

fn placeholder(piece: &str) -> Result<Option<&str>, PatternError> {
    if !piece.contains(['{', '}']) {
        return Ok(None);
    }
    piece
        .strip_prefix('{')
        .and_then(|piece| piece.strip_suffix('}'))
        .filter(|name| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
        })
        .map(Some)
        .ok_or(PatternError::Braces)
}

fn literal(piece: &str) -> Result<&str, PatternError> {
    let impossible = piece
        .bytes()
        .any(|byte| byte <= b' ' || matches!(byte, b'?' | b'#'))
        || path::check(&format!("/{piece}")).is_err();
    if impossible {
        return Err(PatternError::Impossible {
            segment: piece.to_owned(),
        });
    }
    Ok(piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_segments_and_rest() {
        let pattern = Pattern::parse("/orders/{id}/*").unwrap();
        assert_eq!(
            pattern.segments,
            [Segment::Exact("orders".into()), Segment::One]
        );
        assert!(pattern.rest);
        assert_eq!(
            Pattern::parse("/").unwrap().segments,
            [Segment::Exact("".into())]
        );
    }

    #[test]
    fn refuses_what_is_not_a_pattern() {
        for (text, wrong) in [
            ("orders", PatternError::Relative),
            ("", PatternError::Relative),
            ("/*/x", PatternError::Star),
            ("/a*", PatternError::Star),
            ("/v{n}", PatternError::Braces),
            ("/{}", PatternError::Braces),
            ("/{a b}", PatternError::Braces),
            ("/{a}/{a}", PatternError::Repeated { name: "a".into() }),
            (
                "/a/../b",
                PatternError::Impossible {
                    segment: "..".into(),
                },
            ),
            (
                "/a?b",
                PatternError::Impossible {
                    segment: "a?b".into(),
                },
            ),
        ] {
            assert_eq!(Pattern::parse(text), Err(wrong), "{text}");
        }
    }
}
