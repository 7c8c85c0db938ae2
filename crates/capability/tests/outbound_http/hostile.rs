//! FAULTS.md, C4: upstreams that refuse, reset, hang, flood and lie.

use std::{future::pending, io, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, interval},
};

use super::upstream::*;

/// The error of the head, or else of the body.
async fn error_within(upstream: &Upstream, timeouts: Timeouts) -> Option<Error> {
    match send_within(
        &client(),
        &upstream.grants(),
        get(&upstream.url("/")),
        timeouts,
    )
    .await
    {
        Ok(response) => read(response).await.err(),
        Err(error) => Some(error),
    }
}

async fn error_of_answer(answer: impl Into<Vec<u8>>) -> Option<Error> {
    error_within(&Upstream::bytes(answer).await, SHORT).await
}

#[tokio::test]
async fn bad_framing_is_a_protocol_error() {
    for answer in [
        "SSH-2.0-OpenSSH_9.9\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nspace : 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nfolded: 1\r\n 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    ] {
        assert_eq!(
            error_of_answer(answer).await,
            Some(Error::HttpProtocolError),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_body_that_ends_early_or_breaks_its_framing_is_incomplete() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
    ] {
        let error = error_of_answer(answer).await;
        assert!(
            matches!(
                error,
                Some(Error::HttpResponseIncomplete | Error::HttpProtocolError)
            ),
            "{answer:?}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_head_without_end_or_with_too_many_fields_is_too_large() {
    let many = |count: usize| {
        let fields: String = (0..count).map(|n| format!("x-{n}: {n}\r\n")).collect();
        format!("HTTP/1.1 200 OK\r\n{fields}content-length: 0\r\n\r\n")
    };
    assert_eq!(error_of_answer(many(99)).await, None);
    assert_eq!(
        error_of_answer(many(100)).await,
        Some(Error::HttpResponseHeaderSectionSize(None))
    );
    assert_eq!(
        error_of_answer(many(100_000)).await,
        Some(Error::HttpResponseHeaderSectionSize(None))
    );
    let long = format!("HTTP/1.1 200 OK\r\nx: {}", "a".repeat(1 << 20));
    assert_eq!(
        error_of_answer(long).await,
        Some(Error::HttpResponseHeaderSectionSize(None))
    );
}

#[tokio::test]
async fn an_upstream_that_closes_or_resets_before_the_head_ended_the_connection() {
    let closing = Upstream::bytes("").await;
    assert_eq!(
        error_within(&closing, SHORT).await,
        Some(Error::ConnectionTerminated)
    );
    let resetting = Upstream::script(|mut stream, _| async move {
        read_head(&mut stream).await?;
        stream.set_zero_linger()
    })
    .await;
    assert_eq!(
        error_within(&resetting, SHORT).await,
        Some(Error::ConnectionTerminated)
    );
}

#[tokio::test]
async fn an_upstream_that_hangs_is_left_after_the_first_byte_timeout() {
    let upstream = Upstream::script(|mut stream, _| async move {
        read_head(&mut stream).await?;
        pending().await
    })
    .await;
    let started = Instant::now();
    assert_eq!(
        error_within(&upstream, SHORT).await,
        Some(Error::ConnectionReadTimeout)
    );
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_flood_of_informational_heads_is_left_after_the_first_byte_timeout() {
    let upstream = Upstream::script(|mut stream, _| async move {
        read_head(&mut stream).await?;
        loop {
            stream
                .write_all(
                    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n",
                )
                .await?;
        }
    })
    .await;
    assert_eq!(
        error_within(&upstream, SHORT).await,
        Some(Error::ConnectionReadTimeout)
    );
}

#[tokio::test]
async fn a_slow_body_is_read_while_it_moves_and_left_when_it_stops() {
    let upstream = Upstream::script(|mut stream, _| async move {
        read_head(&mut stream).await?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
            .await?;
        let mut tick = interval(Duration::from_millis(60));
        for _ in 0..10 {
            tick.tick().await;
            stream.write_all(b"a").await?;
        }
        pending().await
    })
    .await;
    let response = send_within(
        &client(),
        &upstream.grants(),
        get(&upstream.url("/")),
        SHORT,
    )
    .await
    .unwrap();
    let mut body = response.into_body();
    let mut received = 0;
    let error = loop {
        match tokio::time::timeout(BOUND, body.frame())
            .await
            .unwrap()
            .unwrap()
        {
            Ok(frame) => received += frame.into_data().unwrap().len(),
            Err(error) => break error,
        }
    };
    // Ten bytes took longer than the timeout between two of them.
    assert_eq!((received, error), (10, Error::ConnectionReadTimeout));
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn an_upstream_that_takes_nothing_is_left_after_the_timeout_between_bytes() {
    let upstream = Upstream::script(|stream, _| async move {
        let _open = stream;
        pending().await
    })
    .await;
    let endless =
        stream::repeat_with(|| Ok::<_, Error>(Frame::data(Bytes::from_static(&[0; 64 * 1024]))));
    let request = request(
        "POST",
        &upstream.url("/"),
        StreamBody::new(endless).boxed_unsync(),
    );
    let outcome = send_within(&client(), &upstream.grants(), request, SHORT).await;
    assert_eq!(outcome.err(), Some(Error::ConnectionWriteTimeout));
}

#[tokio::test]
async fn an_endless_body_is_cut_at_the_limit_and_costs_only_what_was_read() {
    let upstream = Upstream::script(|mut stream, _| async move {
        read_head(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        loop {
            stream.write_all(&[b'a'; 16 * 1024]).await?;
        }
    })
    .await;
    let client = Client::new(Settings {
        max_response_bytes: Some(1 << 20),
        ..settings()
    });
    let response = send(&client, &upstream.grants(), get(&upstream.url("/")))
        .await
        .unwrap();
    assert_eq!(
        read(response).await.err(),
        Some(Error::HttpResponseBodySize(Some(1 << 20)))
    );

    let announced = Upstream::bytes("HTTP/1.1 200 OK\r\ncontent-length: 1048577\r\n\r\n").await;
    let outcome = send(&client, &announced.grants(), get(&announced.url("/"))).await;
    assert_eq!(
        outcome.err(),
        Some(Error::HttpResponseBodySize(Some(1 << 20)))
    );
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_not_given_to_the_next_request() {
    let upstream = Upstream::script(|mut stream, n| async move {
        read_head(&mut stream).await?;
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{n}");
        let forged = if n == 0 {
            "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"
        } else {
            ""
        };
        stream
            .write_all(format!("{answer}{forged}").as_bytes())
            .await?;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.map(drop)
    })
    .await;
    let client = client();
    for expected in ["0", "1"] {
        let response = send(&client, &upstream.grants(), get(&upstream.url("/")))
            .await
            .unwrap();
        assert_eq!(text(response).await, expected);
    }
}

#[tokio::test]
async fn a_request_that_may_have_had_an_effect_is_not_repeated() {
    let upstream = Upstream::script(|mut stream, n| async move {
        // The first connection answers once and then takes a request without answering; the others answer.
        for turn in 0.. {
            read_head(&mut stream).await?;
            if n == 0 && turn == 1 {
                return Ok(());
            }
            stream
                .write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{n}").as_bytes())
                .await?;
        }
        Err(io::Error::other("unreachable"))
    })
    .await;
    let post = || request("POST", &upstream.url("/"), empty());
    let client_of_posts = client();
    assert_eq!(
        text(
            send(&client_of_posts, &upstream.grants(), post())
                .await
                .unwrap()
        )
        .await,
        "0"
    );
    assert_eq!(
        send(&client_of_posts, &upstream.grants(), post())
            .await
            .err(),
        Some(Error::ConnectionTerminated)
    );
    assert_eq!(upstream.accepted(), 1);
    assert_eq!(
        text(
            send(&client_of_posts, &upstream.grants(), post())
                .await
                .unwrap()
        )
        .await,
        "1"
    );
}

#[tokio::test]
async fn a_read_that_met_a_connection_closed_while_idle_is_repeated_once() {
    let upstream = Upstream::script(|mut stream, n| async move {
        read_head(&mut stream).await?;
        stream
            .write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{n}").as_bytes())
            .await?;
        if n == 0 {
            read_head(&mut stream).await?;
        }
        Ok(())
    })
    .await;
    let client = client();
    for expected in ["0", "1"] {
        let response = send(&client, &upstream.grants(), get(&upstream.url("/")))
            .await
            .unwrap();
        assert_eq!(text(response).await, expected);
    }
    assert_eq!(upstream.accepted(), 2);
}
