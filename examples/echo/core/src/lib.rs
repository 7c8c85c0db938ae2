//! What the echo does with a body as it passes. In: a path, then chunks. Out: the chunks, perhaps in upper case.
//! Pure: streams are the affair of `../p2` and `../p3`.

/// As much of a body as is ever held at once.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// The request headers that describe the body and so go back with it. `trailer` announces trailers, without which an HTTP/1.1
/// server does not send them (RFC 9110, 6.6.2). Nothing else is set: the echo adds no meaning of its own.
pub const KEPT_HEADERS: [&str; 2] = ["content-type", "trailer"];

/// What happens to the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    AsTheyAre,
    /// ASCII letters only: they are single bytes, so it does not matter where a chunk ends.
    UpperCase,
}

impl Mode {
    /// The mode for a path, with or without its query.
    pub fn for_path(path: &str) -> Self {
        match path.split('?').next() {
            Some("/upper") => Self::UpperCase,
            _ => Self::AsTheyAre,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_bodies_only_under_upper() {
        assert_eq!(Mode::for_path("/upper"), Mode::UpperCase);
        assert_eq!(Mode::for_path("/upper?x=1"), Mode::UpperCase);
        for path in ["/", "/echo", "/uppercase", "/upper/", ""] {
            assert_eq!(Mode::for_path(path), Mode::AsTheyAre, "{path}");
        }
    }
}
