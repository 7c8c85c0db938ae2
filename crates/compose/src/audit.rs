//! What each part of an app can reach: directly by its own grants, and through the components it calls.
//!
//! In: a checked app whose grants the operator allows, so that what is granted is what is effective. Out: powers, the ways to them,
//! and what one version of an app may that another may not. An upper bound, from words alone: what happens inside a component, and
//! what a backend or an upstream does with a call, is not known here.

mod ask;
mod difference;
mod power;
mod reach;

pub use ask::{AskError, From, To, Way, ways};
pub use difference::{Change, Line, difference};
pub use power::{Destination, Directory, Object, Power, Verb, powers, sentences};
pub use reach::{Reached, Route, idle, reached};

/// What no manifest says, in sentences for whoever reads an audit.
pub const NOT_KNOWN: &[&str] = &[
    "what happens inside a component: it may use less than it was granted, and what it does for its callers is up to its code",
    "what a backend or an upstream does with a call, and whom it calls in turn",
    "which address a host has: one that is not public is dialled only where host.toml allows it",
];
