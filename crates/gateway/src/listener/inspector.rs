//! Reads every HTTP/1.1 head byte by byte before hyper does, and refuses what two readers could read differently.
//!
//! In: the bytes of a connection in order. Out: how many of them hyper may see, or why no more follow. hyper accepts a bare LF,
//! both framing fields at once, repeated ones and a fragment, and none of that can be seen afterwards; so a head is withheld
//! until it is complete and accepted. The inspector's rules for where a message ends are a strict subset of hyper's: it accepts
//! no head whose framing hyper reads in another way, so both always agree on where the next head begins.

use http::StatusCode;

use super::chunks::{Chunks, Followed};
use crate::{config::Config, problem::Problem};

/// hyper's own limit when heads are parsed on the stack.
const MAX_FIELDS: u16 = 100;

/// Why a head is refused. The connection closes after the answer: what follows cannot be trusted to be a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    BareLineFeed,
    RequestLine,
    Version,
    TargetTooLong,
    HeadTooLarge,
    FieldLine,
    Folded,
    LengthAndCoding,
    Length,
    Coding,
    Hosts,
}

impl Refusal {
    pub(crate) fn problem(self) -> Problem {
        let (status, reason) = match self {
            Self::HeadTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "head-too-large",
            ),
            Self::TargetTooLong => (StatusCode::URI_TOO_LONG, "target-too-long"),
            Self::Version => (
                StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                "version-not-supported",
            ),
            _ => (StatusCode::BAD_REQUEST, "bad-framing"),
        };
        Problem::new(
            status,
            reason,
            match self {
                Self::BareLineFeed => "A line of the head ends without CR.",
                Self::RequestLine => "The request line is malformed.",
                Self::Version => "The version is neither HTTP/1.1 nor HTTP/1.0.",
                Self::TargetTooLong => "The request target is too long.",
                Self::HeadTooLarge => "The head has too many fields or bytes.",
                Self::FieldLine => "A field line is malformed.",
                Self::Folded => "A field value is folded over several lines.",
                Self::LengthAndCoding => "Content-Length and Transfer-Encoding exclude each other.",
                Self::Length => "Content-Length is not one decimal number.",
                Self::Coding => "Transfer-Encoding is not a single chunked.",
                Self::Hosts => "There is more than one Host field.",
            },
        )
    }
}

/// Follows one connection.
pub(super) struct Inspector {
    max_head_bytes: usize,
    max_target_bytes: usize,
    at: At,
    heads: u64,
}

enum At {
    Head(Head),
    Length(u64),
    Chunked(Chunks),
}

/// What hyper may see of the bytes that were inspected.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inspected {
    /// So many bytes may pass. What follows them is an incomplete head, unless `end` says otherwise.
    pub(super) cleared: usize,
    pub(super) end: Option<End>,
}

/// Why nothing passes after the cleared bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The head with this index is refused.
    Head(u64, Refusal),
    /// The current body is not in the chunked coding.
    Body,
}

impl Inspector {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            max_head_bytes: config.max_head_bytes,
            max_target_bytes: config.max_target_bytes,
            at: At::Head(Head::default()),
            heads: 0,
        }
    }

    /// Whether the next byte belongs to a body.
    pub(super) fn in_body(&self) -> bool {
        !matches!(self.at, At::Head(_))
    }

    /// Inspects bytes that begin with what was not cleared the last time.
    pub(super) fn inspect(&mut self, bytes: &[u8]) -> Inspected {
        let mut cleared = 0;
        let end = loop {
            let rest = bytes.get(cleared..).unwrap_or_default();
            if rest.is_empty() {
                break None;
            }
            match &mut self.at {
                At::Head(head) => match head.read(rest, self.max_head_bytes, self.max_target_bytes)
                {
                    Ok(None) => break None,
                    Ok(Some((length, next))) => {
                        self.heads += 1;
                        cleared += length;
                        self.at = next;
                    }
                    Err(refusal) => break Some(End::Head(self.heads, refusal)),
                },
                At::Length(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    cleared += taken;
                    *left -= taken as u64;
                    if *left == 0 {
                        self.at = At::Head(Head::default());
                    }
                }
                At::Chunked(chunks) => match chunks.follow(rest) {
                    Followed::All => cleared = bytes.len(),
                    Followed::Ends(length) => {
                        cleared += length;
                        self.at = At::Head(Head::default());
                    }
                    Followed::Malformed => break Some(End::Body),
                },
            }
        };
        Inspected { cleared, end }
    }
}

