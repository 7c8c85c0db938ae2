//! Measures the embedded store beside redb alone, on the same filesystem in the same run.
//!
//! `cargo run --release -p coracle-backends --example embedded_bench [DIRECTORY]`: keys and values of 64 bytes, medians. The
//! directory decides which disk is measured.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measurement prints its figures and stops at the first error"
)]

use std::{
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use coracle_backends::embedded::{Config, Store};
use coracle_capability::{
    contract::Shared,
    keyvalue::{Call, KeyValue},
};
use redb::{Database, ReadableDatabase as _, TableDefinition};

const KEYS: usize = 10_000;
const READS: usize = 200_000;
const SINGLE_WRITES: usize = 300;
const WRITERS: usize = 64;
const ROUNDS: usize = 100;
const REPEATS: usize = 15;
const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("alone");

#[tokio::main]
async fn main() {
    let parent = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    let directory = tempfile::tempdir_in(parent).unwrap();
    let store = Store::open(&Config::new(directory.path().join("store"))).unwrap();
    let bucket = store.bucket("bench", "bucket");
    let alone = alone(directory.path());
    for keys in (0..KEYS).collect::<Vec<_>>().chunks(1_000) {
        let pairs: Vec<_> = keys.iter().map(|&at| (key(at), vec![b'v'; 64])).collect();
        insert(&alone, &pairs);
        bucket.call(Call::SetMany { pairs }).await.unwrap();
    }
    gets(&bucket, &alone).await;
    single_writes(&bucket, &alone).await;
    concurrent_writes(&store, &bucket, &alone).await;
}

async fn gets(bucket: &Shared<KeyValue>, alone: &Database) {
    let mut ours = Vec::with_capacity(READS);
    let mut theirs = Vec::with_capacity(READS);
    let mut opened = Vec::with_capacity(READS);
    let transaction = alone.begin_read().unwrap();
    let table = transaction.open_table(TABLE).unwrap();
    for at in 0..READS {
        let key = key(at.wrapping_mul(7_919) % KEYS);
        let call = Call::Get { key: key.clone() };
        ours.push(timed(async { black_box(bucket.call(call).await.unwrap()) }).await);
        theirs.push(timed(async { black_box(get(alone, &key)) }).await);
        opened.push(
            timed(async {
                black_box(
                    table
                        .get(key.as_bytes())
                        .unwrap()
                        .map(|value| value.value().to_vec()),
                )
            })
            .await,
        );
    }
    println!(
        "get, p50: store {:?}, redb alone {:?}, in an open table {:?}",
        p50(ours),
        p50(theirs),
        p50(opened)
    );
}

async fn single_writes(bucket: &Shared<KeyValue>, alone: &Database) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for at in 0..SINGLE_WRITES {
        ours.push(timed(async { bucket.call(set(at)).await.unwrap() }).await);
        theirs.push(timed(async { insert(alone, &[(key(at), vec![b'w'; 64])]) }).await);
    }
    println!(
        "durable set, 1 writer, p50: store {:?}, redb alone {:?}",
        p50(ours),
        p50(theirs)
    );
}

/// redb alone makes one transaction of 64 sets; the store has to find that batch itself.
async fn concurrent_writes(store: &Store, bucket: &Shared<KeyValue>, alone: &Database) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let before = store.commits();
    for _ in 0..REPEATS {
        let start = Instant::now();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(write(bucket.clone(), writer)))
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        ours.push(start.elapsed() / (WRITERS * ROUNDS) as u32);
        let start = Instant::now();
        for round in 0..ROUNDS {
            let pairs: Vec<_> = (0..WRITERS)
                .map(|writer| (key(round * WRITERS + writer), vec![b'w'; 64]))
                .collect();
            insert(alone, &pairs);
        }
        theirs.push(start.elapsed() / (WRITERS * ROUNDS) as u32);
    }
    let commits = store.commits() - before;
    let ratios = ours
        .iter()
        .zip(&theirs)
        .map(|(ours, theirs)| 100.0 * theirs.as_secs_f64() / ours.as_secs_f64());
    let ratios: Vec<String> = ratios.map(|ratio| format!("{ratio:.0} %")).collect();
    println!(
        "durable sets, {WRITERS} writers: store {:.0}/s, redb alone {:.0}/s, by round {}; {:.1} sets a commit",
        1.0 / p50(ours).as_secs_f64(),
        1.0 / p50(theirs).as_secs_f64(),
        ratios.join(", "),
        (REPEATS * WRITERS * ROUNDS) as f64 / commits as f64
    );
}

async fn write(bucket: Shared<KeyValue>, writer: usize) {
    for round in 0..ROUNDS {
        bucket.call(set(round * WRITERS + writer)).await.unwrap();
    }
}

fn alone(directory: &Path) -> Database {
    Database::create(directory.join("alone.redb")).unwrap()
}

fn insert(database: &Database, pairs: &[(String, Vec<u8>)]) {
    let transaction = database.begin_write().unwrap();
    let mut table = transaction.open_table(TABLE).unwrap();
    for (key, value) in pairs {
        table.insert(key.as_bytes(), value.as_slice()).unwrap();
    }
    drop(table);
    transaction.commit().unwrap();
}

fn get(database: &Database, key: &str) -> Option<Vec<u8>> {
    let transaction = database.begin_read().unwrap();
    let table = transaction.open_table(TABLE).unwrap();
    table
        .get(key.as_bytes())
        .unwrap()
        .map(|value| value.value().to_vec())
}

fn key(at: usize) -> String {
    format!("{at:064}")
}

fn set(at: usize) -> Call {
    Call::Set {
        key: key(at),
        value: vec![b'w'; 64],
    }
}

async fn timed<T>(work: impl Future<Output = T>) -> Duration {
    let start = Instant::now();
    _ = work.await;
    start.elapsed()
}

fn p50(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
