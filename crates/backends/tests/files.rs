//! Secrets as files: what is read, what is refused, and that a change is seen.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

use std::{fs, os::unix::fs::symlink, path::Path};

use coracle_backends::files::{Config, Directory};
use coracle_capability::{
    contract::Shared,
    secrets::{Call, Error, MAX_SECRET_BYTES, Reply, Revealed, Secrets, conformance},
};

fn directory() -> (tempfile::TempDir, Shared<Secrets>) {
    let directory = tempfile::tempdir().unwrap();
    let store = Directory::new(Config::new(directory.path())).secrets();
    (directory, store)
}

async fn revealed(store: &Shared<Secrets>, name: &str) -> Result<Vec<u8>, Error> {
    let version = match store.call(Call::Get { name: name.into() }).await? {
        Reply::Found { version } => version,
        other => panic!("{other:?}"),
    };
    match store
        .call(Call::Reveal {
            name: name.into(),
            version,
        })
        .await?
    {
        Reply::Revealed(Revealed::Value(value)) => Ok(value.expose().to_vec()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_secrets_of_a_directory_conform() {
    let (directory, store) = directory();
    let put =
        async |name: &str, value: &[u8]| fs::write(directory.path().join(name), value).unwrap();
    for (name, value) in conformance::SEED {
        put(name, value.as_bytes()).await;
    }
    put(conformance::BYTES.0, conformance::BYTES.1).await;
    let row = conformance::run(&store, &Directory::SECRETS, put).await;
    assert_eq!(row, "| files | yes | yes | yes | no | yes |");
}

#[tokio::test]
async fn one_line_break_at_the_end_is_the_editors() {
    let (directory, store) = directory();
    for (written, read) in [
        ("a\n", "a"),
        ("a\r\n", "a"),
        ("a\n\n", "a\n"),
        ("a", "a"),
        ("\n", ""),
        ("", ""),
        (" a \n", " a "),
    ] {
        fs::write(directory.path().join("k"), written).unwrap();
        assert_eq!(
            revealed(&store, "k").await.unwrap(),
            read.as_bytes(),
            "{written:?}"
        );
    }
}

#[tokio::test]
async fn a_link_that_leads_out_is_refused_and_one_that_stays_is_followed() {
    let (directory, store) = directory();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("canary"), "canary").unwrap();
    let inside = |name: &str| directory.path().join(name);
    symlink(outside.path().join("canary"), inside("absolute")).unwrap();
    let up = Path::new("..").join(outside.path().file_name().unwrap());
    symlink(up.join("canary"), inside("relative")).unwrap();
    symlink(outside.path(), inside("way")).unwrap();
    symlink("way/canary", inside("through")).unwrap();
    symlink("/proc/self/environ", inside("proc")).unwrap();
    symlink("itself", inside("itself")).unwrap();
    for name in ["absolute", "relative", "through", "proc", "itself"] {
        match revealed(&store, name).await {
            Err(error @ Error::Failed(_)) => assert!(!error.to_string().contains("canary")),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(
        revealed(&store, "way").await,
        Err(Error::Failed(
            "the file is a link that leads out of its directory".into()
        ))
    );

    // As Kubernetes mounts them.
    fs::create_dir(inside("..2026_11_20")).unwrap();
    fs::write(inside("..2026_11_20/mounted"), "one\n").unwrap();
    symlink("..2026_11_20", inside("..data")).unwrap();
    symlink("..data/mounted", inside("mounted")).unwrap();
    assert_eq!(revealed(&store, "mounted").await.unwrap(), b"one");
}

#[tokio::test]
async fn what_is_no_plain_file_in_the_directory_itself_is_no_secret() {
    let (directory, store) = directory();
    fs::create_dir(directory.path().join("below")).unwrap();
    fs::write(directory.path().join("below/k"), "x").unwrap();
    fs::write(directory.path().join(".hidden"), "x").unwrap();
    let pipe = std::process::Command::new("mkfifo")
        .arg(directory.path().join("pipe"))
        .status();
    assert!(pipe.unwrap().success());
    for name in [
        "below",
        "below/k",
        ".hidden",
        "..data",
        "pipe",
        "absent",
        &"x".repeat(300),
    ] {
        assert_eq!(
            revealed(&store, name).await,
            Err(Error::NotFound),
            "{name:?}"
        );
    }
}

#[tokio::test]
async fn a_file_of_64_kib_is_the_largest() {
    let (directory, store) = directory();
    let path = directory.path().join("k");
    fs::write(&path, "x".repeat(MAX_SECRET_BYTES) + "\r\n").unwrap();
    assert_eq!(revealed(&store, "k").await.unwrap().len(), MAX_SECRET_BYTES);
    for extra in [1, 2, 3, 100 << 20] {
        fs::write(&path, "x").unwrap();
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len((MAX_SECRET_BYTES + extra) as u64)
            .unwrap();
        assert!(
            matches!(revealed(&store, "k").await, Err(Error::TooLarge(_))),
            "{extra}"
        );
    }
}

#[tokio::test]
async fn a_change_within_one_tick_of_the_clock_is_another_version() {
    let (directory, store) = directory();
    let path = directory.path().join("k");
    let mut versions = std::collections::HashSet::new();
    for value in 0..50 {
        fs::write(&path, format!("{value:02}")).unwrap();
        match store.call(Call::Get { name: "k".into() }).await.unwrap() {
            Reply::Found { version } => assert!(versions.insert(version), "{value}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_directory_replaced_as_a_whole_is_read_anew_and_a_missing_one_is_said() {
    let parent = tempfile::tempdir().unwrap();
    let at = parent.path().join("secrets");
    let store = Directory::new(Config::new(&at)).secrets();
    assert!(matches!(revealed(&store, "k").await, Err(Error::Failed(_))));
    for round in ["one", "two"] {
        fs::create_dir(&at).unwrap();
        fs::write(at.join("k"), round).unwrap();
        assert_eq!(revealed(&store, "k").await.unwrap(), round.as_bytes());
        fs::rename(&at, parent.path().join(round)).unwrap();
    }
}

#[tokio::test]
async fn two_apps_with_directories_of_their_own_do_not_see_each_other() {
    let ((shop, shops), (blog, blogs)) = (directory(), directory());
    fs::write(shop.path().join("key"), "shop").unwrap();
    fs::write(blog.path().join("key"), "blog").unwrap();
    fs::write(blog.path().join("only-blog"), "blog").unwrap();
    assert_eq!(revealed(&shops, "key").await.unwrap(), b"shop");
    assert_eq!(revealed(&blogs, "key").await.unwrap(), b"blog");
    let name = blog.path().file_name().unwrap().to_str().unwrap();
    for path in ["only-blog".into(), format!("../{name}/only-blog")] {
        assert_eq!(revealed(&shops, &path).await, Err(Error::NotFound));
    }
}
