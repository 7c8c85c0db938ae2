//! What a person and a graph see of the node: logs, metrics, and the admin endpoints.
//!
//! In: finished exchanges from the gateway, lines from guests, events of the host's own code. Out: log lines on one writer that
//! never blocks a request, and `/livez`, `/readyz`, `/metrics`. Deliberately absent: WebAssembly, manifests, and every
//! decision; nothing here changes what a request does.

mod access_log;
mod admin;
mod escape;
mod guest_log;
mod host_log;
mod json;
mod metrics;
mod observer;
mod outcome;
mod per_component;
mod rate;
mod timestamp;
mod writer;

pub use access_log::AccessLog;
pub use admin::{Admin, AdminError, AdminHandle, Readiness};
pub use guest_log::{GuestLine, GuestLog, Level, LineRate, Source};
pub use host_log::HostLog;
pub use metrics::{CapabilityUse, InstanceUse, Metrics, Pool};
pub use observer::Reporter;
pub use writer::{Format, LogWriter};
