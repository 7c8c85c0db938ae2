//! Read as Prometheus would; `promtool` is asked too where it is installed.

use std::{collections::BTreeMap, time::Duration};

use coracle_gateway::{Ending, RequestId};

use super::*;

fn outcome<'a>(app: &'a str, component: &'a str) -> Outcome<'a> {
    Outcome {
        request_id: RequestId::random(),
        method: "GET",
        path: "/",
        app: Some(app),
        component: Some(component),
        route: Some("/"),
        reason: None,
        status: 200,
        ending: Ending::Complete,
        duration: Duration::from_micros(1_500),
        cpu: Duration::from_micros(250),
        peak_memory_bytes: 3 << 20,
        response_bytes: 10,
    }
}

/// Samples by name and labels, after checking the grammar: one block per family, metadata before samples, no line twice.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let body = text.strip_suffix("# EOF\n").expect("ends with the marker");
    let (mut samples, mut families, mut family) = (BTreeMap::new(), Vec::new(), String::new());
    for line in body.lines() {
        if let Some(metadata) = line.strip_prefix("# ") {
            let mut words = metadata.splitn(3, ' ');
            let (keyword, name) = (words.next().unwrap(), words.next().unwrap());
            assert!(["HELP", "TYPE", "UNIT"].contains(&keyword), "{line}");
            if keyword == "HELP" {
                assert!(!families.contains(&name.to_owned()), "{name} twice");
                families.push(name.to_owned());
                family = name.to_owned();
            }
            assert_eq!(name, family, "{line}");
        } else {
            assert!(line.starts_with(&family), "{line} in {family}");
            let (name, value) = line.rsplit_once(' ').unwrap();
            let seen = samples.insert(name.to_owned(), value.parse().unwrap());
            assert!(seen.is_none(), "{name} twice");
        }
    }
    samples
}

fn filled() -> Metrics {
    let metrics = Metrics::new();
    for _ in 0..100 {
        metrics.record(&outcome("shop", "orders"));
    }
    metrics.record(&Outcome {
        status: 504,
        reason: Some("cpu"),
        ..outcome("shop", "orders")
    });
    metrics.record(&Outcome {
        status: 0,
        ending: Ending::ClientLeft,
        ..outcome("shop", "orders")
    });
    metrics.record(&Outcome {
        ending: Ending::Aborted,
        reason: Some("aborted"),
        ..outcome("shop", "auth")
    });
    metrics.record(&Outcome {
        component: None,
        status: 503,
        reason: Some("overloaded"),
        ..outcome("shop", "")
    });
    metrics.record(&Outcome {
        app: None,
        component: None,
        status: 404,
        reason: Some("no-route"),
        ..outcome("", "")
    });
    metrics.read_pools(|| {
        vec![Pool {
            name: "p2".into(),
            slots: 1_000,
            instances_live: 7,
        }]
    });
    metrics.read_instances(|| {
        vec![InstanceUse {
            app: "shop".into(),
            component: "orders".into(),
            created: 3,
            reused: 97,
            idle: 2,
        }]
    });
    metrics.read_capabilities(|| {
        vec![CapabilityUse {
            app: "shop".into(),
            component: "orders".into(),
            capability: "keyvalue".into(),
            calls: 5,
            errors: 1,
            bytes: 640,
            time: Duration::from_millis(1_250),
        }]
    });
    metrics.read_dropped_lines(|| vec![("sink", 3), ("rate", 4)]);
    metrics
}

