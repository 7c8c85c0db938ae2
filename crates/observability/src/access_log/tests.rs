//! Goldens in `tests/access_log`; `UPDATE=1` rewrites them.

use std::time::UNIX_EPOCH;

use coracle_gateway::RequestId;

use super::*;

fn plain() -> Outcome<'static> {
    Outcome {
        request_id: RequestId::parse("4bf92f3577b34da6a3ce929d0e0e4736").unwrap(),
        method: "GET",
        path: "/orders/7",
        app: Some("shop"),
        component: Some("orders"),
        route: Some("/orders/{id}"),
        reason: None,
        status: 200,
        ending: Ending::Complete,
        duration: Duration::from_micros(1_214),
        cpu: Duration::from_micros(310),
        peak_memory_bytes: 1_245_184,
        response_bytes: 512,
    }
}

fn cases() -> Vec<(&'static str, Outcome<'static>)> {
    let long: &'static str = format!("/{}", "a".repeat(2_000)).leak();
    vec![
        ("an ordinary request", plain()),
        (
            "a slow one that reached its CPU limit",
            Outcome {
                status: 504,
                reason: Some("cpu"),
                duration: Duration::from_millis(1_000),
                cpu: Duration::from_millis(1_000),
                peak_memory_bytes: 128 << 20,
                ..plain()
            },
        ),
        (
            "the client left before an answer",
            Outcome {
                status: 0,
                ending: Ending::ClientLeft,
                ..plain()
            },
        ),
        (
            "the guest broke off",
            Outcome {
                ending: Ending::Aborted,
                reason: Some("aborted"),
                ..plain()
            },
        ),
        (
            "no route",
            Outcome {
                status: 404,
                app: None,
                component: None,
                route: None,
                reason: Some("no-route"),
                duration: Duration::from_micros(9),
                cpu: Duration::ZERO,
                peak_memory_bytes: 0,
                path: "/favicon.ico",
                ..plain()
            },
        ),
        (
            "no component yet",
            Outcome {
                component: None,
                status: 503,
                reason: Some("overloaded"),
                ..plain()
            },
        ),
        (
            "a path that forges columns",
            Outcome {
                path: "/x shop/orders 200\r\n\u{1b}[2J\",\"status\":\"200",
                ..plain()
            },
        ),
        (
            "a path and a method without end",
            Outcome {
                path: long,
                method: "BREW".repeat(50).leak(),
                ..plain()
            },
        ),
        (
            "an empty path",
            Outcome {
                path: "",
                ..plain()
            },
        ),
        (
            "long and large",
            Outcome {
                duration: Duration::from_millis(99_960),
                cpu: Duration::from_micros(99_951),
                peak_memory_bytes: 4 << 30,
                ..plain()
            },
        ),
    ]
}

fn matches_golden(name: &str, compose: fn(&mut String, &Outcome<'_>, SystemTime)) {
    let at = UNIX_EPOCH + Duration::from_millis(1_782_909_296_789);
    let mut text = String::new();
    for (case, outcome) in cases() {
        let mut line = String::new();
        compose(&mut line, &outcome, at);
        assert!(!line.chars().any(char::is_control), "{line:?}");
        let _ = writeln!(text, "# {case}\n{line}");
    }
    let path = format!("{}/tests/access_log/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(
        text,
        std::fs::read_to_string(&path).unwrap(),
        "{path}; UPDATE=1 rewrites it"
    );
}

#[test]
fn a_human_line_is_aligned_terse_and_unforgeable() {
    matches_golden("human.log", human);
}

#[test]
fn a_json_line_has_stable_keys_and_is_valid() {
    matches_golden("json.log", json);
    for (case, outcome) in cases() {
        let mut line = String::new();
        json(&mut line, &outcome, UNIX_EPOCH);
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["status"], outcome.status, "{case}");
        let path = read["path"].as_str().unwrap();
        assert!(
            path.len() <= PATH_BYTES && outcome.path.starts_with(path),
            "{case}"
        );
        assert_eq!(
            read["path_cut"] == true,
            path.len() < outcome.path.len(),
            "{case}"
        );
    }
}
