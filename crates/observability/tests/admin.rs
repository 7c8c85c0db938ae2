//! The admin endpoints over real sockets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use coracle_gateway::{Ending, Exchange, Observer, RequestId};
use coracle_observability::{AccessLog, Admin, AdminHandle, Format, LogWriter, Metrics, Reporter};
use http::{Method, StatusCode};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

struct Fixture {
    handle: AdminHandle,
    metrics: Arc<Metrics>,
    ready: Arc<AtomicBool>,
}

impl Fixture {
    async fn start() -> Self {
        let metrics = Arc::new(Metrics::new());
        let ready = Arc::new(AtomicBool::new(true));
        let flag = Arc::clone(&ready);
        let readiness = move || {
            if flag.load(Relaxed) {
                Ok(())
            } else {
                Err("draining".into())
            }
        };
        let admin = Admin::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let handle = admin.serve(Arc::clone(&metrics), Arc::new(readiness));
        Self {
            handle,
            metrics,
            ready,
        }
    }

    /// Sends a request as it stands and reads until the server closes.
    async fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.handle.local_addr()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(Duration::from_secs(5), stream.read_to_string(&mut answer))
            .await
            .unwrap()
            .unwrap();
        answer
    }

    async fn get(&self, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: admin\r\n\r\n"))
            .await
    }
}

#[tokio::test]
async fn is_alive_and_ready_until_it_drains() {
    let admin = Fixture::start().await;
    assert!(admin.get("/livez").await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(admin.get("/readyz").await.ends_with("\r\n\r\nready\n"));
    admin.ready.store(false, Relaxed);
    let answer = admin.get("/readyz").await;
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("\r\n\r\nnot ready: draining\n"),
        "{answer}"
    );
    assert!(
        admin.get("/livez").await.starts_with("HTTP/1.1 200 OK\r\n"),
        "draining is not dying"
    );
}

#[tokio::test]
async fn answers_nothing_else() {
    let admin = Fixture::start().await;
    assert!(admin.get("/").await.starts_with("HTTP/1.1 404 "));
    assert!(admin.get("/metrics/").await.starts_with("HTTP/1.1 404 "));
    let answer = admin
        .send("POST /metrics HTTP/1.1\r\nhost: admin\r\ncontent-length: 0\r\n\r\n")
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: GET, HEAD\r\n"),
        "{answer}"
    );
    let answer = admin
        .send("HEAD /livez HTTP/1.1\r\nhost: admin\r\n\r\n")
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
    let answer = admin
        .send(&format!(
            "GET /livez HTTP/1.1\r\nx: {}\r\n\r\n",
            "a".repeat(64 << 10)
        ))
        .await;
    assert!(!answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn what_the_gateway_reports_appears_in_metrics_and_access_log() {
    let admin = Fixture::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let writer = LogWriter::new(file.reopen().unwrap(), Format::Json).unwrap();
    let log = AccessLog::new(writer.clone());
    let reporter: Arc<dyn Observer> =
        Arc::new(Reporter::new(Arc::clone(&admin.metrics), Some(log)));
    for number in 0..10 {
        let exchange = Exchange::new(
            RequestId::random(),
            Method::GET,
            format!("/orders/{number}"),
            Arc::clone(&reporter),
        );
        exchange.set_app("shop".into());
        exchange.set_component("orders".into());
        exchange.set_route("/orders/{id}".into());
        exchange.set_status(StatusCode::CREATED);
        exchange.set_ending(Ending::Complete);
        exchange.add_cpu(Duration::from_micros(300));
        exchange.set_peak_memory_bytes(1 << 20);
    }
    let answer = admin.get("/metrics").await;
    assert!(
        answer.contains(
            "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"
        ),
        "{answer}"
    );
    let sample =
        "\ncoracle_requests_total{app=\"shop\",component=\"orders\",status_class=\"2xx\"} 10\n";
    assert!(
        answer.contains(sample) && answer.ends_with("# EOF\n"),
        "{answer}"
    );

    assert!(writer.flush(Duration::from_secs(5)));
    let text = std::fs::read_to_string(file.path()).unwrap();
    let paths: Vec<_> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["path"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(
        paths,
        (0..10)
            .map(|number| format!("/orders/{number}"))
            .collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_dropped_handle_frees_the_address_and_ends_connections() {
    let admin = Fixture::start().await;
    let address = admin.handle.local_addr();
    let mut idle = TcpStream::connect(address).await.unwrap();
    drop(admin);
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), idle.read_to_end(&mut rest))
        .await
        .expect("closed");
    assert!(rest.is_empty());
    while let Err(error) = Admin::bind(address).await {
        assert!(
            error
                .to_string()
                .starts_with("cannot listen on the admin address 127.0.0.1:")
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn says_which_address_is_in_use() {
    let taken = Admin::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let error = Admin::bind(taken.local_addr()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the admin address {} is in use; choose another with `--admin`, or port 0 for any free one",
            taken.local_addr()
        )
    );
    assert!(
        std::error::Error::source(&error)
            .unwrap()
            .to_string()
            .contains("in use")
    );
}
