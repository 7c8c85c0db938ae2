//! Values of components as files and as environment variables: what is read, what is refused, and that a change is seen.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::{
    ffi::OsString,
    fs,
    os::unix::{ffi::OsStringExt as _, fs::symlink},
};

use coracle_backends::{
    environment::{self, Spelling, Values},
    files::{self, Directory},
};
use coracle_capability::{
    config::{Call, Config, Error, MAX_KEYS, MAX_VALUE_BYTES, Reply, conformance},
    contract::Shared,
};

fn directory() -> (tempfile::TempDir, Shared<Config>) {
    let directory = tempfile::tempdir().unwrap();
    let source = Directory::new(files::Config::new(directory.path())).values();
    (directory, source)
}

fn variables<const N: usize>(spelling: Spelling, them: [(&str, OsString); N]) -> Shared<Config> {
    let them = them.map(|(name, value)| (name.into(), value));
    Values::of(&environment::Config::new("SHOP_"), spelling, them).values()
}

async fn get(source: &Shared<Config>, key: &str) -> Result<Reply, Error> {
    source.call(Call::Get { key: key.into() }).await
}

fn value(text: &str) -> Result<Reply, Error> {
    Ok(Reply::Value(Some(text.into())))
}

fn values(pairs: &[(&str, &str)]) -> Result<Reply, Error> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Ok(Reply::Values(pairs.iter().map(owned).collect()))
}

#[tokio::test]
async fn the_values_of_a_directory_conform() {
    let (directory, source) = directory();
    let put = async |key: &str, value: Option<&str>| match value {
        Some(value) => fs::write(directory.path().join(key), value).unwrap(),
        None => fs::remove_file(directory.path().join(key)).unwrap(),
    };
    for (key, value) in conformance::SEED {
        put(key, Some(value)).await;
    }
    let row = conformance::run(&source, &Directory::VALUES, put).await;
    assert_eq!(row, "| files | yes | yes | yes | no |");
}

#[tokio::test]
async fn the_values_of_the_environment_conform() {
    let [(_, plain), (_, empty), (_, odd), (_, text)] = conformance::SEED;
    let source = variables(
        Spelling::Key,
        [
            ("SHOP_SUITE", plain.into()),
            ("SHOP_SUITE_EMPTY", empty.into()),
            ("SHOP_SUITE_ODD", odd.into()),
            ("SHOP_SUITE_TEXT", text.into()),
            ("SUITE_TEXT", "another's".into()),
        ],
    );
    let row = conformance::run(&source, &Values::VALUES, async |_, _| {}).await;
    assert_eq!(row, "| environment | yes | yes | no | no |");
}

#[tokio::test]
async fn variables_without_the_prefix_are_in_no_answer() {
    let them = || {
        [
            ("SHOP_KEY", "1".into()),
            ("SHOP_", "2".into()),
            ("SHOP_lower", "3".into()),
            ("BLOG_KEY", "4".into()),
            ("SHOPKEY", "5".into()),
            ("PATH", "6".into()),
        ]
    };
    let keys = variables(Spelling::Key, them());
    assert_eq!(keys.call(Call::GetAll).await, values(&[("key", "1")]));
    let names = variables(Spelling::Variable, them());
    let found = [("KEY", "1"), ("lower", "3")];
    assert_eq!(names.call(Call::GetAll).await, values(&found));
    for key in ["", "path", "PATH", "blog-key", "shop-key", "SHOP_KEY"] {
        assert_eq!(get(&keys, key).await, Ok(Reply::Value(None)), "{key:?}");
    }
}

#[tokio::test]
async fn a_variable_that_is_no_text_or_too_large_is_refused_and_not_shown() {
    let source = variables(
        Spelling::Key,
        [
            ("SHOP_BIG", "x".repeat(MAX_VALUE_BYTES + 1).into()),
            ("SHOP_KEY", "1".into()),
        ],
    );
    let too_large = Err(Error::value_too_large("big"));
    assert_eq!(get(&source, "big").await, too_large);
    assert_eq!(source.call(Call::GetAll).await, too_large);
    assert_eq!(get(&source, "key").await, value("1"));
    let bytes = OsString::from_vec(b"canary \xff".into());
    let source = variables(Spelling::Key, [("SHOP_ODD", bytes)]);
    assert_eq!(get(&source, "odd").await, Err(Error::not_text("odd")));
    assert!(!Error::not_text("odd").to_string().contains("canary"));
}

