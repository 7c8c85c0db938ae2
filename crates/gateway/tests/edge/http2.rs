//! What only HTTP/2 has: prior knowledge, many streams, its own malformed requests.

use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::*;

#[tokio::test]
async fn many_streams_share_a_connection() {
    let edge = Edge::new([(
        "/*",
        answering(|request| async move {
            let path = request.uri().path().to_owned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            text([path.as_bytes(), &body].concat())
        }),
    )]);
    let client = edge.http2().await;
    let asking: Vec<_> = (0..500)
        .map(|n| {
            let mut client = client.clone();
            tokio::spawn(async move {
                client.ready().await.unwrap();
                let request = http::Request::post(format!("http://a/{n}"))
                    .body(full("!"))
                    .unwrap();
                client
                    .send_request(request)
                    .await
                    .unwrap()
                    .into_body()
                    .collect()
                    .await
                    .unwrap()
                    .to_bytes()
            })
        })
        .collect();
    for (n, asked) in asking.into_iter().enumerate() {
        assert_eq!(soon(asked).await.unwrap(), format!("/{n}!"));
    }
}

#[tokio::test]
async fn refuses_in_http2_what_it_refuses_in_http1() {
    let edge = Edge::new([("/*", answering(|_| async { text("reached") }))]);
    let mut client = edge.http2().await;
    for (request, status) in [
        (http::Request::get("http://a/").header("host", "b"), 400),
        (http::Request::get("http://a/").header("x_y", "b"), 400),
        (
            http::Request::get("http://a/").header("expect", "wonders"),
            417,
        ),
        (http::Request::get("http://a/%2e%2e/b"), 400),
        (
            http::Request::builder().method("TRACE").uri("http://a/"),
            501,
        ),
        (http::Request::get("http://a/").header("host", "A"), 200),
    ] {
        let reply = soon(client.send_request(request.body(empty()).unwrap()))
            .await
            .unwrap();
        assert_eq!(reply.status(), status);
        assert!(!reply.headers().contains_key("connection"));
    }
}

#[tokio::test]
async fn a_preface_in_pieces_is_still_http2() {
    let edge = Edge::new([]);
    let mut tcp = tokio::net::TcpStream::connect(edge.address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" {
        tcp.write_all(&[*byte]).await.unwrap();
    }
    tcp.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let mut frame = [0; 9];
    soon(tcp.read_exact(&mut frame)).await.unwrap();
    assert_eq!(frame[3], 4, "the server's SETTINGS");
}

#[tokio::test]
async fn the_preface_inside_an_http1_connection_is_no_request() {
    let edge = Edge::new([("/", answering(|_| async { text("ok") }))]);
    let mut raw = edge.raw().await;
    raw.send(format!("{}PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", get("/")))
        .await;
    assert_eq!(raw.reply().await.status, 200);
    assert_eq!(raw.reply().await.status, 505);
    assert!(raw.closed().await);
}

#[tokio::test]
async fn rapid_resets_end_the_connection() {
    let edge = Edge::new([("/", answering(|_| std::future::pending()))]);
    let mut tcp = tokio::net::TcpStream::connect(edge.address).await.unwrap();
    tcp.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    tcp.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    // GET / http, :authority a, then RST_STREAM(CANCEL), in one write each so that they are pending together.
    let mut storm = Vec::new();
    for stream in (1..2_000_u32).step_by(2) {
        storm.extend([0, 0, 6, 1, 5]);
        storm.extend(stream.to_be_bytes());
        storm.extend([0x82, 0x84, 0x86, 0x41, 0x01, b'a']);
        storm.extend([0, 0, 4, 3, 0]);
        storm.extend(stream.to_be_bytes());
        storm.extend([0, 0, 0, 8]);
    }
    let (mut read, mut write) = tcp.into_split();
    let storming = tokio::spawn(async move {
        let _ = write.write_all(&storm).await;
        write
    });
    let mut received = Vec::new();
    let _ = soon(read.read_to_end(&mut received)).await;
    let enhance_your_calm = [0, 0, 0, 11];
    assert!(
        received
            .windows(4)
            .any(|window| window == enhance_your_calm),
        "{received:?}"
    );
    let _ = storming.await;
}
