//! The token service over HTTP: one body of tests for the WASI 0.2 component, the WASI 0.3 component and the Node.js service they replace.
//! In: a running service. Out: what a client sees. Compiled by the main workspace, which has `coracle-testkit`.

use coracle_testkit::{Service, http};

const REFUSED: &str = r#"{"valid":false,"user_id":null,"expires_at":null}"#;

macro_rules! the_same_service {
    ($($name:ident => $start:expr;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn answers_a_valid_key_with_its_user() { super::answers_a_valid_key_with_its_user(&$start) }
            #[test]
            fn gives_every_refusal_the_same_answer() { super::gives_every_refusal_the_same_answer(&$start) }
            #[test]
            fn reads_the_scheme_in_any_case() { super::reads_the_scheme_in_any_case(&$start) }
            #[test]
            fn refuses_a_header_that_stands_twice() { super::refuses_a_header_that_stands_twice(&$start) }
            #[test]
            fn ignores_the_query_and_the_body() { super::ignores_the_query_and_the_body(&$start) }
            #[test]
            fn tells_a_wrong_path_from_a_wrong_method() { super::tells_a_wrong_path_from_a_wrong_method(&$start) }
        }
    )*};
}

the_same_service! {
    p2 => Service::coracle("auth", None);
    p3 => Service::coracle("auth", Some("p3"));
    node => Service::node("auth/node/server.mjs");
}

fn validate(service: &Service, method: &str, headers: &[(&str, &str)]) -> http::Response {
    http::request(
        method,
        &format!("{}/auth/validate", service.base_url()),
        headers,
        b"",
    )
}

fn answers_a_valid_key_with_its_user(service: &Service) {
    for (key, user) in [
        ("key_123", "user_123"),
        ("key_456", "user_456"),
        ("key_789", "user_789"),
    ] {
        for method in ["GET", "POST"] {
            let answer = validate(
                service,
                method,
                &[("authorization", &format!("Bearer {key}"))],
            );
            assert_eq!(answer.status, 200, "{method} with {key}");
            assert_eq!(
                answer.body_text(),
                format!(r#"{{"valid":true,"user_id":"{user}","expires_at":4102444800}}"#)
            );
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
    }
}

fn gives_every_refusal_the_same_answer(service: &Service) {
    let missing: &[(&str, &str)] = &[];
    let wrong_scheme: &[(&str, &str)] = &[("authorization", "Basic key_123")];
    let unknown: &[(&str, &str)] = &[("authorization", "Bearer key_999")];
    let expired: &[(&str, &str)] = &[("authorization", "Bearer key_000")];
    for headers in [missing, wrong_scheme, unknown, expired] {
        for method in ["GET", "POST"] {
            let answer = validate(service, method, headers);
            assert_eq!(answer.status, 401, "{method} with {headers:?}");
            assert_eq!(answer.body_text(), REFUSED, "{method} with {headers:?}");
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
}

fn reads_the_scheme_in_any_case(service: &Service) {
    for value in ["bearer key_123", "BEARER   key_123"] {
        assert_eq!(
            validate(service, "GET", &[("authorization", value)]).status,
            200,
            "{value}"
        );
    }
    for value in [
        "Bearerkey_123",
        "Bearer",
        "key_123",
        "Bearer key_123 key_456",
    ] {
        assert_eq!(
            validate(service, "GET", &[("authorization", value)]).status,
            401,
            "{value}"
        );
    }
}

fn refuses_a_header_that_stands_twice(service: &Service) {
    let twice = [
        ("authorization", "Bearer key_123"),
        ("authorization", "Bearer key_456"),
    ];
    assert_eq!(validate(service, "GET", &twice).status, 401);
}

fn ignores_the_query_and_the_body(service: &Service) {
    let url = format!("{}/auth/validate?trace=1", service.base_url());
    let answer = http::request(
        "POST",
        &url,
        &[("authorization", "Bearer key_123")],
        b"{\"anything\":true}",
    );
    assert_eq!(
        answer.json().get("user_id").cloned().unwrap_or_default(),
        "user_123"
    );
}

fn tells_a_wrong_path_from_a_wrong_method(service: &Service) {
    let elsewhere = format!("{}/auth/other", service.base_url());
    assert_eq!(
        http::request(
            "GET",
            &elsewhere,
            &[("authorization", "Bearer key_123")],
            b""
        )
        .status,
        404
    );
    let wrong = validate(service, "DELETE", &[("authorization", "Bearer key_123")]);
    assert_eq!(wrong.status, 405);
    assert!(
        wrong
            .header("allow")
            .is_some_and(|allow| allow.contains("GET") && allow.contains("POST"))
    );
}

#[test]
fn reads_the_mock_bucket_in_the_profile_test() {
    let service = Service::coracle("auth", Some("test"));
    let with = |key: &str| {
        validate(
            &service,
            "GET",
            &[("authorization", &format!("Bearer {key}"))],
        )
    };
    assert_eq!(with("key_test").json()["user_id"], "user_test");
    assert_eq!(with("key_late").status, 401);
    assert_eq!(
        with("key_123").status,
        401,
        "the mock knows none of the real keys"
    );
    let torn = with("key_torn");
    assert_eq!(torn.status, 500);
    assert_eq!(torn.body_text(), REFUSED);
}
