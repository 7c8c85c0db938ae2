//! The gateway's observer: every finished exchange is counted and, if wanted, logged.

use std::sync::Arc;

use coracle_gateway::{Exchange, Observer};

use crate::{access_log::AccessLog, metrics::Metrics, outcome::Outcome};

/// Feeds the metrics and the access log. Costs the request a few atomic additions and one line in memory.
pub struct Reporter {
    metrics: Arc<Metrics>,
    access_log: Option<AccessLog>,
}

impl Reporter {
    /// Counts into `metrics` and logs, unless there is no log.
    pub fn new(metrics: Arc<Metrics>, access_log: Option<AccessLog>) -> Self {
        Self {
            metrics,
            access_log,
        }
    }
}

impl Observer for Reporter {
    fn finished(&self, exchange: &Exchange) {
        let outcome = Outcome::from(exchange);
        self.metrics.record(&outcome);
        if let Some(log) = &self.access_log {
            log.write(&outcome);
        }
    }
}
