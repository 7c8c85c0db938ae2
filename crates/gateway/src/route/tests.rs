//! Matching and building, through the table's own interface.

use std::{future::Future, pin::Pin};

use super::*;
use crate::exchange::Body;

struct Nobody;

impl Destination for Nobody {
    fn call(
        &self,
        _: http::Request<Body>,
    ) -> Pin<Box<dyn Future<Output = http::Response<Body>> + Send>> {
        Box::pin(std::future::pending())
    }
}

fn entry(host: Option<&str>, methods: &[&str], path: &str) -> RouteEntry {
    RouteEntry {
        app: "shop".into(),
        host: host.map(Into::into),
        path: path.into(),
        methods: methods.iter().map(|method| (*method).to_owned()).collect(),
        label: format!("{}{} {path}", host.unwrap_or_default(), methods.join(",")).into(),
        destination: Arc::new(Nobody),
    }
}

fn table(entries: Vec<RouteEntry>) -> Routes {
    Routes::build(entries).unwrap()
}

fn found(routes: &Routes, host: &str, method: &str, path: &str) -> String {
    match routes.find(Some(host), path, &method.parse().unwrap()) {
        Matched::Route(route) => route.label.to_string(),
        Matched::MethodNotAllowed(allow) => format!("405 {}", allow.to_str().unwrap()),
        Matched::Nothing => "404".into(),
    }
}

#[test]
fn the_most_specific_path_wins() {
    let routes = table(
        [
            "/orders/{id}",
            "/orders/new",
            "/orders/*",
            "/*",
            "/orders/{id}/lines/{n}",
            "/orders/new/lines/*",
        ]
        .map(|path| entry(None, &[], path))
        .into(),
    );
    for (path, wanted) in [
        ("/orders/new", " /orders/new"),
        ("/orders/7", " /orders/{id}"),
        ("/orders/", " /orders/*"),
        ("/orders//", " /orders/*"),
        ("/orders", " /*"),
        ("/", " /*"),
        ("//orders/7", " /*"),
        ("/orders/7/lines/1", " /orders/{id}/lines/{n}"),
        ("/orders/new/lines/1", " /orders/new/lines/*"),
        ("/orders/new/other", " /orders/*"),
        ("/orders/%6eew", " /orders/{id}"),
    ] {
        assert_eq!(found(&routes, "h", "GET", path), wanted, "{path}");
    }
}

#[test]
fn a_trailing_slash_is_another_path() {
    let routes = table(vec![
        entry(None, &[], "/a"),
        entry(None, &[], "/b/"),
        entry(None, &[], "/"),
    ]);
    assert_eq!(found(&routes, "h", "GET", "/a/"), "404");
    assert_eq!(found(&routes, "h", "GET", "/b"), "404");
    assert_eq!(found(&routes, "h", "GET", "/"), " /");
}

#[test]
fn a_named_host_wins_and_falls_back_by_path() {
    let routes = table(vec![
        entry(Some("Shop.Example"), &["GET"], "/x"),
        entry(None, &[], "/x"),
        entry(None, &[], "/y"),
        entry(Some("[::1]"), &[], "/x"),
    ]);
    assert_eq!(
        found(&routes, "shop.example:8080", "GET", "/x"),
        "Shop.ExampleGET /x"
    );
    assert_eq!(
        found(&routes, "SHOP.example.", "GET", "/x"),
        "Shop.ExampleGET /x"
    );
    assert_eq!(
        found(&routes, "shop.example", "POST", "/x"),
        "405 GET, HEAD"
    );
    assert_eq!(found(&routes, "shop.example", "GET", "/y"), " /y");
    assert_eq!(found(&routes, "other", "GET", "/x"), " /x");
    assert_eq!(found(&routes, "[::1]:80", "GET", "/x"), "[::1] /x");
}

#[test]
fn get_answers_head_and_a_named_method_wins_over_all() {
    let routes = table(vec![
        entry(None, &["GET"], "/a"),
        entry(None, &[], "/b"),
        entry(None, &["GET", "POST"], "/b"),
        entry(None, &["HEAD"], "/b"),
    ]);
    assert_eq!(found(&routes, "h", "HEAD", "/a"), "GET /a");
    assert_eq!(found(&routes, "h", "POST", "/a"), "405 GET, HEAD");
    assert_eq!(found(&routes, "h", "HEAD", "/b"), "HEAD /b");
    assert_eq!(found(&routes, "h", "DELETE", "/b"), " /b");
    assert_eq!(found(&routes, "h", "POST", "/b"), "GET,POST /b");
}

#[test]
fn every_error_is_reported_at_once() {
    let errors = Routes::build(vec![
        entry(None, &["GET"], "/a/{x}"),
        entry(None, &["GET"], "/a/{y}"),
        entry(None, &["get"], "/b"),
        entry(None, &["CONNECT"], "/b"),
        entry(Some("a:80"), &[], "/b"),
        entry(None, &[], "b"),
        entry(Some("x.example"), &[], "/c"),
        entry(Some("X.example"), &[], "/c"),
    ])
    .unwrap_err();
    let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "the app `shop` and the app `shop` both claim GET /a/{y}",
            "`get` is not a method that can be routed",
            "`CONNECT` is not a method that can be routed",
            "`a:80` is not a host without port",
            "the path `b` is not a pattern",
            "the app `shop` and the app `shop` both claim every method of X.example/c",
        ]
    );
    assert!(matches!(
        errors[0],
        RouteError::Tie {
            first: 0,
            entry: 1,
            ..
        }
    ));
}

#[test]
fn a_hostile_path_costs_no_more_than_the_table() {
    let path = "/{a}".repeat(12);
    let mut entries = vec![entry(
        None,
        &[],
        &format!("{}/end", path.replace("{a}", "a")),
    )];
    for depth in 0..12 {
        let mut pieces = vec!["a".to_owned(); 12];
        pieces[depth] = "{x}".into();
        entries.push(entry(None, &[], &format!("/{}/end", pieces.join("/"))));
    }
    let routes = table(entries);
    assert_eq!(found(&routes, "h", "GET", &"/a".repeat(8_000)), "404");
}
