//! Which fields cross the edge, and what the destination is told about the client.

use coracle_gateway::{Config, Underscores};
use http::Response;

use super::support::*;

/// Answers with the request as it arrived: target, then one field a line.
fn mirror() -> std::sync::Arc<dyn coracle_gateway::Destination> {
    answering(|request| async move {
        let mut lines = vec![request.uri().to_string()];
        lines.extend(
            request
                .headers()
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())),
        );
        lines.sort();
        text(lines.join("\n"))
    })
}

fn lines(body: &str) -> Vec<&str> {
    body.lines()
        .filter(|line| !line.starts_with("traceparent"))
        .collect()
}

#[tokio::test]
async fn hop_by_hop_fields_and_claims_about_the_client_end_here() {
    let edge = Edge::new([("/*", mirror())]);
    let reply = edge
        .ask(concat!(
            "GET /path?query HTTP/1.1\r\nHost: Shop.Example:80\r\nAccept: */*\r\n",
            "Connection: keep-alive, X-Hop, Host, upgrade\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: websocket\r\nTE: gzip, trailers\r\n",
            "Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\n",
            "Forwarded: for=1.2.3.4\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\nX-Forwarded-Proto: https\r\n",
            "X-Forwarded-Host: evil\r\nX-Forwarded-Anything: x\r\nX-Real-IP: 1.2.3.4\r\nCoracle-Tenant: other\r\nCORACLE-x: y\r\n\r\n",
        ))
        .await;
    assert_eq!(
        lines(&reply.body),
        [
            "/path?query",
            "accept: */*",
            "host: Shop.Example:80",
            "te: trailers",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-proto: http"
        ]
    );
}

#[tokio::test]
async fn an_absolute_form_target_overrides_host() {
    let edge = Edge::new([("/*", mirror())]);
    for (target, wanted) in [
        ("http://real.example/x?y", "/x?y"),
        ("http://real.example", "/"),
        ("http://real.example?q", "/?q"),
    ] {
        let reply = edge
            .ask(format!(
                "GET {target} HTTP/1.1\r\nHost: other.example\r\n\r\n"
            ))
            .await;
        assert_eq!(
            lines(&reply.body)[..2],
            [wanted, "host: real.example"],
            "{target}"
        );
    }
}

#[tokio::test]
async fn http2_looks_the_same_to_a_destination() {
    use http_body_util::BodyExt;
    let edge = Edge::new([("/*", mirror())]);
    let mut client = edge.http2().await;
    let request = http::Request::get("http://shop.example/x?y")
        .header("x-forwarded-for", "1.2.3.4")
        .body(empty())
        .unwrap();
    let body = soon(client.send_request(request))
        .await
        .unwrap()
        .into_body();
    let body = body.collect().await.unwrap().to_bytes();
    let body = std::str::from_utf8(&body).unwrap();
    assert_eq!(
        lines(body),
        [
            "/x?y",
            "host: shop.example",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-proto: http"
        ]
    );
}

#[tokio::test]
async fn a_response_says_nothing_about_the_connection() {
    let edge = Edge::new([(
        "/",
        answering(|_| async {
            Response::builder()
                .header("connection", "close, x-hop")
                .header("x-hop", "1")
                .header("keep-alive", "timeout=1")
                .header("transfer-encoding", "chunked")
                .header("upgrade", "h2c")
                .header("x-kept", "1")
                .body(full("hello"))
                .unwrap()
        }),
    )]);
    let mut raw = edge.raw().await;
    for _ in 0..2 {
        raw.send(get("/")).await;
        let reply = raw.reply().await;
        assert_eq!(reply.body, "hello");
        for gone in [
            "connection",
            "x-hop",
            "keep-alive",
            "transfer-encoding",
            "upgrade",
        ] {
            assert_eq!(reply.field(gone), None, "{gone}");
        }
        assert_eq!(reply.field("x-kept"), Some("1"));
    }
}

#[tokio::test]
async fn underscores_pass_where_the_operator_says_so() {
    let config = Config {
        underscores: Underscores::Accept,
        ..Config::default()
    };
    let edge = Edge::with(config, [("/", mirror())]);
    let reply = edge
        .ask("GET / HTTP/1.1\r\nHost: a\r\nX_Y: z\r\n\r\n")
        .await;
    assert!(reply.body.contains("x_y: z"));
}

#[tokio::test]
async fn a_valid_traceparent_is_continued_and_an_invalid_one_replaced() {
    let edge = Edge::new([("/", mirror())]);
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let valid = format!("00-{id}-00f067aa0ba902b7-01");
    let other = format!("00-{id}-00f067aa0ba902b8-01");
    for (fields, continued) in [
        (format!("traceparent: {valid}\r\ntracestate: a=b\r\n"), true),
        ("tracestate: a=b\r\n".to_owned(), false),
        (
            format!(
                "traceparent: {}\r\ntracestate: a=b\r\n",
                valid.to_uppercase()
            ),
            false,
        ),
        (
            format!("traceparent: {valid}\r\ntraceparent: {other}\r\ntracestate: a=b\r\n"),
            false,
        ),
    ] {
        let reply = edge
            .ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"))
            .await;
        let sent: Vec<&str> = reply
            .body
            .lines()
            .filter_map(|line| line.strip_prefix("traceparent: "))
            .collect();
        assert_eq!(sent.len(), 1, "{fields}");
        assert_eq!(sent[0].len(), 55);
        assert_eq!(sent[0].contains(id), continued, "{fields}");
        assert!(!sent[0].contains("00f067aa0ba902b7"), "a span of our own");
        assert_eq!(reply.body.contains("tracestate"), continued, "{fields}");
    }
}
