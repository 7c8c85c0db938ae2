//! `[bucket.NAME]` and `[secret.NAME]`, of every app or of one. In: tables and the declared backends. Out: bindings whose
//! backend is there, is of a kind that fits, and has a place of its own for the resource.

use std::collections::BTreeMap;

use toml::Spanned;

use super::{
    backend::Declared,
    credential::{Reference, find},
    place,
};
use crate::{
    name::{BucketName, SecretName},
    operator::{BackendKind, Binding},
    problem::quote,
    reader::{Reader, Shape, Table},
    written::parsed_name,
};

/// Whose resources a table binds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Whose {
    /// Those of that name in every app.
    Every,
    /// One app's.
    Own,
}

const BUCKET: Shape = Shape {
    known: &[
        ("backend", "backend = \"main-redis\""),
        ("path", "path = \"apps/auth/keys\""),
    ],
    later: &[("quota", "a bucket has no quota for now")],
};

const SECRET: Shape = Shape {
    known: &[
        ("backend", "backend = \"corp-vault\""),
        ("path", "path = \"apps/shop\""),
        ("field", "field = \"tax\""),
        // Known so that the refusal can give its reason; refused below.
        ("value", ""),
    ],
    later: &[],
};

pub(super) fn buckets(
    reader: &mut Reader<'_>,
    parent: &Table<'_>,
    declared: &[Declared],
    whose: Whose,
) -> BTreeMap<BucketName, Binding> {
    let mut bindings = BTreeMap::new();
    for (key, table) in reader.named(parent, "bucket", &BUCKET) {
        let name = parsed_name(reader, &key, BucketName::parse);
        let path = reader.string(&table, "path");
        let keeps = BackendKind::keeps_buckets;
        let Some((backend, kind)) = backend(reader, &table, declared, "buckets", keeps) else {
            continue;
        };
        let path = path.and_then(|path| bucket_path(reader, &key, &path, kind, whose));
        bindings.extend(name.zip(bound(backend, path, None)));
    }
    bindings
}

pub(super) fn secrets(
    reader: &mut Reader<'_>,
    parent: &Table<'_>,
    declared: &[Declared],
) -> BTreeMap<SecretName, Binding> {
    let mut bindings = BTreeMap::new();
    for (key, table) in reader.named(parent, "secret", &SECRET) {
        let name = parsed_name(reader, &key, SecretName::parse);
        if let Some((value, _)) = table.keys.get_key_value("value") {
            let message = "a secret's value is not written here, only where it is".to_owned();
            let fix = "put it into a file or a variable and bind the secret to a backend of kind `files` or `environment`";
            reader.report("credential", value.span(), message, "", fix);
        }
        let keeps = BackendKind::keeps_secrets;
        let Some((backend, kind)) = backend(reader, &table, declared, "secrets", keeps) else {
            continue;
        };
        let (path, field) = secret_place(reader, &key, &table, kind);
        bindings.extend(name.zip(bound(backend, path, field)));
    }
    bindings
}

/// The backend that is named, when it is there and of a kind that keeps `what`.
pub(super) fn backend<'d>(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    declared: &'d [Declared],
    what: &str,
    keeps: fn(BackendKind) -> bool,
) -> Option<(&'d Declared, BackendKind)> {
    let reference: Reference = reader.required(table, "backend")?;
    let found = find(reader, declared, &reference)?;
    let kind = found.kind?;
    if keeps(kind) {
        return Some((found, kind));
    }
    let kinds: Vec<&str> = BackendKind::ALL
        .into_iter()
        .filter(|kind| keeps(*kind))
        .map(BackendKind::as_str)
        .collect();
    let name = quote(reference.get_ref());
    let message = format!("{name} is of kind `{kind}`: it keeps no {what}");
    let fix = format!("name a backend of one of the kinds {}", kinds.join(", "));
    reader.report("wrong-kind", reference.span(), message, "", fix);
    None
}

pub(super) fn bound(
    backend: &Declared,
    path: Option<String>,
    field: Option<String>,
) -> Option<Binding> {
    Some(Binding {
        backend: backend.name.clone()?,
        settings: backend.settings.clone()?,
        path,
        field,
    })
}

fn bucket_path(
    reader: &mut Reader<'_>,
    key: &Spanned<String>,
    path: &Spanned<String>,
    kind: BackendKind,
    whose: Whose,
) -> Option<String> {
    if matches!(kind, BackendKind::Memory | BackendKind::Embedded) {
        let message = format!("a bucket in a backend of kind `{kind}` has no `path`");
        let fix = "leave it out: the bucket is found by app and name";
        reader.report("backend-path", path.span(), message, "", fix);
        return None;
    }
    // Apps with one bucket name would see each other's keys.
    if whose == Whose::Every {
        let message = "every app's bucket of this name would be in one place".to_owned();
        let name = key.get_ref();
        let fix = format!("leave `path` out, or name the app: `[app.NAME.bucket.{name}]`");
        reader.report("shared-path", path.span(), message, "", fix);
        return None;
    }
    place::path_in(reader, path, kind)
}

/// Where a secret is: in a vault where the operator says, elsewhere under its own name unless the operator says.
fn secret_place(
    reader: &mut Reader<'_>,
    key: &Spanned<String>,
    table: &Table<'_>,
    kind: BackendKind,
) -> (Option<String>, Option<String>) {
    if kind == BackendKind::Vault {
        let path = reader.required(table, "path");
        let path = path.and_then(|path| place::path_in(reader, &path, kind));
        let field = reader.required(table, "field");
        if let Some(field) = field.as_ref().filter(|field| field.get_ref().is_empty()) {
            let fix = "write the name of the field in the vault's secret";
            reader.report("empty", field.span(), "`field` is empty".into(), "", fix);
        }
        return (path, field.map(Spanned::into_inner));
    }
    if let Some((field, _)) = table.keys.get_key_value("field") {
        let message = format!("a secret in a backend of kind `{kind}` has no `field`");
        reader.report("backend-path", field.span(), message, "", "leave it out");
    }
    let own_name = match kind {
        BackendKind::Environment => key.get_ref().to_ascii_uppercase().replace('-', "_"),
        _ => key.get_ref().clone(),
    };
    let path = match reader.string(table, "path") {
        Some(path) => place::path_in(reader, &path, kind),
        None => Some(own_name),
    };
    (path, None)
}
