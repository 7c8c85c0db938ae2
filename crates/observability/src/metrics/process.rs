//! What the system knows of this process, under the names every Prometheus client uses; and which build it is.
//!
//! Linux only: elsewhere what cannot be read is left out.

use std::{fmt, fs};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Unit,
};
use rustix::time::{ClockId, clock_gettime};

#[derive(Debug)]
pub(crate) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if let Some(bytes) = resident_memory_bytes() {
            let help = "Resident memory of the process";
            encoder
                .encode_descriptor(
                    "process_resident_memory",
                    help,
                    Some(&Unit::Bytes),
                    MetricType::Gauge,
                )?
                .encode_gauge(&bytes)?;
        }
        if let Some(open) = open_fds() {
            encoder
                .encode_descriptor(
                    "process_open_fds",
                    "Open file descriptors",
                    None,
                    MetricType::Gauge,
                )?
                .encode_gauge(&open)?;
        }
        let help = "User and system CPU time of the process";
        encoder
            .encode_descriptor(
                "process_cpu",
                help,
                Some(&Unit::Seconds),
                MetricType::Counter,
            )?
            .encode_counter::<NoLabelSet, _, u64>(&cpu_seconds(), None)?;
        encoder
            .encode_descriptor(
                "coracle_build",
                "The version that runs",
                None,
                MetricType::Info,
            )?
            .encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
    }
}

fn resident_memory_bytes() -> Option<u64> {
    // "size resident shared …", measured in pages: proc_pid_statm(5).
    let pages: u64 = fs::read_to_string("/proc/self/statm")
        .ok()?
        .split_ascii_whitespace()
        .nth(1)?
        .parse()
        .ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}

fn open_fds() -> Option<u64> {
    // One of them reads the directory.
    u64::try_from(
        fs::read_dir("/proc/self/fd")
            .ok()?
            .count()
            .saturating_sub(1),
    )
    .ok()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus has floating point only"
)]
fn cpu_seconds() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}
