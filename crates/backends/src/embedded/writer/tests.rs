//! Disks that fail in ways that no real one can be made to on demand (FAULTS.md, D3 and D4).

use std::{
    fs::File,
    io::{self, ErrorKind},
    sync::atomic::{AtomicBool, AtomicU64},
};

use coracle_capability::{
    contract::{CallError as _, Shared},
    keyvalue::{Call, KeyValue},
};

use super::*;
use crate::embedded::Store;

/// A file on a disk with faults.
#[derive(Debug)]
struct Faulty {
    file: File,
    /// The disk has no blocks for what lies beyond.
    room: AtomicU64,
    flush_fails: AtomicBool,
    read_fails: AtomicBool,
    forgotten: AtomicBool,
}

impl Medium for Faulty {
    fn len(&self) -> io::Result<u64> {
        Medium::len(&self.file)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.read_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("read"));
        }
        Medium::read(&self.file, offset, out)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if offset + data.len() as u64 > self.room.load(Ordering::SeqCst) {
            return Err(ErrorKind::StorageFull.into());
        }
        Medium::write(&self.file, offset, data)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        Medium::set_len(&self.file, len)
    }

    fn sync(&self) -> io::Result<()> {
        if self.flush_fails.swap(false, Ordering::SeqCst) {
            return Err(io::Error::other("flush"));
        }
        Medium::sync(&self.file)
    }

    /// Others take what is free before it is used.
    fn free_bytes(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn forget_cached(&self) -> io::Result<()> {
        self.forgotten.store(true, Ordering::SeqCst);
        Medium::forget_cached(&self.file)
    }
}

struct Case {
    disk: Arc<Faulty>,
    store: Store,
    bucket: Shared<KeyValue>,
}

impl Case {
    /// A store that keeps no page in memory, so that reads are of the disk.
    fn new() -> Self {
        let disk = Arc::new(Faulty {
            file: tempfile::tempfile().unwrap(),
            room: AtomicU64::new(u64::MAX),
            flush_fails: AtomicBool::new(false),
            read_fails: AtomicBool::new(false),
            forgotten: AtomicBool::new(false),
        });
        let store = Self::open(&disk);
        let bucket = store.bucket("shop", "orders");
        Self {
            disk,
            store,
            bucket,
        }
    }

    fn open(disk: &Arc<Faulty>) -> Store {
        let config = Config {
            cache_bytes: 0,
            ..Config::new("on a disk with faults")
        };
        Store::open_on(disk.clone(), &config).unwrap()
    }

    async fn set(&self, key: &str, length: usize) -> Result<Reply, Error> {
        self.bucket
            .call(Call::Set {
                key: key.into(),
                value: vec![7; length],
            })
            .await
    }

    /// Sets while nothing worse than a full disk is answered.
    async fn set_in_time(&self, key: &str, length: usize) {
        let start = Instant::now();
        while let Err(error) = self.set(key, length).await {
            assert!(
                error.is_temporary() && start.elapsed() < 20 * REST,
                "{error}"
            );
            tokio::time::sleep(REST / 10).await;
        }
    }

    async fn length(&self, key: &str) -> Option<usize> {
        length(&self.bucket, key).await.unwrap()
    }
}

async fn length(bucket: &Shared<KeyValue>, key: &str) -> Result<Option<usize>, Error> {
    match bucket.call(Call::Get { key: key.into() }).await? {
        Reply::Value(value) => Ok(value.map(|value| value.len())),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_commit_that_finds_no_room_acknowledges_nothing_and_later_ones_go_on() {
    let case = Case::new();
    case.set("before", 10).await.unwrap();
    case.disk
        .room
        .store(Medium::len(&*case.disk).unwrap(), Ordering::SeqCst);
    let (small, large) = tokio::join!(case.set("small", 10), case.set("large", 8 << 20));
    assert!(large.unwrap_err().is_temporary());
    assert_eq!(case.length("small").await, small.is_ok().then_some(10));
    assert_eq!(case.length("large").await, None);
    assert_eq!(case.length("before").await, Some(10));

    case.disk.room.store(u64::MAX, Ordering::SeqCst);
    case.set_in_time("large", 8 << 20).await;
    assert_eq!(case.length("large").await, Some(8 << 20));
    assert_eq!(case.length("before").await, Some(10));
}

#[tokio::test]
async fn a_disk_that_takes_nothing_at_all_is_tried_again_later() {
    let case = Case::new();
    case.set("before", 10).await.unwrap();
    case.disk.room.store(0, Ordering::SeqCst);
    assert!(case.set("a", 10).await.unwrap_err().is_temporary());
    tokio::time::sleep(2 * REST).await;
    assert!(case.set("a", 10).await.unwrap_err().is_temporary());
    case.disk.room.store(u64::MAX, Ordering::SeqCst);
    case.set_in_time("a", 10).await;
    assert_eq!(
        (case.length("before").await, case.length("a").await),
        (Some(10), Some(10))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_do_not_notice_that_the_database_is_opened_anew() {
    let case = Case::new();
    case.set("before", 10).await.unwrap();
    let room = Medium::len(&*case.disk).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn({
        let (bucket, done) = (case.bucket.clone(), done.clone());
        async move {
            while !done.load(Ordering::SeqCst) {
                assert_eq!(length(&bucket, "before").await, Ok(Some(10)));
                tokio::task::yield_now().await;
            }
        }
    });
    for _ in 0..3 {
        case.disk.room.store(room, Ordering::SeqCst);
        assert!(case.set("large", 8 << 20).await.unwrap_err().is_temporary());
        case.disk.room.store(u64::MAX, Ordering::SeqCst);
        case.set_in_time("small", 10).await;
    }
    done.store(true, Ordering::SeqCst);
    reader.await.unwrap();
}

#[tokio::test]
async fn a_failed_flush_ends_writing_until_the_store_is_opened_again() {
    let case = Case::new();
    case.set("before", 10).await.unwrap();
    case.disk.flush_fails.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        // The disk works again after the first, and is not believed.
        let error = case.set("after", 10).await.unwrap_err();
        assert!(!error.is_temporary());
        assert!(
            error
                .to_string()
                .contains("takes no writes since its disk failed"),
            "{error}"
        );
    }
    assert!(case.disk.forgotten.load(Ordering::SeqCst));
    let Case {
        disk,
        store,
        bucket,
    } = case;
    drop((store, bucket));
    let bucket = Case::open(&disk).bucket("shop", "orders");
    assert_eq!(length(&bucket, "before").await, Ok(Some(10)));
}

#[tokio::test]
async fn a_disk_that_cannot_be_read_is_said_to_be_that() {
    let case = Case::new();
    case.set("before", 10).await.unwrap();
    case.disk.read_fails.store(true, Ordering::SeqCst);
    let error = length(&case.bucket, "before").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the bucket is unavailable: the embedded store cannot be read from its disk"
    );
}
