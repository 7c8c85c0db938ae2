//! `[bucket.NAME]`, and the same below a profile. In: a table. Out: what was said; the seed is not looked up yet.

use toml::Spanned;

use super::{component::path, parsed_name};
use crate::{
    app::BucketBackend,
    name::BucketName,
    problem::quote,
    reader::{Reader, Shape, Table},
};

/// A bucket as written.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) key: Spanned<String>,
    pub(crate) name: Option<BucketName>,
    pub(crate) backend: Option<BucketBackend>,
    pub(crate) seed: Option<Spanned<String>>,
}

const BUCKET: Shape = Shape {
    known: &[
        ("backend", "backend = \"memory\""),
        ("seed", "seed = \"keys.json\""),
    ],
    later: &[
        ("quota", "a bucket has no quota for now"),
        (
            "url",
            "a real backend is named in host.toml, in a later version",
        ),
    ],
};

impl Bucket {
    pub(super) fn read_all(reader: &mut Reader<'_>, parent: &Table<'_>) -> Vec<Self> {
        let tables = reader.named(parent, "bucket", &BUCKET);
        let read = |(key, table): (Spanned<String>, Table<'_>)| Self {
            name: parsed_name(reader, &key, BucketName::parse),
            backend: backend(reader, &table),
            seed: reader
                .string(&table, "seed")
                .and_then(|seed| path(reader, seed)),
            key,
        };
        tables.into_iter().map(read).collect()
    }
}

fn backend(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<BucketBackend> {
    let text = reader.string(table, "backend")?;
    match text.get_ref().as_str() {
        "memory" => Some(BucketBackend::Memory),
        "embedded" => Some(BucketBackend::Embedded),
        "redis" | "valkey" | "nats" | "postgres" | "etcd" | "s3" | "dynamodb" | "vault" => {
            let until = "a real backend is named in host.toml, by the operator; here write `embedded` or `memory`";
            reader.not_in_this_version(
                text.span(),
                &format!("the backend {}", quote(text.get_ref())),
                until,
            );
            None
        }
        other => {
            let message = format!("{} is not a backend", quote(other));
            let fix = "write `embedded` (durable, the default) or `memory`; a real backend is named in host.toml";
            reader.report("backend", text.span(), message, "", fix);
            None
        }
    }
}
