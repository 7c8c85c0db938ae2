//! A credential by reference: `{ file = PATH }`, `{ env = NAME }`, or a place in a vault. In: a table. Out: the reference, never
//! what it refers to. And what only all backends together show: references to nothing, and vaults that wait for each other.

use std::path::Path;

use toml::{Spanned, de::DeValue};

use super::{backend::Declared, place};
use crate::{
    lookup::{Kind, present},
    name::BackendName,
    operator::{BackendKind, Credential},
    problem::quote,
    reader::{Reader, Shape, Table},
    suggest::nearest,
    written::parsed_name,
};

/// The name of a backend where it is used.
pub(super) type Reference = Spanned<String>;

/// A credential as read.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) credential: Option<Credential>,
    /// The vault it is in.
    pub(super) reference: Option<Reference>,
}

const CREDENTIAL: Shape = Shape {
    known: &[
        ("file", "file = \"/run/secrets/redis\""),
        ("env", "env = \"VAULT_TOKEN\""),
        ("backend", "backend = \"corp-vault\""),
        ("path", "path = \"hosts/redis\""),
        ("field", "field = \"password\""),
    ],
    later: &[("command", "let it write a file: `file = \"PATH\"`")],
};

const FORMS: &str = "write `{ file = \"PATH\" }`, `{ env = \"NAME\" }`, or `{ backend = \"VAULT\", path = \"PATH\", field = \"FIELD\" }`";

pub(super) fn credential(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    key: &str,
    dir: &Path,
) -> Option<Read> {
    let value = table.keys.get(key)?;
    // Never quoted: what stands here may be the secret itself.
    if let DeValue::String(_) = value.get_ref() {
        let message = format!("{} is not written here, only where it is", quote(key));
        reader.report("credential", value.span(), message, "", FORMS);
        return None;
    }
    let table = reader.table(table, key, &CREDENTIAL)?;
    let said = |key: &&str| table.keys.contains_key(*key);
    let forms: Vec<&str> = ["file", "env", "backend"]
        .into_iter()
        .filter(said)
        .collect();
    let only = |credential| {
        Some(Read {
            credential,
            reference: None,
        })
    };
    match forms.as_slice() {
        ["backend"] => Some(in_vault(reader, &table)),
        ["file"] => {
            let file = reader.string(&table, "file")?;
            let file = present(reader, &file, dir, "credential", Kind::File);
            only(file.map(Credential::File))
        }
        ["env"] => {
            let name = reader.string(&table, "env")?;
            if place::is_variable(name.get_ref()) {
                return only(Some(Credential::Environment(name.into_inner())));
            }
            let message = format!("{} is not the name of a variable", quote(name.get_ref()));
            let fix = "write letters, digits and `_`, as in `VAULT_TOKEN`";
            reader.report("variable", name.span(), message, "", fix);
            None
        }
        [] => {
            let message = "this does not say where the credential is".to_owned();
            reader.report("credential", table.span.clone(), message, "", FORMS);
            None
        }
        [..] => {
            let message = format!(
                "a credential is in one place, not in {}",
                forms.join(" and ")
            );
            reader.report("credential", table.span.clone(), message, "", FORMS);
            None
        }
    }
}

fn in_vault(reader: &mut Reader<'_>, table: &Table<'_>) -> Read {
    let reference = reader.string(table, "backend");
    let path = reader
        .required(table, "path")
        .and_then(|path| place::path_in(reader, &path, BackendKind::Vault));
    let field = reader.required(table, "field").map(Spanned::into_inner);
    let backend = reference
        .as_ref()
        .and_then(|name| BackendName::parse(name.get_ref()).ok());
    let credential = backend.zip(path).zip(field);
    Read {
        credential: credential.map(|((backend, path), field)| Credential::Vault {
            backend,
            path,
            field,
        }),
        reference,
    }
}

/// Notes references to what is no vault, and vaults whose tokens wait for each other.
pub(super) fn check_references(reader: &mut Reader<'_>, declared: &[Declared]) {
    for reference in declared.iter().flat_map(|d| &d.references) {
        let Some(found) = find(reader, declared, reference) else {
            continue;
        };
        if let Some(kind) = found.kind.filter(|kind| *kind != BackendKind::Vault) {
            let name = quote(reference.get_ref());
            let message = format!("{name} is of kind `{kind}`: it keeps no credentials");
            let fix = "name a backend of kind `vault`, or write `{ file = \"PATH\" }` or `{ env = \"NAME\" }`";
            reader.report("wrong-kind", reference.span(), message, "", fix);
        }
    }
    for (first, start) in declared.iter().enumerate() {
        let cycle = cycle_from(declared, start);
        // Told once, at the first of its vaults.
        let earliest = |d: &&Declared| declared.iter().position(|o| o.key == d.key) >= Some(first);
        if let Some((own, others)) = cycle.split_first()
            && cycle.iter().all(earliest)
        {
            told_cycle(reader, own, others);
        }
    }
}

/// The vaults from `start` back to itself, each the keeper of the token before; empty when there is no way back.
fn cycle_from<'d>(declared: &'d [Declared], start: &'d Declared) -> Vec<&'d Declared> {
    let mut way = vec![start];
    let mut at = start;
    while let Some(next) = keeper(declared, at) {
        if next.key == start.key {
            return way;
        }
        if way.iter().any(|d| d.key == next.key) {
            break;
        }
        way.push(next);
        at = next;
    }
    Vec::new()
}

/// The vault that keeps the token of `vault`.
fn keeper<'d>(declared: &'d [Declared], vault: &Declared) -> Option<&'d Declared> {
    let reference = vault.references.first()?.get_ref();
    vault.kind.filter(|kind| *kind == BackendKind::Vault)?;
    declared.iter().find(|d| d.key.get_ref() == reference)
}

fn told_cycle(reader: &mut Reader<'_>, own: &Declared, others: &[&Declared]) {
    let name = quote(own.key.get_ref());
    let message = match others {
        [] => format!("the token of {name} is kept in {name} itself"),
        _ => format!("the token of {name} is kept in a vault that waits for {name}"),
    };
    let fix = "take one token from elsewhere: `token = { file = \"PATH\" }`";
    let span = own.references.first().map(Spanned::span);
    reader.report("credential-cycle", span, message, "", fix);
    for other in others {
        if let Some(reference) = other.references.first() {
            let waits = format!("{} waits here", quote(other.key.get_ref()));
            reader.relate(reference.span(), &waits);
        }
    }
}

/// The backend that is meant, or a problem.
pub(super) fn find<'d>(
    reader: &mut Reader<'_>,
    declared: &'d [Declared],
    reference: &Reference,
) -> Option<&'d Declared> {
    let name = reference.get_ref();
    let found = declared.iter().find(|d| d.key.get_ref() == name);
    if found.is_none() && parsed_name(reader, reference, BackendName::parse).is_some() {
        let names: Vec<&str> = declared.iter().map(|d| d.key.get_ref().as_str()).collect();
        let is_kind = BackendKind::ALL.iter().any(|kind| kind.as_str() == name);
        let fix = match nearest(name, &names) {
            _ if is_kind => format!("declare it: `[backend.{name}]` with `kind = \"{name}\"`"),
            Some(near) => format!("did you mean {}?", quote(near)),
            None => format!("declare it: `[backend.{name}]` with its `kind`"),
        };
        let message = format!("there is no backend {}", quote(name));
        reader.report("no-such-backend", reference.span(), message, "", fix);
    }
    found
}
