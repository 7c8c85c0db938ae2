use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    thread,
};

use super::*;

/// Answers one connection with these bytes, then closes it.
fn server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = connection.read(&mut request).unwrap();
        connection.write_all(answer).unwrap();
    });
    url
}

#[test]
fn puts_chunks_together_and_keeps_trailers_and_repeated_fields() {
    let url = server(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nSet-Cookie: a\r\nset-cookie: b\r\ntransfer-encoding: chunked\r\n\r\n\
          3\r\nabc\r\n2;ext\r\nde\r\n0\r\nX-Sum: 42\r\n\r\n",
    );
    let answer = get(&url);
    assert_eq!((answer.status, answer.body_text().as_str()), (200, "abcde"));
    assert_eq!(answer.trailer("x-sum"), Some("42"));
    assert_eq!(
        answer
            .headers
            .iter()
            .filter(|(name, _)| name == "set-cookie")
            .count(),
        2
    );
}

#[test]
fn tells_a_torn_answer_from_a_whole_one() {
    for (answer, received) in [
        (&b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc"[..], 3),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
            3,
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
            3,
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc",
            3,
        ),
    ] {
        let outcome = try_request("GET", &server(answer), &[], b"");
        let text = String::from_utf8_lossy(answer).into_owned();
        let Err(Error::Truncated {
            status: 200,
            received: got,
        }) = outcome
        else {
            panic!("{text}: {outcome:?}");
        };
        assert_eq!(got, received, "{text}");
    }
    assert!(matches!(
        try_request("GET", &server(b""), &[], b""),
        Err(Error::NoAnswer)
    ));
}

#[test]
fn reads_no_body_where_none_may_be() {
    let url = server(b"HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(get(&url).body.len(), 0);
    let url = server(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
    assert_eq!(request("HEAD", &url, &[], b"").body.len(), 0);
}

#[test]
fn splits_a_url() {
    assert_eq!(split("http://a:1/b?c=/d"), ("http://a:1", "/b?c=/d"));
    assert_eq!(split("http://a:1"), ("http://a:1", "/"));
}
