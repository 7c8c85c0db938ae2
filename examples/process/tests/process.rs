//! The text processor over HTTP. In: a running service. Out: what a client sees.
//! Compiled by the main workspace, which has `coracle-testkit`.

use coracle_testkit::{Service, http};

fn process(service: &Service, input: &[u8]) -> http::Response {
    http::request(
        "POST",
        &format!("{}/process", service.base_url()),
        &[],
        input,
    )
}

#[test]
fn answers_in_upper_case_with_status_and_time_stamp() {
    let answer = process(&Service::coracle("process", None), "straße 1".as_bytes());
    assert_eq!(answer.status, 200);
    let report = answer.json();
    assert_eq!(report["status"], "ok");
    assert_eq!(report["output"], "STRASSE 1");
    assert_eq!(
        report["service"], "process",
        "the name stands in /etc/config.json"
    );
    let timestamp = report["timestamp"].as_str().expect("a time stamp");
    assert!(
        timestamp.starts_with("20") && timestamp.ends_with('Z') && timestamp.len() == 20,
        "{timestamp}"
    );
}

#[test]
fn says_what_is_wrong_with_an_input() {
    let service = Service::coracle("process", None);
    let torn = process(&service, b"ab\xff");
    assert_eq!(
        (torn.status, torn.json()["status"].as_str()),
        (400, Some("error"))
    );
    let long = process(&service, &vec![b'a'; 65_537]);
    assert_eq!(
        (long.status, long.json()["status"].as_str()),
        (413, Some("error"))
    );
    assert_eq!(process(&service, &vec![b'a'; 65_536]).status, 200);
}
