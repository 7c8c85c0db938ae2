//! Which files are opened, and what is said of the others.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use coracle_backends::embedded::{Config, OpenError, Store};
use coracle_capability::keyvalue::{Call, Reply};

use crate::service::Service;

/// A closed store with some data in it.
async fn state() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&Config::new(directory.path())).unwrap();
    for bucket in ["orders", "keys"] {
        let pairs = (0..200)
            .map(|at| (format!("{at}"), vec![at as u8; 100]))
            .collect();
        store
            .bucket("shop", bucket)
            .call(Call::SetMany { pairs })
            .await
            .unwrap();
    }
    directory
}

fn open(directory: &Path) -> Result<Store, OpenError> {
    Store::open(&Config::new(directory))
}

fn error(directory: &Path) -> OpenError {
    match open(directory) {
        Ok(_) => panic!("the store was opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_second_process_is_refused_by_name_of_the_directory() {
    let directory = state().await;
    let store = open(directory.path()).unwrap();
    let expected = format!(
        "another coracle process uses the state directory {:?}",
        directory.path()
    );
    assert_eq!(
        Service::refused(directory.path()),
        format!("refused {expected}")
    );

    let again = error(directory.path());
    assert!(again.is_temporary());
    assert_eq!(again.to_string(), expected);
    drop(store);
    open(directory.path()).unwrap();
}

#[tokio::test]
async fn only_the_owner_may_read_the_file() {
    let directory = state().await;
    let mode = fs::metadata(Config::new(directory.path()).file())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_file_that_is_no_store_is_called_damaged() {
    let directory = state().await;
    let file = Config::new(directory.path()).file();
    let whole = fs::read(&file).unwrap();
    for damaged in [
        b"not a store at all".to_vec(),
        vec![0; 10_000],
        whole[..whole.len() / 2].to_vec(),
    ] {
        fs::write(&file, damaged).unwrap();
        let error = error(directory.path());
        assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
        assert!(
            error.to_string().contains(file.to_str().unwrap()),
            "{error}"
        );
        assert!(!error.is_temporary());
    }
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_not_touched() {
    let directory = state().await;
    let file = Config::new(directory.path()).file();
    let mut newer = fs::read(&file).unwrap();
    // The version byte of both commit slots of redb's header.
    for slot in [64, 192] {
        assert_eq!(newer[slot], 3);
        newer[slot] = 4;
    }
    fs::write(&file, &newer).unwrap();
    let error = error(directory.path());
    assert!(matches!(error, OpenError::Version { .. }), "{error:?}");
    assert!(fs::read(&file).unwrap() == newer);
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let blocked = directory.path().join("file");
    fs::write(&blocked, "").unwrap();
    let error = error(&blocked.join("state"));
    assert!(matches!(error, OpenError::Directory { .. }), "{error:?}");
    assert!(error.to_string().contains("state"), "{error}");
}

/// FAULTS.md, D5. redb compares checksums when it repairs; after a clean close a flipped bit of a page is found only if it
/// breaks the page's form. What must never happen is a panic of the caller or a hang.
#[tokio::test]
async fn a_flipped_bit_never_takes_the_process_along() {
    let directory = state().await;
    let file = Config::new(directory.path()).file();
    let whole = fs::read(&file).unwrap();
    let header = 0..320;
    let pages = (320..whole.len()).step_by(whole.len() / 150);
    for at in header.chain(pages) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&file, flipped).unwrap();
        let Ok(store) = open(directory.path()) else {
            continue;
        };
        let bucket = store.bucket("shop", "orders");
        let list = Call::List {
            prefix: String::new(),
            after: None,
            limit: 1_000,
        };
        if let Ok(Reply::Keys { keys, .. }) = bucket.call(list).await {
            _ = bucket.call(Call::GetMany { keys }).await;
        }
        _ = bucket
            .call(Call::Set {
                key: "new".into(),
                value: vec![1; 5_000],
            })
            .await;
    }
}