#[tokio::test]
async fn a_link_that_leads_out_of_a_directory_of_values_is_refused_and_one_that_stays_is_followed()
{
    let (directory, source) = directory();
    let inside = |name: &str| directory.path().join(name);
    // As Kubernetes mounts them.
    fs::create_dir(inside("..2026_11_20")).unwrap();
    fs::write(inside("..2026_11_20/issuer"), "shop\n").unwrap();
    symlink("..2026_11_20", inside("..data")).unwrap();
    symlink("..data/issuer", inside("issuer")).unwrap();
    fs::create_dir(inside("below")).unwrap();
    fs::write(inside("below/deeper"), "x").unwrap();
    assert_eq!(
        source.call(Call::GetAll).await,
        values(&[("issuer", "shop")])
    );

    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("canary"), "canary").unwrap();
    symlink(outside.path().join("canary"), inside("out")).unwrap();
    let refused = Err(Error::Failed(
        "\"out\": the file is a link that leads out of its directory".into(),
    ));
    assert_eq!(get(&source, "out").await, refused);
    assert_eq!(source.call(Call::GetAll).await, refused);
    assert_eq!(get(&source, "issuer").await, value("shop"));
}

#[tokio::test]
async fn no_link_on_the_way_to_a_part_of_a_directory_leads_out_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("canary"), "canary").unwrap();
    fs::create_dir_all(directory.path().join("shop/orders")).unwrap();
    fs::write(directory.path().join("shop/orders/region"), "eu").unwrap();
    symlink("shop", directory.path().join("inside")).unwrap();
    symlink(outside.path(), directory.path().join("out")).unwrap();
    let part = |below: &str| {
        let config = files::Config::new(directory.path()).below(Some(below));
        Directory::new(config).values()
    };
    assert_eq!(get(&part("shop/orders"), "region").await, value("eu"));
    assert_eq!(get(&part("inside/orders"), "region").await, value("eu"));
    for below in ["out", "../x", "shop/../../x", "/etc", "absent"] {
        let gone = Err(Error::Unavailable("the directory cannot be opened".into()));
        assert_eq!(part(below).call(Call::GetAll).await, gone, "{below}");
    }
}

#[tokio::test]
async fn a_directory_that_is_gone_is_temporary_and_is_used_again_when_it_is_back() {
    let (directory, source) = directory();
    let path = directory.path().to_owned();
    fs::write(path.join("issuer"), "shop").unwrap();
    fs::rename(&path, path.with_extension("away")).unwrap();
    let gone = Err(Error::Unavailable("the directory cannot be opened".into()));
    assert_eq!(get(&source, "issuer").await, gone);
    assert_eq!(source.call(Call::GetAll).await, gone);
    fs::rename(path.with_extension("away"), &path).unwrap();
    assert_eq!(get(&source, "issuer").await, value("shop"));
}

#[tokio::test]
async fn a_directory_without_measure_is_refused() {
    let (directory, source) = directory();
    for number in 0..=MAX_KEYS {
        fs::write(directory.path().join(number.to_string()), "").unwrap();
    }
    assert_eq!(
        source.call(Call::GetAll).await,
        Err(Error::list_too_large())
    );
    fs::remove_file(directory.path().join("0")).unwrap();
    assert!(source.call(Call::GetAll).await.is_ok());
    let full = "x".repeat(MAX_VALUE_BYTES);
    for number in 1..=16 {
        fs::write(directory.path().join(number.to_string()), &full).unwrap();
    }
    assert_eq!(
        source.call(Call::GetAll).await,
        Err(Error::list_too_large())
    );
}

#[tokio::test]
async fn a_file_that_is_no_text_is_refused_by_its_key() {
    let (directory, source) = directory();
    fs::write(directory.path().join("odd"), b"canary \xff").unwrap();
    assert_eq!(get(&source, "odd").await, Err(Error::not_text("odd")));
    assert_eq!(source.call(Call::GetAll).await, Err(Error::not_text("odd")));
}