#[test]
fn tells_what_happened() {
    let samples = samples(&filled().scrape().unwrap());
    let orders = r#"app="shop",component="orders""#;
    for (name, expected) in [
        (
            format!("coracle_requests_total{{{orders},status_class=\"2xx\"}}"),
            100.0,
        ),
        (
            format!("coracle_requests_total{{{orders},status_class=\"5xx\"}}"),
            1.0,
        ),
        (
            format!("coracle_requests_total{{{orders},status_class=\"none\"}}"),
            1.0,
        ),
        (
            "coracle_requests_total{app=\"\",component=\"\",status_class=\"4xx\"}".into(),
            1.0,
        ),
        (
            format!("coracle_limits_total{{{orders},reason=\"cpu\"}}"),
            1.0,
        ),
        (
            "coracle_limits_total{app=\"shop\",component=\"\",reason=\"overloaded\"}".into(),
            1.0,
        ),
        ("coracle_refused_total{reason=\"no-route\"}".into(), 1.0),
        (
            format!("coracle_request_duration_seconds_count{{{orders}}}"),
            102.0,
        ),
        (
            format!("coracle_request_duration_seconds_bucket{{le=\"0.001\",{orders}}}"),
            0.0,
        ),
        (
            format!("coracle_request_duration_seconds_bucket{{le=\"0.0025\",{orders}}}"),
            102.0,
        ),
        (
            format!("coracle_request_duration_seconds_bucket{{le=\"+Inf\",{orders}}}"),
            102.0,
        ),
        (
            format!("coracle_request_cpu_seconds_bucket{{le=\"0.00025\",{orders}}}"),
            102.0,
        ),
        (
            format!("coracle_memory_peak_bytes_bucket{{le=\"2097152.0\",{orders}}}"),
            0.0,
        ),
        (
            format!("coracle_memory_peak_bytes_bucket{{le=\"4194304.0\",{orders}}}"),
            102.0,
        ),
        (format!("coracle_cpu_seconds_total{{{orders}}}"), 0.0255),
        (format!("coracle_response_bytes_total{{{orders}}}"), 1_020.0),
        (format!("coracle_client_left_total{{{orders}}}"), 1.0),
        (
            "coracle_responses_aborted_total{app=\"shop\",component=\"auth\"}".into(),
            1.0,
        ),
        ("coracle_pool_slots{pool=\"p2\"}".into(), 1_000.0),
        ("coracle_instances_live{pool=\"p2\"}".into(), 7.0),
        (format!("coracle_instances_created_total{{{orders}}}"), 3.0),
        (format!("coracle_instances_reused_total{{{orders}}}"), 97.0),
        (format!("coracle_instances_idle{{{orders}}}"), 2.0),
        (
            format!("coracle_capability_calls_total{{{orders},capability=\"keyvalue\"}}"),
            5.0,
        ),
        (
            format!("coracle_capability_errors_total{{{orders},capability=\"keyvalue\"}}"),
            1.0,
        ),
        (
            format!("coracle_capability_bytes_total{{{orders},capability=\"keyvalue\"}}"),
            640.0,
        ),
        (
            format!("coracle_capability_seconds_total{{{orders},capability=\"keyvalue\"}}"),
            1.25,
        ),
        (
            "coracle_log_lines_dropped_total{cause=\"sink\"}".into(),
            3.0,
        ),
        ("coracle_build_info{version=\"0.1.0\"}".into(), 1.0),
    ] {
        let found = samples
            .get(&name)
            .unwrap_or_else(|| panic!("no {name} in {samples:#?}"));
        assert!(
            (found - expected).abs() < 1e-9,
            "{name} is {found}, expected {expected}"
        );
    }
    assert!(samples["process_resident_memory_bytes"] > 1e6);
    assert!(samples["process_open_fds"] >= 3.0);
    assert!(samples["process_cpu_seconds_total"] >= 0.0);
}

#[test]
fn a_component_that_was_never_invoked_has_no_cpu_or_memory() {
    let samples = samples(&filled().scrape().unwrap());
    assert!(
        !samples
            .keys()
            .any(|name| name.starts_with("coracle_memory_peak_bytes") && name.contains("app=\"\""))
    );
}

#[test]
fn counts_are_exact_under_threads() {
    let metrics = Metrics::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10_000).for_each(|_| metrics.record(&outcome("a", "b"))));
        }
    });
    let samples = samples(&metrics.scrape().unwrap());
    assert_eq!(
        samples["coracle_requests_total{app=\"a\",component=\"b\",status_class=\"2xx\"}"],
        40_000.0
    );
    assert_eq!(
        samples["coracle_request_duration_seconds_count{app=\"a\",component=\"b\"}"],
        40_000.0
    );
}

#[test]
fn promtool_accepts_it_where_it_is_installed() {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped promtool_accepts_it_where_it_is_installed: there is no promtool");
        return;
    };
    // promtool reads the older text format, which has no marker of the end.
    let text = filled().scrape().unwrap().replace("# EOF\n", "");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());
}
