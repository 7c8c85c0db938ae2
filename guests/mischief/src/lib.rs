//! What the guests share. In: a path with its query. Out: a reply, or the damage that was asked for.

mod ask;
pub mod compute;
#[cfg(feature = "p2")]
pub mod fetch;
pub mod json;
#[cfg(feature = "p2")]
pub mod p2;
pub mod stdlib;

pub use ask::Ask;

/// A short answer; `text/plain` unless the body begins like JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub body: String,
}

impl Reply {
    pub fn ok(body: impl Into<String>) -> Self {
        Self {
            status: 200,
            body: body.into(),
        }
    }

    pub fn not_found() -> Self {
        Self {
            status: 404,
            body: "no such behaviour".to_owned(),
        }
    }

    pub fn content_type(&self) -> &'static str {
        if self.body.starts_with(['{', '[']) {
            "application/json"
        } else {
            "text/plain; charset=utf-8"
        }
    }
}
