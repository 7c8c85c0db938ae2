//! Header fields: what crosses, what does not, in both directions.

use http::{HeaderMap, HeaderValue, Response};
use http_body_util::BodyExt;

use super::upstream::*;

/// Answers with the request line's target and every field it saw, one per line, sorted.
async fn mirror() -> Upstream {
    Upstream::http(|request| async move {
        let mut seen: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        seen.sort();
        seen.insert(0, request.uri().to_string());
        ok(full(seen.join("\n")))
    })
    .await
}

#[tokio::test]
async fn fields_of_the_guests_connection_are_not_sent_and_host_is_the_urls() {
    let upstream = mirror().await;
    let mut request = get(&upstream.url("/a?b=c"));
    for (name, value) in [
        ("host", "internal.example"),
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic x"),
        ("upgrade", "websocket"),
        ("http2-settings", "x"),
        ("te", "trailers, deflate"),
        ("expect", "100-continue"),
        ("transfer-encoding", "gzip, chunked"),
        ("x-kept", "1"),
        ("cookie", "a=b"),
    ] {
        request
            .headers_mut()
            .append(name, HeaderValue::from_static(value));
    }
    let seen = text(send(&client(), &upstream.grants(), request).await.unwrap()).await;
    assert_eq!(
        seen,
        format!(
            "/a?b=c\ncookie: a=b\nhost: {}\nte: trailers\nx-kept: 1",
            upstream.address
        )
    );
}

#[tokio::test]
async fn fields_of_the_upstreams_connection_do_not_reach_the_guest() {
    let answer = "HTTP/1.1 200 OK\r\nconnection: close, x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\nupgrade: h2c\r\n\
                  x-kept: 1\r\ncontent-length: 2\r\n\r\nok";
    let upstream = Upstream::bytes(answer).await;
    let response = send(&client(), &upstream.grants(), get(&upstream.url("/")))
        .await
        .unwrap();
    let mut names: Vec<_> = response
        .headers()
        .keys()
        .map(|name| name.as_str().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["content-length", "x-kept"]);
    assert_eq!(text(response).await, "ok");
}

#[tokio::test]
async fn trailers_that_would_frame_or_route_do_not_reach_the_guest() {
    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\
                  x-sum: 1\r\nupgrade: h2c\r\nhost: evil.example\r\ncontent-length: 9\r\n\r\n";
    let upstream = Upstream::bytes(answer).await;
    let response = send(&client(), &upstream.grants(), get(&upstream.url("/")))
        .await
        .unwrap();
    let trailers = response
        .into_body()
        .collect()
        .await
        .unwrap()
        .trailers()
        .cloned()
        .unwrap();
    assert_eq!(
        trailers,
        HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from_static("1"))])
    );
}

#[tokio::test]
async fn redirects_cookies_and_encodings_are_the_guests_business() {
    let upstream = Upstream::http(|_| async {
        Response::builder()
            .status(302)
            .header("location", "http://169.254.169.254/")
            .header("set-cookie", "a=b")
            .header("content-encoding", "gzip")
            .body(full("not gzip"))
            .unwrap()
    })
    .await;
    let client = client();
    for _ in 0..2 {
        let response = send(&client, &upstream.grants(), get(&upstream.url("/")))
            .await
            .unwrap();
        assert_eq!(
            (
                response.status().as_u16(),
                &response.headers()["content-encoding"]
            ),
            (302, &HeaderValue::from_static("gzip"))
        );
        assert_eq!(text(response).await, "not gzip");
    }
    let mirror = mirror().await;
    let seen = text(
        send(&client, &mirror.grants(), get(&mirror.url("/")))
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(seen, format!("/\nhost: {}", mirror.address));
}

#[tokio::test]
async fn a_request_head_over_the_limit_is_not_sent() {
    let upstream = mirror().await;
    let client = Client::new(Settings {
        max_head_bytes: 8192,
        ..settings()
    });
    let mut request = get(&upstream.url("/"));
    request
        .headers_mut()
        .insert("x-large", HeaderValue::from_str(&"a".repeat(9000)).unwrap());
    let outcome = send(&client, &upstream.grants(), request).await;
    assert_eq!(
        outcome.err(),
        Some(Error::HttpRequestHeaderSectionSize(Some(8192)))
    );
    assert_eq!(upstream.accepted(), 0);
}

#[tokio::test]
async fn a_length_that_is_not_one_number_is_not_sent() {
    let upstream = mirror().await;
    for lengths in [
        &["2", "2"][..],
        &["2, 2"],
        &["+2"],
        &["two"],
        &["99999999999999999999"],
    ] {
        let mut request = request("POST", &upstream.url("/"), full("ok"));
        for length in lengths {
            request
                .headers_mut()
                .append("content-length", HeaderValue::from_str(length).unwrap());
        }
        let outcome = send(&client(), &upstream.grants(), request).await;
        assert_eq!(
            outcome.err(),
            Some(Error::HttpRequestBodySize(None)),
            "{lengths:?}"
        );
    }
    assert_eq!(upstream.accepted(), 0);
}
