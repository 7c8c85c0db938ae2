//! A bucket on Redis through the whole path, beside the client crate alone, on one server started for it. Skipped, and said so, without
//! `redis-server`.

use std::{
    hint::black_box,
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use coracle_backends::redis::{BucketSettings, Client, Config};
use coracle_capability::{
    keyvalue::Call,
    layer::{Breaker, Tolerance},
};
use redis::aio::MultiplexedConnection;

use super::{
    Figure,
    layers::{attached, bounded, key},
};
use crate::{
    machine,
    statistics::{Calls, Rounds},
    verdict::Promise,
};

const KEYS: usize = 10_000;
const READS: usize = 10_000;

const GET: Promise = Promise::at_most(
    "Redis get through the whole path, over the client alone, p50",
    1.3,
    0.0,
    " ×",
)
.must();

pub(super) async fn measure(rounds: u32) -> anyhow::Result<Option<Figure>> {
    let Some((url, _server)) = serve()? else {
        eprintln!("Redis: not measured, there is no redis-server");
        return Ok(None);
    };
    let client = Client::new(Config::new(&url)?)?;
    let bucket = client.bucket("bench", "bucket", &BucketSettings::default());
    // As a node does for a server elsewhere.
    let guarded = Breaker::new(bounded(bucket), Tolerance::default());
    let path = attached(Arc::new(guarded));
    let connection = redis::Client::open(url)?
        .get_multiplexed_async_connection()
        .await?;
    for at in 0..KEYS {
        path.call(Call::Set {
            key: key(at),
            value: vec![b'w'; 64],
        })
        .await?;
        write(connection.clone(), at).await?;
    }
    let (mut ours, mut theirs) = (Rounds::default(), Rounds::default());
    for _ in 0..rounds {
        machine::wait_for_quiet(super::QUIET, super::QUIET_WAIT);
        let (mut whole, mut alone) = (Calls::default(), Calls::default());
        for at in 0..READS {
            let at = at.wrapping_mul(7_919) % KEYS;
            black_box(whole.time(path.call(Call::Get { key: key(at) })).await?);
            black_box(alone.time(read(connection.clone(), at)).await?);
        }
        ours.push(whole.p50_ns() / 1e3);
        theirs.push(alone.p50_ns() / 1e3);
    }
    Ok(Some(Figure {
        what: "Redis get through deadline, breaker, grant and meter, p50",
        promise: Some((GET, ours.with(&theirs, |ours, theirs| ours / theirs))),
        measured: ours,
        unit: "µs",
        beside: vec![("the client crate alone", theirs)],
    }))
}

async fn read(mut connection: MultiplexedConnection, at: usize) -> anyhow::Result<Option<Vec<u8>>> {
    Ok(redis::cmd("GET")
        .arg(key(at))
        .query_async(&mut connection)
        .await?)
}

async fn write(mut connection: MultiplexedConnection, at: usize) -> anyhow::Result<()> {
    let mut command = redis::cmd("SET");
    Ok(command
        .arg(key(at))
        .arg(&[b'w'; 64][..])
        .query_async(&mut connection)
        .await?)
}

/// Killed when dropped.
struct Server(Child);

fn serve() -> anyhow::Result<Option<(String, Server)>> {
    let port = TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port()
        .to_string();
    let started = Command::new("redis-server")
        .args([
            "--port",
            &port,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ])
        .stdout(Stdio::null())
        .spawn();
    let Ok(child) = started else { return Ok(None) };
    let server = Server(child);
    let url = format!("redis://127.0.0.1:{port}");
    let client = redis::Client::open(url.as_str())?;
    for _ in 0..500 {
        if client.get_connection().is_ok() {
            return Ok(Some((url, server)));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    anyhow::bail!("redis-server did not accept connections")
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
