//! The HTTP edge: accepts connections, refuses what two readers could read differently, routes, and accounts.
//!
//! In: a [`Config`], a table of [`Routes`] that may be swapped at any time, an [`Observer`]. Out: requests handed to a
//! [`Destination`]. Deliberately absent: WebAssembly, manifests, TLS (later), and any notion of what a destination is.

mod account;
mod admission;
mod body;
mod config;
mod cores;
mod exchange;
mod fields;
mod listener;
mod pace;
mod problem;
mod reply;
mod request_id;
mod route;
mod server;
mod service;

pub use config::{Config, Http2, Patience, Underscores};
pub use cores::Cores;
pub use exchange::{Body, BodyError, Destination, Ending, Exchange, Observer};
pub use problem::Problem;
pub use request_id::RequestId;
pub use route::{PatternError, Route, RouteEntry, RouteError, Routes};
pub use server::{BindError, Handle, Server};
