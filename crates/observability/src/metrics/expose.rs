//! Writes the counters of requests in the families that [`super::Metrics`] documents.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeCounterValue, EncodeLabelSet, MetricEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Unit,
};

use super::{
    histogram::Histogram,
    series::{CLASSES, NANOSECONDS, Requests, Series},
};

type Rows = [(Arc<str>, Arc<str>, Arc<Series>)];

impl Collector for Requests {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let rows = self.components.all();
        by_class(&mut encoder, &rows)?;
        let mut refused = encoder.encode_descriptor(
            "coracle_refused",
            "Requests refused before an app was found",
            None,
            MetricType::Counter,
        )?;
        for (reason, count) in self.refused.all() {
            counter(&mut refused, &[("reason", &*reason)], &count)?;
        }
        limits(&mut encoder, &rows)?;

        let (seconds, bytes) = (Unit::Seconds, Unit::Bytes);
        let mut histograms = |name, help, unit, per_unit, of: fn(&Series) -> &Histogram| {
            let mut metric =
                encoder.encode_descriptor(name, help, Some(unit), MetricType::Histogram)?;
            rows.iter().try_for_each(|(app, component, series)| {
                histogram(&mut metric, app, component, of(series), per_unit)
            })
        };
        let help = "From the head of the request to the last byte of the response";
        histograms(
            "coracle_request_duration",
            help,
            &seconds,
            NANOSECONDS,
            |series| &series.duration_ns,
        )?;
        let help = "CPU time of the guest per request";
        histograms(
            "coracle_request_cpu",
            help,
            &seconds,
            NANOSECONDS,
            |series| &series.cpu_ns,
        )?;
        let help = "Peak memory of the guest per request";
        histograms("coracle_memory_peak", help, &bytes, 1.0, |series| {
            &series.memory_bytes
        })?;

        let mut metric = encoder.encode_descriptor(
            "coracle_cpu",
            "CPU time of guests",
            Some(&seconds),
            MetricType::Counter,
        )?;
        for (app, component, series) in &rows {
            counter(
                &mut metric,
                &labels(app, component),
                &series.cpu_ns.read(NANOSECONDS).sum,
            )?;
        }
        let mut counters = |name, help, unit, of: fn(&Series) -> &AtomicU64| {
            let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Counter)?;
            rows.iter().try_for_each(|(app, component, series)| {
                counter(
                    &mut metric,
                    &labels(app, component),
                    &of(series).load(Relaxed),
                )
            })
        };
        counters(
            "coracle_response",
            "Bytes of response bodies",
            Some(&bytes),
            |series| &series.response_bytes,
        )?;
        let help = "Requests whose client left before the last byte";
        counters("coracle_client_left", help, None, |series| {
            &series.client_left
        })?;
        let help = "Responses that broke off after their head";
        counters("coracle_responses_aborted", help, None, |series| {
            &series.aborted
        })
    }
}

fn by_class(encoder: &mut DescriptorEncoder<'_>, rows: &Rows) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(
        "coracle_requests",
        "Finished requests, refused ones included",
        None,
        MetricType::Counter,
    )?;
    for (app, component, series) in rows {
        for (class, count) in CLASSES.iter().zip(&series.classes) {
            let [app, component] = labels(app, component);
            counter(
                &mut metric,
                &[app, component, ("status_class", class)],
                &count.load(Relaxed),
            )?;
        }
    }
    Ok(())
}

fn limits(encoder: &mut DescriptorEncoder<'_>, rows: &Rows) -> fmt::Result {
    let help = "Requests that something kept from being answered by their component";
    let mut metric =
        encoder.encode_descriptor("coracle_limits", help, None, MetricType::Counter)?;
    for (app, component, series) in rows {
        for (reason, count) in series.reasons.all() {
            let [app, component] = labels(app, component);
            counter(&mut metric, &[app, component, ("reason", &*reason)], &count)?;
        }
    }
    Ok(())
}

pub(crate) fn labels<'a>(app: &'a str, component: &'a str) -> [(&'static str, &'a str); 2] {
    [("app", app), ("component", component)]
}

pub(crate) fn counter(
    metric: &mut MetricEncoder<'_>,
    labels: &impl EncodeLabelSet,
    value: &impl EncodeCounterValue,
) -> fmt::Result {
    metric
        .encode_family(labels)?
        .encode_counter::<NoLabelSet, _, u64>(value, None)
}

/// Empty histograms are left out: what reached no component has neither CPU time nor memory.
fn histogram(
    metric: &mut MetricEncoder<'_>,
    app: &str,
    component: &str,
    histogram: &Histogram,
    per_unit: f64,
) -> fmt::Result {
    let observed = histogram.read(per_unit);
    if observed.count == 0 {
        return Ok(());
    }
    metric
        .encode_family(&labels(app, component))?
        .encode_histogram::<NoLabelSet>(observed.sum, observed.count, &observed.buckets, None)
}

impl fmt::Debug for Requests {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Requests").finish_non_exhaustive()
    }
}
