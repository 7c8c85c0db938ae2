//! Routes over the wire: hosts, methods, 404 and 405.

use std::sync::Arc;

use coracle_gateway::{Config, RouteEntry, Routes};

use super::support::*;

fn label(label: &'static str) -> Arc<dyn coracle_gateway::Destination> {
    answering(move |request| async move { text(format!("{label} {}", request.uri())) })
}

#[tokio::test]
async fn not_found_and_method_not_allowed_differ() {
    let mut edge = Edge::new([("GET,POST /orders/{id}", label("order"))]);
    let mut raw = edge.raw().await;
    raw.send(get("/orders/7?x=y")).await;
    assert_eq!(raw.reply().await.body, "order /orders/7?x=y");
    raw.send(get("/orders")).await;
    let missing = raw.reply().await;
    assert_eq!(
        (missing.status, missing.reason().as_str()),
        (404, "no-route")
    );
    assert_eq!(
        missing.field("content-type"),
        Some("application/problem+json")
    );
    raw.send(get("/orders/7").replace("GET", "DELETE")).await;
    let refused = raw.reply().await;
    assert_eq!(
        (refused.status, refused.reason().as_str()),
        (405, "method-not-allowed")
    );
    assert_eq!(refused.field("allow"), Some("GET, POST, HEAD"));
    assert_eq!(edge.seen().await.reason, None);
    assert_eq!(edge.seen().await.reason.as_deref(), Some("no-route"));
    assert_eq!(
        edge.seen().await.reason.as_deref(),
        Some("method-not-allowed")
    );
}

#[tokio::test]
async fn hosts_are_matched_without_case_and_port_in_both_protocols() {
    use http_body_util::BodyExt;
    let entry = |host: Option<&str>, destination| RouteEntry {
        app: "shop".into(),
        host: host.map(Into::into),
        path: "/*".into(),
        methods: vec![],
        label: "l".into(),
        destination,
    };
    let routes = Routes::build([
        entry(Some("shop.example"), label("shop")),
        entry(None, label("any")),
    ])
    .unwrap();
    let edge = Edge::at("127.0.0.1:0", Config::default(), routes);
    let mut client = edge.http2().await;
    for (host, wanted) in [
        ("SHOP.example:81", "shop /"),
        ("shop.example.", "shop /"),
        ("shop.example.org", "any /"),
        ("127.0.0.1", "any /"),
    ] {
        let reply = edge
            .ask(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await;
        assert_eq!(reply.body, wanted, "{host}");
        let request = http::Request::get(format!("http://{host}/"))
            .body(empty())
            .unwrap();
        let body = soon(client.send_request(request))
            .await
            .unwrap()
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes();
        assert_eq!(body, wanted, "{host}");
    }
    assert_eq!(edge.ask("GET / HTTP/1.0\r\n\r\n").await.body, "any /");
}

#[tokio::test]
async fn serves_ipv6_and_both_families_on_the_unspecified_address() {
    let routes = || {
        table([(
            "/",
            answering(|request| async move {
                text(request.headers()["x-forwarded-for"].as_bytes().to_vec())
            }),
        )])
    };
    let six = Edge::at("[::1]:0", Config::default(), routes());
    assert_eq!(six.ask(get("/")).await.body, "::1");
    let mut both = Edge::at("[::]:0", Config::default(), routes());
    both.address = format!("127.0.0.1:{}", both.address.port())
        .parse()
        .unwrap();
    assert_eq!(both.ask(get("/")).await.body, "127.0.0.1");
}

#[tokio::test]
async fn a_port_in_use_is_named_with_the_way_out() {
    let edge = Edge::new([]);
    let error = coracle_gateway::Server::bind(edge.address, Config::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the address {} is in use; choose another with `--listen`, or port 0 for any free one",
            edge.address
        )
    );
    let error = coracle_gateway::Server::bind("192.0.2.1:80".parse().unwrap(), Config::default())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "this machine does not have the address 192.0.2.1; choose one of its own with `--listen`, or 127.0.0.1"
    );
}
