//! A whole HTTP answer as a value, so that what a service decides can be tested without WebAssembly.
//! In: status, headers, body. Out: the same, sent through WASI HTTP 0.2 by [`p2`]. Streaming is absent: see `echo`.

#[cfg(target_family = "wasm")]
pub mod p2;

/// What a service answers, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// An answer whose body is JSON text.
    pub fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
        .with("content-type", "application/json")
    }

    /// The same answer with one more header.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The first header of that name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| *header == name)
            .map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_headers_in_the_order_they_were_added() {
        let answer = Answer::json(200, "{}").with("etag", "\"1\"");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.headers.last(), Some(&("etag", "\"1\"".to_owned())));
    }
}
