//! The claim on which the mechanism rests: whatever the inspector clears, hyper cuts into the same messages.
//!
//! Pipelines of good messages are mutated; what the inspector clears is given to hyper alone, as in a connection. hyper may refuse
//! more, and then sees fewer requests, but never one that the inspector did not see at the same place.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;

use super::*;

const MESSAGES: &[&str] = &[
    "GET /get HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 31\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b",
    "POST /long HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n\r\n",
    "POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1f;x=y\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n0\r\n\r\n",
    "POST /trailers HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n00a\r\n\r\n0\r\n\r\nGET\r\n0\r\nx: y\r\nz:\r\n\r\n",
    "PUT /empty HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
    "HEAD /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
];

const PIECES: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "\n\n",
    " ",
    "\t",
    "\0",
    ":",
    ";",
    "0",
    "5",
    "f",
    "\u{b}",
    "chunked",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "content-length:\t3 \r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "transfer-encoding : chunked\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    "0\r\n\r\n",
    "GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    " HTTP/1.0",
    "Connection: close\r\n",
];

/// SplitMix64 from a fixed seed: a failure fails again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    fn pipeline(&mut self) -> Vec<u8> {
        let count = 2 + self.below(3);
        let mut bytes: Vec<u8> = (0..count)
            .flat_map(|_| MESSAGES[self.below(MESSAGES.len())].bytes())
            .collect();
        for _ in 0..self.below(4) {
            let at = self.below(bytes.len());
            match self.below(4) {
                0 => drop(bytes.remove(at)),
                1 => bytes[at] = b"\r\n 0:;\tx"[self.below(8)],
                2 => drop(bytes.drain(at..(at + self.below(12)).min(bytes.len()))),
                _ => drop(bytes.splice(at..at, PIECES[self.below(PIECES.len())].bytes())),
            }
        }
        bytes
    }
}

/// The targets the inspector sees, and what it clears.
fn inspected(bytes: &[u8]) -> (Vec<String>, Vec<u8>) {
    let mut inspector = Inspector::new(&Config::default());
    let (mut targets, mut cleared, mut heads) = (Vec::new(), 0, 0);
    for read in 1..=bytes.len() {
        let from = cleared;
        let inspected = inspector.inspect(&bytes[cleared..read]);
        cleared += inspected.cleared;
        if inspector.heads > heads {
            heads = inspector.heads;
            let head = std::str::from_utf8(&bytes[from..cleared]).unwrap();
            targets.push(head.trim_start().split(' ').nth(1).unwrap().to_owned());
        }
        if inspected.end.is_some() {
            break;
        }
    }
    let whole = Inspector::new(&Config::default()).inspect(bytes);
    assert!(
        whole.end == Some(End::Body) || whole.cleared == cleared,
        "pieces do not matter"
    );
    (targets, bytes[..cleared].to_vec())
}

async fn seen_by_hyper(bytes: Vec<u8>) -> Vec<String> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noting = Arc::clone(&seen);
    let service =
        hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
            noting.lock().unwrap().push(request.uri().to_string());
            async {
                let _ = request.into_body().collect().await;
                Ok::<_, Infallible>(http::Response::new(Empty::<Bytes>::new()))
            }
        });
    let io = TokioIo::new(tokio::io::join(&*bytes, tokio::io::sink()));
    let _ = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(io, service)
        .await;
    let seen = seen.lock().unwrap();
    seen.to_vec()
}

#[tokio::test]
async fn hyper_cuts_what_is_cleared_into_the_same_messages() {
    let mut dice = Dice(1);
    let (mut requests, mut whole) = (0, 0);
    for _ in 0..200_000 {
        let bytes = dice.pipeline();
        let (targets, cleared) = inspected(&bytes);
        let seen = seen_by_hyper(cleared).await;
        assert!(
            targets.starts_with(&seen),
            "{:?}: hyper saw {seen:?}, the inspector {targets:?}",
            String::from_utf8_lossy(&bytes)
        );
        requests += seen.len();
        whole += usize::from(targets.len() == seen.len());
    }
    assert!(
        requests > 200_000 && whole > 150_000,
        "the comparison compares something: {requests} {whole}"
    );
}
