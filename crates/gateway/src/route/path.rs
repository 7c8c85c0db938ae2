//! Which request paths are matched at all.
//!
//! The raw path is matched and passed on unchanged, so that gateway and destination read the same bytes. What a later reader
//! might resolve or decode to *another* path is refused instead of being normalised:
//!
//! - a segment that is `.` or `..`, also as `%2e`, also between `%2f`, `%5c` or `\` (a decoder sees separators there);
//! - `\`, `%00`, a `%` without two hexadecimal digits, a control character, a byte outside ASCII.
//!
//! Allowed, and data: `%2f` inside a segment (it separates nothing), empty segments (`//` is not `/`; `{x}` never matches one).

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathFault {
    DotSegment,
    Escape,
    Character,
}

impl PathFault {
    pub(crate) fn detail(self) -> &'static str {
        match self {
            Self::DotSegment => "The path contains a `.` or `..` segment.",
            Self::Escape => "The path contains an invalid percent escape or an encoded NUL.",
            Self::Character => "The path contains a character that a URL cannot contain.",
        }
    }
}

/// Accepts a path or names its fault. Paths of plain characters take one pass without branches on content.
pub(crate) fn check(path: &str) -> Result<(), PathFault> {
    let plain = path.bytes().fold(true, |plain, byte| {
        plain & !matches!(byte, b'.' | b'%' | b'\\' | 0..=b' ' | 0x7f..)
    });
    if plain {
        Ok(())
    } else {
        check_each(path.as_bytes())
    }
}

fn check_each(path: &[u8]) -> Result<(), PathFault> {
    let mut rest = path;
    let mut segment = Segment::Empty;
    loop {
        let (byte, after) = match rest {
            [] => break,
            [b'%', high, low, after @ ..] => (escaped(*high, *low)?, after),
            [b'%', ..] => return Err(PathFault::Escape),
            [b'\\' | 0..=b' ' | 0x7f.., ..] => return Err(PathFault::Character),
            [byte, after @ ..] => (*byte, after),
        };
        rest = after;
        segment = match (byte, segment) {
            (b'/' | b'\\', Segment::Dots) => return Err(PathFault::DotSegment),
            (b'/' | b'\\', _) => Segment::Empty,
            (b'.', Segment::Empty) => Segment::Dots,
            (b'.', Segment::Dots) => Segment::Dots,
            _ => Segment::Other,
        };
    }
    match segment {
        Segment::Dots => Err(PathFault::DotSegment),
        _ => Ok(()),
    }
}

/// What has been seen of the current segment. Three dots and more are refused with one and two: no real path has them, and
/// some file systems resolve them.
#[derive(Clone, Copy)]
enum Segment {
    Empty,
    Dots,
    Other,
}

fn escaped(high: u8, low: u8) -> Result<u8, PathFault> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    match (digit(high), digit(low)) {
        (Some(0), Some(0)) => Err(PathFault::Escape),
        (Some(high), Some(low)) => Ok(high << 4 | low),
        _ => Err(PathFault::Escape),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_paths_that_mean_one_thing() {
        for path in [
            "/",
            "/orders/42",
            "//",
            "/a//b",
            "/a.b/.well-known/x..y",
            "/a%2fb",
            "/%20",
            "/a/b...c",
            "/%41",
        ] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn refuses_paths_that_two_readers_could_read_differently() {
        use PathFault::*;
        for (path, fault) in [
            ("/a/../b", DotSegment),
            ("/a/./b", DotSegment),
            ("/..", DotSegment),
            ("/.", DotSegment),
            ("/a/%2e%2e/b", DotSegment),
            ("/a/.%2E/b", DotSegment),
            ("/a%2f..%2fb", DotSegment),
            ("/a%5c..", DotSegment),
            ("/...", DotSegment),
            ("/%00", Escape),
            ("/%zz", Escape),
            ("/%2", Escape),
            ("/%", Escape),
            ("/a\\b", Character),
            ("/a b", Character),
            ("/ü", Character),
        ] {
            assert_eq!(check(path), Err(fault), "{path}");
        }
    }
}
