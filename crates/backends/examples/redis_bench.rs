//! Measures buckets on Redis beside the client crate alone, on the same server in the same run.
//!
//! `cargo run --release -p coracle-backends --example redis_bench [URL]`: keys and values of 64 bytes, medians, calls of both sides
//! taking turns. Without a URL it starts `redis-server` on a free port, without persistence.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measurement prints its figures and stops at the first error"
)]

use std::{
    hint::black_box,
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use coracle_backends::redis::{BucketSettings, Client, Config};
use coracle_capability::{
    contract::Shared,
    keyvalue::{Call, Granted, KeyValue, grant::Access},
    layer::{
        deadline::Deadline,
        meter::{Counters, Meter},
    },
};
use redis::aio::MultiplexedConnection;

const KEYS: usize = 10_000;
const ROUNDS: usize = 30_000;
const CALLERS: usize = 64;
const CALLS: usize = 1_000;

#[tokio::main]
async fn main() {
    let (url, _server) = match std::env::args().nth(1) {
        Some(url) => (url, None),
        None => {
            let (url, server) = serve();
            (url, Some(server))
        }
    };
    let client = Client::new(Config::new(&url).unwrap()).unwrap();
    let bucket = client.bucket("bench", "bucket", &BucketSettings::default());
    let alone = redis::Client::open(url).unwrap();
    let alone = alone.get_multiplexed_async_connection().await.unwrap();
    for at in 0..KEYS {
        bucket.call(set(at)).await.unwrap();
        write(alone.clone(), at).await;
    }
    gets(&bucket, &alone).await;
    sets(&bucket, &alone).await;
    many(&bucket, &alone).await;
}

async fn gets(bucket: &Shared<KeyValue>, alone: &MultiplexedConnection) {
    let path = layered(bucket.clone());
    let (mut ours, mut whole, mut theirs) = (vec![], vec![], vec![]);
    for at in 0..ROUNDS {
        let at = at.wrapping_mul(7_919) % KEYS;
        ours.push(timed(bucket.call(get(at))).await);
        theirs.push(timed(read(alone.clone(), at)).await);
        whole.push(timed(path.call(get(at))).await);
    }
    let (ours, whole, theirs) = (p50(ours), p50(whole), p50(theirs));
    println!(
        "get, 1 caller, p50: backend {ours:?}, with grant, deadline and meter {whole:?}, client alone {theirs:?}: {:.2} and {:.2} times",
        ratio(ours, theirs),
        ratio(whole, theirs)
    );
}

async fn sets(bucket: &Shared<KeyValue>, alone: &MultiplexedConnection) {
    let (mut ours, mut theirs) = (vec![], vec![]);
    for at in 0..ROUNDS / 3 {
        let at = at.wrapping_mul(7_919) % KEYS;
        ours.push(timed(bucket.call(set(at))).await);
        theirs.push(timed(write(alone.clone(), at)).await);
    }
    let (ours, theirs) = (p50(ours), p50(theirs));
    println!(
        "set, 1 caller, p50: backend {ours:?} with its index, client alone {theirs:?} without: {:.2} times",
        ratio(ours, theirs)
    );
}

async fn many(bucket: &Shared<KeyValue>, alone: &MultiplexedConnection) {
    let (mut ours, mut theirs) = (vec![], vec![]);
    for _ in 0..5 {
        let start = Instant::now();
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let bucket = bucket.clone();
                tokio::spawn(async move {
                    for at in 0..CALLS {
                        black_box(
                            bucket
                                .call(get((at * CALLERS + caller) % KEYS))
                                .await
                                .unwrap(),
                        );
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
        ours.push(start.elapsed());
        let start = Instant::now();
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let alone = alone.clone();
                tokio::spawn(async move {
                    for at in 0..CALLS {
                        read(alone.clone(), (at * CALLERS + caller) % KEYS).await;
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
        theirs.push(start.elapsed());
    }
    let rate = |times| (CALLERS * CALLS) as f64 / p50(times).as_secs_f64();
    println!(
        "gets, {CALLERS} callers: backend {:.0}/s, client alone {:.0}/s",
        rate(ours),
        rate(theirs)
    );
}

fn layered(bucket: Shared<KeyValue>) -> Shared<KeyValue> {
    let deadline = Arc::new(Deadline::new(bucket, Duration::from_secs(5)));
    let meter = Arc::new(Meter::new(deadline, Arc::new(Counters::default())));
    Arc::new(Granted::new(meter, Access::ReadWrite, ""))
}

async fn read(mut connection: MultiplexedConnection, at: usize) {
    let mut command = redis::cmd("GET");
    let value: Option<Vec<u8>> = command
        .arg(key(at))
        .query_async(&mut connection)
        .await
        .unwrap();
    black_box(value);
}

async fn write(mut connection: MultiplexedConnection, at: usize) {
    let mut command = redis::cmd("SET");
    let command = command.arg(key(at)).arg(&[b'w'; 64][..]);
    let (): () = command.query_async(&mut connection).await.unwrap();
}

fn key(at: usize) -> String {
    format!("{at:064}")
}

fn get(at: usize) -> Call {
    Call::Get { key: key(at) }
}

fn set(at: usize) -> Call {
    Call::Set {
        key: key(at),
        value: vec![b'w'; 64],
    }
}

async fn timed<T>(work: impl Future<Output = T>) -> Duration {
    let start = Instant::now();
    _ = black_box(work.await);
    start.elapsed()
}

fn p50(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ratio(ours: Duration, theirs: Duration) -> f64 {
    ours.as_secs_f64() / theirs.as_secs_f64()
}

/// A server for this run. Killed when dropped.
struct Server(Child);

fn serve() -> (String, Server) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    drop(listener);
    let child = Command::new("redis-server")
        .args(["--port", &port, "--bind", "127.0.0.1", "--save", ""])
        .args(["--appendonly", "no"])
        .stdout(Stdio::null())
        .spawn();
    let server = Server(child.unwrap());
    let url = format!("redis://127.0.0.1:{port}");
    let client = redis::Client::open(url.as_str()).unwrap();
    while client.get_connection().is_err() {
        std::thread::sleep(Duration::from_millis(10));
    }
    (url, server)
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}