/// A head as far as it was read. Positions count from its first byte.
#[derive(Default)]
struct Head {
    line: usize,
    searched: usize,
    version: Option<Version>,
    fields: u16,
    hosts: u16,
    length: Option<u64>,
    chunked: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

impl Head {
    /// The length of the head and what follows it, once it is complete.
    fn read(
        &mut self,
        bytes: &[u8],
        max_bytes: usize,
        max_target: usize,
    ) -> Result<Option<(usize, At)>, Refusal> {
        while let Some(found) = bytes.get(self.searched..).and_then(find_line_feed) {
            let end = self.searched + found;
            // "A recipient MAY recognize a single LF as a line terminator" (RFC 9112, 2.2), and the next one may not.
            let Some([line @ .., b'\r']) = bytes.get(self.line..end) else {
                return Err(Refusal::BareLineFeed);
            };
            self.searched = end + 1;
            self.line = end + 1;
            if end >= max_bytes {
                return Err(Refusal::HeadTooLarge);
            }
            match self.version {
                // "A server that is expecting to receive and parse a request-line SHOULD ignore at least one empty line (CRLF)
                // received prior to the request-line" (2.2).
                None if line.is_empty() => {}
                None => self.version = Some(request_line(line, max_target)?),
                Some(version) if line.is_empty() => {
                    return self.framing(version).map(|next| Some((end + 1, next)));
                }
                Some(_) => self.field_line(line)?,
            }
        }
        self.searched = bytes.len();
        let unread = bytes.len() - self.line;
        if self.version.is_none() && unread > max_target + 64 {
            return Err(Refusal::TargetTooLong);
        }
        if bytes.len() > max_bytes {
            return Err(Refusal::HeadTooLarge);
        }
        Ok(None)
    }

    fn field_line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            return Err(Refusal::HeadTooLarge);
        }
        // "A server that receives an obs-fold in a request message [...] MUST either reject the message [...] or replace each
        // received obs-fold" (5.2).
        if let [b' ' | b'\t', ..] = line {
            return Err(Refusal::Folded);
        }
        // "No whitespace is allowed between the field name and colon" (5.1): a space is no token character.
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .ok_or(Refusal::FieldLine)?;
        let (name, value) = line.split_at_checked(colon).ok_or(Refusal::FieldLine)?;
        if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) || has_control(value) {
            return Err(Refusal::FieldLine);
        }
        let value = value.strip_prefix(b":").unwrap_or_default().trim_ascii();
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                self.hosts += 1;
                if self.hosts > 1 {
                    return Err(Refusal::Hosts);
                }
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.length.is_some() {
                    return Err(Refusal::Length);
                }
                self.length = Some(decimal(value).ok_or(Refusal::Length)?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Refusal::Coding);
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// "A server MAY reject a request that contains both Content-Length and Transfer-Encoding" and "a server or client that
    /// receives an HTTP/1.0 message containing a Transfer-Encoding header field MUST treat the message as if the framing is
    /// faulty" (6.1).
    fn framing(&self, version: Version) -> Result<At, Refusal> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Refusal::LengthAndCoding),
            (true, None) if version == Version::Http10 => Err(Refusal::Coding),
            (true, None) => Ok(At::Chunked(Chunks::new())),
            (false, Some(length)) if length > 0 => Ok(At::Length(length)),
            (false, _) => Ok(At::Head(Self::default())),
        }
    }
}

/// > request-line = method SP request-target SP HTTP-version (RFC 9112, 3)
fn request_line(line: &[u8], max_target: usize) -> Result<Version, Refusal> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::RequestLine);
    };
    if target.len() > max_target {
        return Err(Refusal::TargetTooLong);
    }
    // A fragment is no part of any form of request-target (3.2); hyper would drop it silently.
    let clean = target.iter().fold(true, |clean, byte| {
        clean & matches!(byte, b'!'..=b'~') & (*byte != b'#')
    });
    if method.is_empty()
        || !method.iter().all(|byte| is_token(*byte))
        || target.is_empty()
        || !clean
    {
        return Err(Refusal::RequestLine);
    }
    match version {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Err(Refusal::Version),
        _ => Err(Refusal::RequestLine),
    }
}

/// Digits only; a length that hyper cannot represent is refused as well.
fn decimal(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let value = digits
        .then(|| std::str::from_utf8(text).ok())??
        .parse()
        .ok()?;
    (value <= i64::MAX as u64).then_some(value)
}

/// > tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" / "_" / "`" / "|" / "~" / DIGIT / ALPHA
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Control characters other than a tab; a CR here is a bare one. Folded, so that it is one pass without branches.
fn has_control(value: &[u8]) -> bool {
    value.iter().fold(false, |found, byte| {
        found | (*byte < b' ' && *byte != b'\t') | (*byte == 0x7f)
    })
}

/// The first LF, eight bytes at a time.
fn find_line_feed(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    const FEEDS: u64 = u64::from_le_bytes([b'\n'; 8]);
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word) ^ FEEDS;
        let zero = word.wrapping_sub(ONES) & !word & HIGHS;
        if zero != 0 {
            return Some(index * 8 + zero.trailing_zeros() as usize / 8);
        }
    }
    tail.iter()
        .position(|byte| *byte == b'\n')
        .map(|found| words.len() * 8 + found)
}

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod tests;
