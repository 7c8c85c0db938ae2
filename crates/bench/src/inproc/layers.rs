//! What cuts across every capability call: grant, deadline and meter together, and a recording, on a bucket in memory.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use coracle_capability::{
    contract::Shared,
    keyvalue::{Call, Granted, KeyValue, Memory, grant::Access},
    layer::{Counters, Deadline, Meter},
    observe::{Observation, Recorder, Room},
    secrets::DigestKey,
};

use super::Figure;
use crate::{machine, statistics::Rounds, verdict::Promise};

const KEYS: usize = 10_000;
const CALLS: usize = 400_000;
/// Less than what a recording holds.
const RECORDED: usize = 50_000;

const LAYERS: Promise = Promise::at_most(
    "grant, deadline and meter together, a call",
    300.0,
    0.0,
    " ns",
)
.must();
const RECORDING: Promise =
    Promise::at_most("recording to a buffer, a call", 1_000.0, 0.0, " ns").must();

/// As a node puts them around a bucket of its own.
pub(super) fn layered(bucket: Shared<KeyValue>) -> Shared<KeyValue> {
    attached(bounded(bucket))
}

/// What a backend has around it.
pub(super) fn bounded(bucket: Shared<KeyValue>) -> Shared<KeyValue> {
    Arc::new(Deadline::new(bucket, Duration::from_secs(10)))
}

/// What a component has around its bucket.
pub(super) fn attached(bucket: Shared<KeyValue>) -> Shared<KeyValue> {
    let granted = Arc::new(Granted::new(bucket, Access::ReadWrite, ""));
    Arc::new(Meter::new(granted, Arc::new(Counters::default())))
}

pub(super) async fn measure(rounds: u32) -> anyhow::Result<Vec<Figure>> {
    let memory: Shared<KeyValue> = Arc::new(Memory::default());
    let pairs = (0..KEYS).map(|at| (key(at), vec![b'v'; 64])).collect();
    memory.call(Call::SetMany { pairs }).await?;
    let path = layered(Arc::clone(&memory));
    let (mut alone, mut layers, mut recordings) =
        (Rounds::default(), Rounds::default(), Rounds::default());
    for _ in 0..rounds {
        machine::wait_for_quiet(super::QUIET, super::QUIET_WAIT);
        let without = gets(&memory, CALLS).await?;
        layers.push(gets(&path, CALLS).await? - without);
        let recorder = Arc::new(Recorder::new(
            DigestKey::new([7; 32]),
            Room::new(1 << 30).share(),
        ));
        let recorded = Observation::Record(Arc::clone(&recorder))
            .bucket("default", &Arc::clone(&memory).into());
        recordings.push(gets(&recorded, RECORDED).await? - without);
        black_box(recorder.take());
        alone.push(without);
    }
    Ok(vec![
        Figure {
            what: "grant, deadline and meter around a get",
            promise: Some((LAYERS, layers.clone())),
            measured: layers,
            unit: "ns",
            beside: vec![("the get in memory itself", alone.clone())],
        },
        Figure {
            what: "recording a get and its answer",
            promise: Some((RECORDING, recordings.clone())),
            measured: recordings,
            unit: "ns",
            beside: vec![("the get in memory itself", alone)],
        },
    ])
}

/// Mean of so many gets in nanoseconds; making the key is part of all.
async fn gets(bucket: &Shared<KeyValue>, calls: usize) -> anyhow::Result<f64> {
    let began = Instant::now();
    for at in 0..calls {
        let key = key(at.wrapping_mul(7_919) % KEYS);
        black_box(bucket.call(Call::Get { key }).await?);
    }
    Ok(began.elapsed().as_nanos() as f64 / calls as f64)
}

/// 64 bytes.
pub(super) fn key(at: usize) -> String {
    format!("{at:064}")
}
