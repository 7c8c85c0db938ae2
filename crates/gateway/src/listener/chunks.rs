//! Follows the chunked coding of a request body to its end, byte by byte, more strictly than hyper.
//!
//! Every body that passes here is one that hyper's decoder ends at the same byte; what hyper would take generously (a bare LF in
//! a trailer section) is an error here.
//!
//! > chunked-body = *chunk last-chunk trailer-section CRLF
//! > chunk = chunk-size [ chunk-ext ] CRLF chunk-data CRLF (RFC 9112, 7.1)

/// Trailer sections are small; this is hyper's own limit.
const MAX_TRAILER_BYTES: usize = 16 * 1024;
const MAX_SIZE_DIGITS: u8 = 16;

/// Where in the coding we are.
pub(super) struct Chunks {
    at: At,
    trailer_bytes: usize,
}

#[derive(Clone, Copy)]
enum At {
    Size { size: u64, digits: u8 },
    Extension { size: u64 },
    SizeLf { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
    End,
}

/// How far the given bytes go.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Followed {
    /// All are body; more follows.
    All,
    /// The body ends after this many.
    Ends(usize),
    /// Not the chunked coding.
    Malformed,
}

impl Chunks {
    pub(super) fn new() -> Self {
        Self {
            at: At::Size { size: 0, digits: 0 },
            trailer_bytes: 0,
        }
    }

    pub(super) fn follow(&mut self, bytes: &[u8]) -> Followed {
        let mut rest = bytes;
        while let [byte, after @ ..] = rest {
            if let At::Data { left } = self.at {
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                let left = left - taken as u64;
                self.at = if left == 0 {
                    At::DataCr
                } else {
                    At::Data { left }
                };
                rest = rest.get(taken..).unwrap_or_default();
                continue;
            }
            rest = after;
            match self.step(*byte) {
                Some(At::End) => return Followed::Ends(bytes.len() - rest.len()),
                Some(at) => self.at = at,
                None => return Followed::Malformed,
            }
        }
        Followed::All
    }

    fn step(&mut self, byte: u8) -> Option<At> {
        Some(match (self.at, byte) {
            (At::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F')
                if digits < MAX_SIZE_DIGITS =>
            {
                let digit = char::from(byte).to_digit(16)?;
                At::Size {
                    size: size << 4 | u64::from(digit),
                    digits: digits + 1,
                }
            }
            (At::Size { digits: 0, .. }, _) => return None,
            (At::Size { size, .. }, b' ' | b'\t' | b';') => At::Extension { size },
            (At::Size { size, .. } | At::Extension { size }, b'\r') => At::SizeLf { size },
            (At::Extension { size }, b'\t' | b' '..=b'~' | 0x80..) => At::Extension { size },
            (At::SizeLf { size: 0 }, b'\n') => At::TrailerStart,
            (At::SizeLf { size }, b'\n') => At::Data { left: size },
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Size { size: 0, digits: 0 },
            (At::TrailerStart, b'\r') => At::EndLf,
            (At::Trailer, b'\r') => At::TrailerLf,
            (At::TrailerLf, b'\n') => At::TrailerStart,
            // No line of a trailer section begins with white space: that would continue the line before (obs-fold).
            (At::TrailerStart, b'!'..=b'~') | (At::Trailer, b'\t' | b' '..=b'~' | 0x80..) => {
                self.trailer_bytes += 1;
                return (self.trailer_bytes < MAX_TRAILER_BYTES).then_some(At::Trailer);
            }
            (At::EndLf, b'\n') => At::End,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole at once and byte by byte must agree.
    fn follow(text: &str) -> Followed {
        let whole = Chunks::new().follow(text.as_bytes());
        let mut chunks = Chunks::new();
        let mut seen = 0;
        let single = text
            .as_bytes()
            .iter()
            .find_map(|byte| {
                seen += 1;
                match chunks.follow(&[*byte]) {
                    Followed::All => None,
                    Followed::Ends(_) => Some(Followed::Ends(seen)),
                    Followed::Malformed => Some(Followed::Malformed),
                }
            })
            .unwrap_or(Followed::All);
        assert_eq!(whole, single, "{text:?}");
        whole
    }

    #[test]
    fn ends_where_the_coding_ends() {
        for (body, next) in [
            ("0\r\n\r\n", "GET"),
            ("5\r\nhello\r\n0\r\n\r\n", "GET"),
            ("A;name=\"value\"\r\n0123456789\r\n000\r\n\r\n", ""),
            ("5 ;x\r\nhello\r\n0\r\nchecksum: a\r\nother:\r\n\r\n", "x"),
        ] {
            assert_eq!(
                follow(&format!("{body}{next}")),
                Followed::Ends(body.len()),
                "{body:?}"
            );
        }
        assert_eq!(follow("5\r\nhel"), Followed::All);
    }

    #[test]
    fn refuses_every_other_spelling() {
        for body in [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "0x5\r\nhello\r\n",
            "5\nhello\r\n",
            "5\rhello",
            "5\r\nhelloX",
            "5\r\nhello\n0",
            "11111111111111111\r\n",
            "5;a\nb\r\n",
            "5;a\0b\r\n",
            "0\r\n\n",
            "0\r\na: b\n\r\n",
            "0\r\n folded\r\n\r\n",
            "0\r\na: b\rc\r\n",
        ] {
            assert_eq!(follow(body), Followed::Malformed, "{body:?}");
        }
        assert_eq!(
            follow(&format!("0\r\n{}", "a".repeat(MAX_TRAILER_BYTES + 1))),
            Followed::Malformed
        );
    }
}
