//! What a component asks for. In: grants as written. Out: grants whose buckets, secrets and directories are there, or problems.

use std::path::Path;

use super::resources::{undeclared_bucket, undeclared_secret};
use crate::{
    app::{self, Grants},
    lookup::{Kind, existing},
    name::SecretName,
    problem::quote,
    reader::Reader,
    written::{self, Manifest},
};

pub(super) fn component_grants(
    reader: &mut Reader<'_>,
    manifest: &Manifest,
    written: &written::Grants,
    dir: &Path,
) -> Grants {
    for keyvalue in &written.keyvalue {
        let bucket = keyvalue.bucket.get_ref();
        if !manifest.buckets.iter().any(|b| b.key.get_ref() == bucket) {
            let message = format!("nobody declares the bucket {}", quote(bucket));
            undeclared_bucket(reader, manifest, &keyvalue.bucket, message);
        }
    }
    let granted = written.secrets.iter().map(|s| &s.name);
    for name in granted.chain(&written.header_secrets) {
        let secret = name.get_ref();
        let declared = manifest.secrets.iter().any(|s| s.key.get_ref() == secret);
        // What is no name was told as such.
        if !declared && SecretName::parse(secret).is_ok() {
            let message = format!("nobody declares the secret {}", quote(secret));
            undeclared_secret(reader, manifest, name, message);
        }
    }
    grants(reader, written, dir)
}

/// Grants with their directories looked up, relative to `dir`. Whether their buckets and secrets are declared is the
/// caller's question.
pub(crate) fn grants(reader: &mut Reader<'_>, written: &written::Grants, dir: &Path) -> Grants {
    let mut files = Vec::new();
    for grant in &written.files {
        if let Some(found) = existing(reader, &grant.dir, dir, "directory", Kind::Directory) {
            files.push(app::FilesGrant {
                dir: found,
                dir_as_written: grant.dir.get_ref().clone(),
                at: grant.at.get_ref().clone(),
                access: grant.access,
            });
        }
    }
    Grants {
        keyvalue: written
            .keyvalue
            .iter()
            .filter_map(|k| k.grant.clone())
            .collect(),
        http: written.http.clone(),
        files,
        secrets: written
            .secrets
            .iter()
            .filter_map(|s| s.grant.clone())
            .collect(),
        clock: written.clock,
        randomness: written.randomness,
    }
}
