//! One node: wires every room together. Loads apps, swaps them under load, drains.
//!
//! In: checked apps and the operator's word. Out: a listener that answers. The only room that names concrete types of all the
//! others; no policy of its own.

pub mod authority;
pub mod check;
pub mod inspect;
pub mod load;
pub mod node;
pub mod recordings;
mod refusal;
pub mod replay;
pub mod report;
pub mod resources;
pub mod voice;

/// What the node's recordings are made of.
pub use coracle_capability::observe;
pub use load::{Loaded, Loader};
pub use node::{Node, NodeError, Settings};
pub use recordings::Observing;
