//! The embedded store beside redb alone, on the same disk in the same round.

use std::{hint::black_box, path::Path, time::Instant};

use coracle_backends::embedded::{Config, Store};
use coracle_capability::{
    contract::Shared,
    keyvalue::{Call, KeyValue},
};
use redb::{Database, ReadableDatabase as _, TableDefinition};

use super::{Figure, layers::key};
use crate::{
    machine,
    statistics::{Calls, Rounds},
    verdict::Promise,
};

const KEYS: usize = 10_000;
const READS: usize = 50_000;
const SINGLE_WRITES: usize = 200;
const WRITERS: usize = 64;
const EACH: usize = 100;
const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("alone");

const GET: Promise = Promise::at_most("embedded get, p50", 5.0, 0.0, " µs").must();
const SETS: Promise = Promise::at_least(
    "durable sets of 64 writers, of what redb alone does",
    50.0,
    0.0,
    " %",
)
.must();

pub(super) async fn measure(dir: &Path, rounds: u32) -> anyhow::Result<Vec<Figure>> {
    let directory = tempfile::tempdir_in(dir)?;
    let store = Store::open(&Config::new(directory.path().join("store")))?;
    let bucket = store.bucket("bench", "bucket");
    let alone = Database::create(directory.path().join("alone.redb"))?;
    for keys in (0..KEYS).collect::<Vec<_>>().chunks(1_000) {
        let pairs: Vec<_> = keys.iter().map(|&at| (key(at), vec![b'v'; 64])).collect();
        insert(&alone, &pairs)?;
        bucket.call(Call::SetMany { pairs }).await?;
    }
    let mut ours: [Rounds; 3] = Default::default();
    let mut theirs: [Rounds; 3] = Default::default();
    for _ in 0..rounds {
        machine::wait_for_quiet(super::QUIET, super::QUIET_WAIT);
        let [gets, sets, many] = &mut ours;
        let [gets_alone, sets_alone, many_alone] = &mut theirs;
        let (get, get_alone) = reads(&bucket, &alone).await?;
        gets.push(get);
        gets_alone.push(get_alone);
        let (set, set_alone) = single_writes(&bucket, &alone).await?;
        sets.push(set);
        sets_alone.push(set_alone);
        many.push(concurrent_writes(&bucket).await?);
        many_alone.push(batches(&alone)?);
    }
    let ([gets, sets, many], [gets_alone, sets_alone, many_alone]) = (ours, theirs);
    let share = many.with(&many_alone, |ours, theirs| 100.0 * ours / theirs);
    Ok(vec![
        Figure {
            what: "embedded get, p50",
            promise: Some((GET, gets.clone())),
            measured: gets,
            unit: "µs",
            beside: vec![("redb alone", gets_alone)],
        },
        Figure {
            what: "durable set, 1 writer, p50",
            promise: None,
            measured: sets,
            unit: "µs",
            beside: vec![("redb alone", sets_alone)],
        },
        Figure {
            what: "durable sets, 64 writers",
            promise: Some((SETS, share)),
            measured: many,
            unit: "/s",
            beside: vec![("redb alone, 64 sets a transaction", many_alone)],
        },
    ])
}

async fn reads(bucket: &Shared<KeyValue>, alone: &Database) -> anyhow::Result<(f64, f64)> {
    let (mut ours, mut theirs) = (Calls::default(), Calls::default());
    for at in 0..READS {
        let key = key(at.wrapping_mul(7_919) % KEYS);
        let call = Call::Get { key: key.clone() };
        black_box(ours.time(bucket.call(call)).await?);
        black_box(theirs.time(async { get(alone, &key) }).await?);
    }
    Ok((ours.p50_ns() / 1e3, theirs.p50_ns() / 1e3))
}

async fn single_writes(bucket: &Shared<KeyValue>, alone: &Database) -> anyhow::Result<(f64, f64)> {
    let (mut ours, mut theirs) = (Calls::default(), Calls::default());
    for at in 0..SINGLE_WRITES {
        ours.time(bucket.call(set(at))).await?;
        theirs
            .time(async { insert(alone, &[(key(at), vec![b'w'; 64])]) })
            .await?;
    }
    Ok((ours.p50_ns() / 1e3, theirs.p50_ns() / 1e3))
}

async fn concurrent_writes(bucket: &Shared<KeyValue>) -> anyhow::Result<f64> {
    let began = Instant::now();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let bucket = Shared::clone(bucket);
            tokio::spawn(async move {
                for at in 0..EACH {
                    bucket.call(set(at * WRITERS + writer)).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for writer in writers {
        writer.await??;
    }
    Ok((WRITERS * EACH) as f64 / began.elapsed().as_secs_f64())
}

/// redb is given the batches that the store has to find itself.
fn batches(alone: &Database) -> anyhow::Result<f64> {
    let began = Instant::now();
    for at in 0..EACH {
        let pairs = (0..WRITERS).map(|writer| (key(at * WRITERS + writer), vec![b'w'; 64]));
        insert(alone, &pairs.collect::<Vec<_>>())?;
    }
    Ok((WRITERS * EACH) as f64 / began.elapsed().as_secs_f64())
}

fn insert(database: &Database, pairs: &[(String, Vec<u8>)]) -> anyhow::Result<()> {
    let transaction = database.begin_write()?;
    let mut table = transaction.open_table(TABLE)?;
    for (key, value) in pairs {
        table.insert(key.as_bytes(), value.as_slice())?;
    }
    drop(table);
    Ok(transaction.commit()?)
}

fn get(database: &Database, key: &str) -> anyhow::Result<Option<Vec<u8>>> {
    let table = database.begin_read()?.open_table(TABLE)?;
    let value = table.get(key.as_bytes())?;
    Ok(value.map(|value| value.value().to_vec()))
}

fn set(at: usize) -> Call {
    Call::Set {
        key: key(at),
        value: vec![b'w'; 64],
    }
}
