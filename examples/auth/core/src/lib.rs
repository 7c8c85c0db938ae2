//! Validates bearer keys. In: method, path, `Authorization`, the record of a key, the time. Out: one [`answer::Answer`].
//! Pure: the bucket and the clock are given by the caller, WASI 0.2 (`../p2`) or 0.3 (`../p3`).

mod bearer;
mod error;
mod service;
mod token;

pub use error::{Fault, Refusal, Rejection};
pub use service::{Request, answer, validate};
pub use token::Token;
