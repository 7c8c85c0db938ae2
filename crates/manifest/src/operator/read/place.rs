//! Places inside a backend as an operator writes them. In: text. Out: text that means one place and stays inside the backend.

use std::path::{Component, Path};

use toml::Spanned;

use crate::{
    operator::BackendKind,
    problem::quote,
    reader::{Reader, Table},
};

/// The `path` of a resource in a backend of this kind, checked by the kind's own rule.
pub(super) fn path_in(
    reader: &mut Reader<'_>,
    path: &Spanned<String>,
    kind: BackendKind,
) -> Option<String> {
    let text = path.get_ref();
    let (inside, fix) = match kind {
        BackendKind::Vault => (
            is_vault_path(text),
            "write it below the mount, without a slash at either end, as in `apps/shop`",
        ),
        BackendKind::Files => (
            is_file_below(text),
            "write the file's path below the backend's directory, without `..`",
        ),
        BackendKind::Environment => (
            is_variable(text),
            "write the variable's name after the backend's prefix: letters, digits and `_`",
        ),
        _ => (
            is_key_prefix(text),
            "write the beginning of its keys: at most 200 visible characters, as in `shop/carts`",
        ),
    };
    checked(
        reader,
        path,
        (inside, fix),
        &format!("a place in a backend of kind `{kind}`"),
    )
}

/// The `path` of values in a backend of this kind: a directory below its own, or the rest of a prefix.
pub(super) fn part_of(
    reader: &mut Reader<'_>,
    path: &Spanned<String>,
    kind: BackendKind,
) -> Option<String> {
    let text = path.get_ref();
    let (inside, fix) = match kind {
        BackendKind::Files => (
            is_file_below(text),
            "write the path of a directory below the backend's own, without `..`",
        ),
        _ => (
            is_variable(text),
            "write what follows the backend's prefix in each name, as in `SHOP_`",
        ),
    };
    checked(
        reader,
        path,
        (inside, fix),
        &format!("a place of values in a backend of kind `{kind}`"),
    )
}

/// The path when it lies inside; else a problem that says what it is not.
fn checked(
    reader: &mut Reader<'_>,
    path: &Spanned<String>,
    (inside, fix): (bool, &str),
    what: &str,
) -> Option<String> {
    let text = path.get_ref();
    if !inside {
        let message = format!("{} is not {what}", quote(text));
        reader.report("backend-path", path.span(), message, "", fix);
    }
    inside.then(|| text.clone())
}

/// A path of Vault's under `key`; `None` is absent, or wrong with its problem.
pub(super) fn vault_text(reader: &mut Reader<'_>, table: &Table<'_>, key: &str) -> Option<String> {
    let text = reader.string(table, key)?;
    if is_vault_path(text.get_ref()) {
        return Some(text.into_inner());
    }
    let message = format!("{} is not a path of a vault", quote(text.get_ref()));
    let fix = "write it without a slash at either end, as in `secret` or `teams/shop`";
    reader.report("backend-path", text.span(), message, "", fix);
    None
}

/// Segments that a URL carries as they are.
fn is_vault_path(text: &str) -> bool {
    let segment = |s: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~@:+".contains(&b);
        !s.is_empty() && s != "." && s != ".." && s.bytes().all(plain)
    };
    text.split('/').all(segment)
}

fn is_file_below(text: &str) -> bool {
    let mut parts = Path::new(text).components();
    let normal = |part| matches!(part, Component::Normal(_));
    !text.is_empty() && !text.contains('\0') && !text.ends_with('/') && parts.all(normal)
}

/// POSIX 8.1: letters, digits and underscores, no digit first.
pub(super) fn is_variable(text: &str) -> bool {
    let inside = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.bytes().all(inside) && text.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

fn is_key_prefix(text: &str) -> bool {
    (1..=200).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}
