//! Counts what the node does, for Prometheus.
//!
//! In: outcomes of exchanges, one by one; numbers that others keep, read when somebody asks. Out: OpenMetrics text. Labels
//! are bounded: apps and components by a cap, reasons by a cap, statuses by their class; nothing a client chose is one.

mod expose;
mod histogram;
mod process;
mod series;
mod sources;

use std::{fmt, sync::Arc};

use prometheus_client::{encoding::text, registry::Registry};
use series::Requests;
use sources::Sources;

pub use sources::{CapabilityUse, InstanceUse, Pool};

use crate::outcome::Outcome;

/// Everything `/metrics` tells.
///
/// From exchanges, by `app` and `component` (empty for what reached none): `coracle_requests_total` by `status_class` (`2xx`
/// …, `none` when no status was sent), `coracle_request_duration_seconds`, `coracle_cpu_seconds_total`,
/// `coracle_request_cpu_seconds`, `coracle_memory_peak_bytes`, `coracle_response_bytes_total`, `coracle_client_left_total`,
/// `coracle_responses_aborted_total`, and `coracle_limits_total` by `reason`: a limit hit, a trap, an overload, whatever else
/// kept the component from answering. `coracle_refused_total` by `reason`: refused by the gateway before an app was found.
///
/// From the sources: `coracle_pool_slots` and `coracle_instances_live` by `pool`; of components whose instances serve more than one
/// request `coracle_instances_created_total`, `coracle_instances_reused_total` (requests that got an instance which had served
/// before) and `coracle_instances_idle` by `app` and `component`; `coracle_capability_calls_total`,
/// `_errors_total`, `_bytes_total` and `_seconds_total` by `app`, `component` and `capability`;
/// `coracle_log_lines_dropped_total` by `cause`. From the system: `process_resident_memory_bytes`, `process_open_fds`,
/// `process_cpu_seconds_total`. And `coracle_build_info`.
pub struct Metrics {
    requests: Arc<Requests>,
    sources: Arc<Sources>,
    registry: Registry,
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new() -> Self {
        let (requests, sources) = (Arc::new(Requests::new()), Arc::new(Sources::default()));
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Arc::clone(&requests)));
        registry.register_collector(Box::new(Arc::clone(&sources)));
        registry.register_collector(Box::new(process::Process));
        Self {
            requests,
            sources,
            registry,
        }
    }

    /// Where to read the instance pools. Called at each scrape, from a thread that may block; the first call of this counts.
    pub fn read_pools(&self, read: impl Fn() -> Vec<Pool> + Send + Sync + 'static) {
        let _ = self.sources.pools.set(Box::new(read));
    }

    /// Where to read what became of instances that serve more than one request: one row per component that has any. As above.
    pub fn read_instances(&self, read: impl Fn() -> Vec<InstanceUse> + Send + Sync + 'static) {
        let _ = self.sources.instances.set(Box::new(read));
    }

    /// Where to read what components asked of capabilities: monotonic sums, one row per component and capability. As above.
    pub fn read_capabilities(&self, read: impl Fn() -> Vec<CapabilityUse> + Send + Sync + 'static) {
        let _ = self.sources.capabilities.set(Box::new(read));
    }

    /// Where to read how many log lines were dropped, by cause: [`crate::LogWriter::lost`], [`crate::GuestLog::dropped`].
    pub fn read_dropped_lines(
        &self,
        read: impl Fn() -> Vec<(&'static str, u64)> + Send + Sync + 'static,
    ) {
        let _ = self.sources.dropped_lines.set(Box::new(read));
    }

    /// Counts one exchange. A few atomic additions; allocates only at the first sight of a component or a reason.
    pub(crate) fn record(&self, outcome: &Outcome<'_>) {
        self.requests.record(outcome);
    }

    /// OpenMetrics text, version 1.0.0.
    ///
    /// # Errors
    /// Never for what is counted here; the encoder's signature allows one.
    pub fn scrape(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(16 << 10);
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
