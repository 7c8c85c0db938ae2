//! Text to app. In: `coracle.toml` and `host.toml`. Out: an [`app::App`] in which every name is checked and everything named
//! exists, what the operator allows of it, or every problem at once with file, line, caret, rule and fix.
//!
//! Three types, one after the other: a TOML document, the manifest as written, the app. Knows nothing of Wasmtime or sockets.

pub mod address;
pub mod app;
pub mod interface;
pub mod name;
pub mod network;
pub mod operator;
pub mod pattern;
pub mod problem;
pub mod route;

mod conceal;
mod document;
mod load;
mod lookup;
mod reader;
mod resolve;
mod single;
mod source;
mod suggest;
mod units;
mod written;

pub use app::App;
pub use load::{MANIFEST_FILE, load};
pub use network::Network;
pub use operator::Operator;
pub use problem::{Problem, Problems};
pub use single::{grants_from_lines, single};
