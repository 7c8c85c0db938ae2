//! `[bucket.NAME]` and `[secret.NAME]`, and the same below a profile. In: a table. Out: what was said; a seed is not looked up yet.

use std::time::Duration;

use toml::Spanned;

use super::{component::path, limits::duration, parsed_name};
use crate::{
    app::{BucketBackend, MockValue},
    name::{BucketName, SecretName},
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
    pub(crate) ttl: Option<Duration>,
}

/// A secret as written.
#[derive(Debug)]
pub(crate) struct Secret {
    pub(crate) key: Spanned<String>,
    pub(crate) name: Option<SecretName>,
    pub(crate) value: Option<MockValue>,
}

const BUCKET: Shape = Shape {
    known: &[
        ("backend", "backend = \"memory\""),
        ("seed", "seed = \"keys.json\""),
        ("ttl", "ttl = \"10m\""),
        // Known so that the refusal can give its reason; refused below.
        ("url", ""),
    ],
    later: &[("quota", "a bucket has no quota for now")],
};

/// A manifest declares that there is a secret, and nothing of it.
const SECRET: Shape = Shape {
    // Known so that the refusal can give its reason; refused below.
    known: &[("value", ""), ("backend", ""), ("path", ""), ("field", "")],
    later: &[],
};

const MOCK: Shape = Shape {
    known: &[("value", "value = \"mock\"")],
    later: &[],
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
            ttl: duration(
                reader,
                &table,
                "ttl",
                (1_000, 8760 * 3_600_000),
                "1s to 8760h",
            ),
            key,
        };
        tables.into_iter().map(read).collect()
    }
}

impl Secret {
    /// Those a manifest declares.
    pub(super) fn read_all(reader: &mut Reader<'_>, root: &Table<'_>) -> Vec<Self> {
        let tables = reader.named(root, "secret", &SECRET);
        let read = |(key, table): (Spanned<String>, Table<'_>)| {
            refuse_beyond_declaring(reader, &key, &table);
            Self {
                name: parsed_name(reader, &key, SecretName::parse),
                value: None,
                key,
            }
        };
        tables.into_iter().map(read).collect()
    }

    /// Those a profile puts a value in place of.
    pub(super) fn read_mocks(reader: &mut Reader<'_>, profile: &Table<'_>) -> Vec<Self> {
        let tables = reader.named(profile, "secret", &MOCK);
        let read = |(key, table): (Spanned<String>, Table<'_>)| Self {
            name: parsed_name(reader, &key, SecretName::parse),
            value: reader
                .required(&table, "value")
                .map(|value| MockValue::new(value.into_inner())),
            key,
        };
        tables.into_iter().map(read).collect()
    }
}

fn refuse_beyond_declaring(reader: &mut Reader<'_>, key: &Spanned<String>, table: &Table<'_>) {
    let found = |key: &&str| table.keys.get_key_value(*key);
    for (said, _) in ["value", "backend", "path", "field"]
        .iter()
        .filter_map(found)
    {
        let name = key.get_ref();
        let (message, fix) = match said.get_ref().as_ref() {
            "value" => (
                "a manifest holds no secret's value",
                format!(
                    "a profile may hold a mock: `[profile.test.secret.{name}]`; the operator says where the real one is kept"
                ),
            ),
            _ => (
                "a manifest does not say where a secret is kept",
                format!(
                    "leave `[secret.{name}]` empty; the operator binds it in host.toml: `[app.NAME.secret.{name}]`"
                ),
            ),
        };
        reader.report("secret", said.span(), message.into(), "", fix);
    }
}

fn backend(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<BucketBackend> {
    if let Some((url, _)) = table.keys.get_key_value("url") {
        let message = "a manifest does not say where a backend is".to_owned();
        let fix = "the operator does, in host.toml: `[backend.NAME]`, and binds the bucket to it: `[bucket.NAME]`";
        reader.report("backend", url.span(), message, "", fix);
    }
    let text = reader.string(table, "backend")?;
    match text.get_ref().as_str() {
        "memory" => Some(BucketBackend::Memory),
        "embedded" => Some(BucketBackend::Embedded),
        "redis" | "valkey" | "nats" | "postgres" | "etcd" | "s3" | "dynamodb" | "vault" => {
            let message = format!("a manifest does not choose {}", quote(text.get_ref()));
            let fix = "write `embedded` or `memory`, or nothing; the operator binds the bucket in host.toml: `[bucket.NAME]`";
            reader.report(
                "backend",
                text.span(),
                message,
                "the operator's choice",
                fix,
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
