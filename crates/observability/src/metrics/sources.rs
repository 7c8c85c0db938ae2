//! Numbers that others keep: plain rows, read when somebody scrapes.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeCounterValue},
    metrics::MetricType,
    registry::Unit,
};

use super::expose::{counter, labels};

/// One pool of instances, now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// What distinguishes it from the others.
    pub name: Cow<'static, str>,
    /// Instances it can hold.
    pub slots: u64,
    /// Instances that live.
    pub instances_live: u64,
}

/// What became of the instances of one component that reuses them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceUse {
    /// The app.
    pub app: Arc<str>,
    /// The component.
    pub component: Arc<str>,
    /// Instances made since the start.
    pub created: u64,
    /// Requests since the start that got an instance which had served before.
    pub reused: u64,
    /// Instances that wait for their next request.
    pub idle: u64,
}

/// What one component asked of one capability since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapabilityUse {
    /// The app.
    pub app: Arc<str>,
    /// The component that called.
    pub component: Arc<str>,
    /// The capability.
    pub capability: Cow<'static, str>,
    /// Calls, failed ones included.
    pub calls: u64,
    /// Calls answered with an error.
    pub errors: u64,
    /// Payload of calls and replies.
    pub bytes: u64,
    /// From call to answer, summed.
    pub time: Duration,
}

pub(crate) type Read<T> = OnceLock<Box<dyn Fn() -> Vec<T> + Send + Sync>>;

#[derive(Default)]
pub(crate) struct Sources {
    pub(crate) pools: Read<Pool>,
    pub(crate) instances: Read<InstanceUse>,
    pub(crate) capabilities: Read<CapabilityUse>,
    pub(crate) dropped_lines: Read<(&'static str, u64)>,
}

impl Collector for Sources {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        pools(&mut encoder, &read(&self.pools))?;
        instances(&mut encoder, &read(&self.instances))?;
        capabilities(&mut encoder, &read(&self.capabilities))?;
        let help = "Log lines that were not written";
        let mut metric = encoder.encode_descriptor(
            "coracle_log_lines_dropped",
            help,
            None,
            MetricType::Counter,
        )?;
        read(&self.dropped_lines)
            .iter()
            .try_for_each(|(cause, lines)| counter(&mut metric, &[("cause", *cause)], lines))
    }
}

fn read<T>(source: &Read<T>) -> Vec<T> {
    source.get().map(|read| read()).unwrap_or_default()
}

fn pools(encoder: &mut DescriptorEncoder<'_>, pools: &[Pool]) -> fmt::Result {
    let mut gauges = |name, help, of: fn(&Pool) -> u64| {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        pools.iter().try_for_each(|pool| {
            metric
                .encode_family(&[("pool", &*pool.name)])?
                .encode_gauge(&of(pool))
        })
    };
    gauges("coracle_pool_slots", "Instances a pool can hold", |pool| {
        pool.slots
    })?;
    gauges("coracle_instances_live", "Instances that live", |pool| {
        pool.instances_live
    })
}

fn instances(encoder: &mut DescriptorEncoder<'_>, rows: &[InstanceUse]) -> fmt::Result {
    let mut counters = |name, help, of: fn(&InstanceUse) -> u64| {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        rows.iter()
            .try_for_each(|row| counter(&mut metric, &labels(&row.app, &row.component), &of(row)))
    };
    let help = "Instances made for components that reuse them";
    counters("coracle_instances_created", help, |row| row.created)?;
    let help = "Requests that got an instance which had served before";
    counters("coracle_instances_reused", help, |row| row.reused)?;
    let help = "Instances that wait for their next request";
    let mut metric =
        encoder.encode_descriptor("coracle_instances_idle", help, None, MetricType::Gauge)?;
    rows.iter().try_for_each(|row| {
        metric
            .encode_family(&labels(&row.app, &row.component))?
            .encode_gauge(&row.idle)
    })
}

fn capabilities(encoder: &mut DescriptorEncoder<'_>, rows: &[CapabilityUse]) -> fmt::Result {
    counters(
        encoder,
        rows,
        "coracle_capability_calls",
        "Calls of capabilities",
        None,
        |row| row.calls,
    )?;
    counters(
        encoder,
        rows,
        "coracle_capability_errors",
        "Calls answered with an error",
        None,
        |row| row.errors,
    )?;
    let help = "Payload of calls and replies";
    counters(
        encoder,
        rows,
        "coracle_capability",
        help,
        Some(Unit::Bytes),
        |row| row.bytes,
    )?;
    let help = "Time from call to answer";
    counters(
        encoder,
        rows,
        "coracle_capability",
        help,
        Some(Unit::Seconds),
        |row| row.time.as_secs_f64(),
    )
}

fn counters<V: EncodeCounterValue>(
    encoder: &mut DescriptorEncoder<'_>,
    rows: &[CapabilityUse],
    name: &str,
    help: &str,
    unit: Option<Unit>,
    of: fn(&CapabilityUse) -> V,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
    rows.iter().try_for_each(|row| {
        let labels = [
            ("app", &*row.app),
            ("component", &*row.component),
            ("capability", &*row.capability),
        ];
        counter(&mut metric, &labels, &of(row))
    })
}

impl fmt::Debug for Sources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sources").finish_non_exhaustive()
    }
}
