//! The echo over HTTP: one body of tests for the WASI 0.2 and the WASI 0.3 component.
//! In: a running service. Out: what a client sees. Compiled by the main workspace, which has `coracle-testkit`.

use coracle_testkit::{Service, http};

macro_rules! the_same_echo {
    ($($name:ident => $profile:expr;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn gives_a_body_back_as_it_came() { super::gives_a_body_back_as_it_came(&Service::coracle("echo", $profile)) }
            #[test]
            fn upper_cases_a_body_as_it_passes() { super::upper_cases_a_body_as_it_passes(&Service::coracle("echo", $profile)) }
            #[test]
            fn keeps_the_type_of_the_body_and_sets_nothing_else() {
                super::keeps_the_type_of_the_body_and_sets_nothing_else(&Service::coracle("echo", $profile));
            }
            #[test]
            fn answers_no_body_with_no_body() { super::answers_no_body_with_no_body(&Service::coracle("echo", $profile)) }
        }
    )*};
}

the_same_echo! {
    p2 => None;
    p3 => Some("p3");
}

fn gives_a_body_back_as_it_came(service: &Service) {
    // Longer than any buffer on the way, and of a length no chunk divides.
    let body: Vec<u8> = (0..3_000_017_u32).map(|n| (n % 251) as u8).collect();
    let answer = http::request("POST", &format!("{}/", service.base_url()), &[], &body);
    assert_eq!(answer.status, 200);
    assert!(
        answer.body == body,
        "{} bytes came back, {} went out",
        answer.body.len(),
        body.len()
    );
}

fn upper_cases_a_body_as_it_passes(service: &Service) {
    let body = "the quick brown fox, é ".repeat(20_000);
    let answer = http::request(
        "POST",
        &format!("{}/upper", service.base_url()),
        &[],
        body.as_bytes(),
    );
    assert_eq!(answer.status, 200);
    assert!(answer.body == body.to_ascii_uppercase().as_bytes());
}

fn keeps_the_type_of_the_body_and_sets_nothing_else(service: &Service) {
    let headers = [
        ("content-type", "text/csv"),
        ("x-secret", "1"),
        ("cookie", "a=b"),
    ];
    let answer = http::request(
        "PUT",
        &format!("{}/rows", service.base_url()),
        &headers,
        b"a;b",
    );
    assert_eq!(answer.header("content-type"), Some("text/csv"));
    assert_eq!(
        (answer.header("x-secret"), answer.header("cookie")),
        (None, None)
    );
}

fn answers_no_body_with_no_body(service: &Service) {
    let answer = http::request("GET", &format!("{}/", service.base_url()), &[], b"");
    assert_eq!((answer.status, answer.body.len()), (200, 0));
}
