//! The named resources of an app. In: buckets and secrets as written, and a profile. Out: what the app has of them, or problems
//! about those that nobody declares.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml::Spanned;

use crate::{
    app::{self, BucketBackend},
    lookup::{Kind, existing},
    name::{BucketName, SecretName},
    problem::quote,
    reader::Reader,
    suggest::nearest,
    written::{self, Manifest, Profile},
};

pub(super) fn buckets(
    reader: &mut Reader<'_>,
    manifest: &Manifest,
    chosen: Option<&Profile>,
    dir: &Path,
) -> BTreeMap<BucketName, app::Bucket> {
    let mut buckets = BTreeMap::new();
    for written in &manifest.buckets {
        let over = chosen.and_then(|p| {
            p.buckets
                .iter()
                .find(|b| b.key.get_ref() == written.key.get_ref())
        });
        let backend = over
            .and_then(|b| b.backend)
            .or(written.backend)
            .unwrap_or(BucketBackend::Embedded);
        let ttl = over.and_then(|b| b.ttl).or(written.ttl);
        let seed = over.and_then(|b| b.seed.as_ref()).or(written.seed.as_ref());
        let seed = seed.and_then(|seed| seed_file(reader, seed, dir));
        if let Some(name) = written.name.clone() {
            buckets.insert(
                name.clone(),
                app::Bucket {
                    name,
                    backend,
                    mock: over.is_some_and(|b| b.backend.is_some()),
                    seed,
                    ttl,
                },
            );
        }
    }
    buckets
}

/// The secrets the manifest declares, with the values of the profile in place of real ones.
pub(super) fn secrets(
    manifest: &Manifest,
    chosen: Option<&Profile>,
) -> BTreeMap<SecretName, app::Secret> {
    let secret = |written: &written::Secret| {
        let mut mocks = chosen.into_iter().flat_map(|p| &p.secrets);
        let over = mocks.find(|s| s.key.get_ref() == written.key.get_ref());
        let name = written.name.clone()?;
        let value = over.and_then(|s| s.value.clone());
        Some((name.clone(), app::Secret { name, value }))
    };
    manifest.secrets.iter().filter_map(secret).collect()
}

/// A seed is read with the host's rights, so it lies in the app's own folder, links followed.
fn seed_file(reader: &mut Reader<'_>, seed: &Spanned<String>, dir: &Path) -> Option<PathBuf> {
    let file = existing(reader, seed, dir, "seed", Kind::File)?;
    if !file.starts_with(dir) {
        let message = format!(
            "the seed {} is outside the app's folder",
            quote(seed.get_ref())
        );
        let fix = "copy it into the folder of the manifest; an app does not read the host's files by naming them";
        reader.report("outside-app", seed.span(), message, "", fix);
    }
    Some(file)
}

pub(super) fn undeclared_bucket(
    reader: &mut Reader<'_>,
    manifest: &Manifest,
    bucket: &Spanned<String>,
    message: String,
) {
    let declared: Vec<&str> = manifest
        .buckets
        .iter()
        .map(|b| b.key.get_ref().as_str())
        .collect();
    let fix = declaring("bucket", bucket.get_ref(), &declared);
    reader.report("no-such-bucket", bucket.span(), message, "", fix);
}

pub(super) fn undeclared_secret(
    reader: &mut Reader<'_>,
    manifest: &Manifest,
    secret: &Spanned<String>,
    message: String,
) {
    let declared: Vec<&str> = manifest
        .secrets
        .iter()
        .map(|s| s.key.get_ref().as_str())
        .collect();
    let fix = declaring("secret", secret.get_ref(), &declared);
    reader.report("no-such-secret", secret.span(), message, "", fix);
}

fn declaring(what: &str, name: &str, declared: &[&str]) -> String {
    match nearest(name, declared) {
        Some(near) => format!("did you mean {}?", quote(near)),
        None => format!("declare it: {}", quote(&format!("[{what}.{name}]"))),
    }
}
