//! `[backend.NAME]`. In: tables. Out: backends with checked settings, and for the bindings what each is, even when a setting
//! of it is wrong.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use toml::Spanned;

use super::{
    credential::{self, Reference},
    endpoint::{self, EndpointError, Protocol},
    outbound::pem,
    place, values,
};
use crate::{
    lookup::{Kind, present},
    name::BackendName,
    operator::{Backend, BackendKind, Credential, Endpoint, Environment, Files, Redis, Vault},
    problem::quote,
    reader::{Reader, Shape, Table},
    suggest::nearest,
    written::{duration, parsed_name},
};

/// A backend as declared. Each hole has its problem.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) key: Spanned<String>,
    pub(super) name: Option<BackendName>,
    pub(super) kind: Option<BackendKind>,
    pub(super) settings: Option<Backend>,
    /// The vaults its credentials are in.
    pub(super) references: Vec<Reference>,
}

const BACKEND: Shape = Shape {
    known: &[
        ("kind", "kind = \"redis\""),
        ("url", "url = \"redis://127.0.0.1:6379/0\""),
        ("username", "username = \"coracle\""),
        ("password", "password = { file = \"/run/secrets/redis\" }"),
        ("address", "address = \"https://vault.internal:8200\""),
        ("mount", "mount = \"secret\""),
        ("token", "token = { env = \"VAULT_TOKEN\" }"),
        ("namespace", "namespace = \"team-a\""),
        ("connections", "connections = 8"),
        ("timeout", "timeout = \"2s\""),
        ("ca", "ca = \"/etc/ssl/backend-ca.pem\""),
        ("dir", "dir = \"/run/secrets\""),
        ("prefix", "prefix = \"CORACLE_SECRET_\""),
    ],
    later: &[
        ("certificate", "authenticate by a credential for now"),
        ("key", "authenticate by a credential for now"),
        ("role", "a vault takes a token for now"),
        ("cluster", "name one server for now"),
        ("sentinel", "name one server for now"),
    ],
};

const REDIS: Protocol = Protocol {
    plain: "redis",
    tls: "rediss",
    port: 6379,
    credential: "password",
};

const VAULT: Protocol = Protocol {
    plain: "http",
    tls: "https",
    port: 8200,
    credential: "token",
};

pub(super) fn backends(reader: &mut Reader<'_>, root: &Table<'_>, dir: &Path) -> Vec<Declared> {
    let tables = reader.named(root, "backend", &BACKEND);
    let read = |(key, table): (Spanned<String>, Table<'_>)| {
        let mut references = Vec::new();
        let kind = kind(reader, &table);
        let settings = kind.and_then(|kind| {
            foreign_settings(reader, &table, kind);
            settings(reader, &table, kind, dir, &mut references)
        });
        Declared {
            name: parsed_name(reader, &key, BackendName::parse),
            key,
            kind,
            settings,
            references,
        }
    };
    tables.into_iter().map(read).collect()
}

fn kind(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<BackendKind> {
    let text = reader.required(table, "kind")?;
    let known = BackendKind::ALL.map(BackendKind::as_str);
    let kind = text.get_ref().as_str();
    if let Some(found) = BackendKind::ALL.into_iter().find(|k| k.as_str() == kind) {
        return Some(found);
    }
    let all = known.join(", ");
    if matches!(
        kind,
        "nats" | "postgres" | "etcd" | "s3" | "dynamodb" | "sqlite"
    ) {
        let until = format!("kinds for now: {all}");
        reader.not_in_this_version(text.span(), &format!("the kind {}", quote(kind)), &until);
        return None;
    }
    let fix = match (kind, nearest(kind, &known)) {
        ("valkey", _) => "write `redis`: valkey speaks its protocol".to_owned(),
        (_, Some(near)) => format!("did you mean {}?", quote(near)),
        _ => format!("kinds: {all}"),
    };
    let message = format!("{} is not a kind of backend", quote(kind));
    reader.report("backend-kind", text.span(), message, "", fix);
    None
}

fn keys_of(kind: BackendKind) -> &'static [&'static str] {
    match kind {
        BackendKind::Memory | BackendKind::Embedded => &[],
        BackendKind::Redis => &[
            "url",
            "username",
            "password",
            "connections",
            "timeout",
            "ca",
        ],
        BackendKind::Vault => &[
            "address",
            "mount",
            "token",
            "namespace",
            "connections",
            "timeout",
            "ca",
        ],
        BackendKind::Files => &["dir"],
        BackendKind::Environment => &["prefix"],
    }
}

/// Notes settings that belong to another kind.
fn foreign_settings(reader: &mut Reader<'_>, table: &Table<'_>, kind: BackendKind) {
    let own = keys_of(kind);
    for (key, _) in BACKEND.known.iter().filter(|(key, _)| *key != "kind") {
        let Some((found, _)) = table
            .keys
            .get_key_value(*key)
            .filter(|_| !own.contains(key))
        else {
            continue;
        };
        let message = format!("a backend of kind `{kind}` has no {}", quote(key));
        let fix = match own {
            [] => "leave it out: this kind has no settings".to_owned(),
            own => format!("settings of this kind: {}", own.join(", ")),
        };
        reader.report("backend-setting", found.span(), message, "", fix);
    }
}

fn settings(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    kind: BackendKind,
    dir: &Path,
    references: &mut Vec<Reference>,
) -> Option<Backend> {
    let mut credential = |reader: &mut Reader<'_>, key: &str| {
        let read = credential::credential(reader, table, key, dir)?;
        references.extend(read.reference);
        read.credential
    };
    match kind {
        BackendKind::Memory => Some(Backend::Memory),
        BackendKind::Embedded => Some(Backend::Embedded),
        BackendKind::Redis => {
            let password = credential(reader, "password");
            redis(reader, table, dir, password).map(Backend::Redis)
        }
        BackendKind::Vault => {
            if !table.keys.contains_key("token") {
                reader.missing(table, "token");
            }
            let token = credential(reader, "token");
            vault(reader, table, dir, token).map(Backend::Vault)
        }
        BackendKind::Files => {
            let written = reader.required(table, "dir")?;
            let dir = present(reader, &written, dir, "directory", Kind::Directory)?;
            Some(Backend::Files(Files { dir }))
        }
        BackendKind::Environment => {
            let prefix = prefix(reader, table)?;
            Some(Backend::Environment(Environment { prefix }))
        }
    }
}

fn redis(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    dir: &Path,
    password: Option<Credential>,
) -> Option<Redis> {
    let url = reader.required(table, "url");
    let server = url.and_then(|url| {
        let parsed = endpoint::parse(url.get_ref(), REDIS).and_then(|(endpoint, path)| {
            let database = match path {
                "" => Some(0),
                digits if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok(),
                _ => None,
            };
            let none = || {
                EndpointError::url(
                    "the URL's path is no database",
                    "end it with the database's number, as in `redis://127.0.0.1:6379/0`",
                )
            };
            Ok((endpoint, database.ok_or_else(none)?))
        });
        told(reader, &url, parsed)
    });
    let username = reader.string(table, "username");
    if let Some(username) = username
        .as_ref()
        .filter(|_| !table.keys.contains_key("password"))
    {
        let fix =
            "add `password = { file = \"PATH\" }`; without both the server's default user is meant";
        let message = "`username` without a `password` says nothing".to_owned();
        reader.report("credential", username.span(), message, "", fix);
    }
    let connections = connections(reader, table);
    let timeout = timeout(reader, table);
    let ca = ca(
        reader,
        table,
        dir,
        server.as_ref().map(|(e, _)| e),
        "rediss://",
    );
    let (endpoint, database) = server?;
    Some(Redis {
        endpoint,
        database,
        username: username.map(Spanned::into_inner),
        password,
        connections,
        timeout,
        ca,
    })
}

fn vault(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    dir: &Path,
    token: Option<Credential>,
) -> Option<Vault> {
    let address = reader.required(table, "address");
    let endpoint = address.and_then(|address| {
        let parsed = endpoint::parse(address.get_ref(), VAULT).and_then(|(endpoint, path)| {
            let whole = || {
                EndpointError::url(
                    "a vault's address has no path",
                    "leave the path out; the engine is named by `mount`",
                )
            };
            path.is_empty().then_some(endpoint).ok_or_else(whole)
        });
        told(reader, &address, parsed)
    });
    let mount = place::vault_text(reader, table, "mount").unwrap_or_else(|| "secret".into());
    let namespace = place::vault_text(reader, table, "namespace");
    let connections = connections(reader, table);
    let timeout = timeout(reader, table);
    let ca = ca(reader, table, dir, endpoint.as_ref(), "https://");
    Some(Vault {
        endpoint: endpoint?,
        mount,
        token: token?,
        namespace,
        connections,
        timeout,
        ca,
    })
}

/// What was parsed, or a problem at the text that does not quote it.
fn told<T>(
    reader: &mut Reader<'_>,
    text: &Spanned<String>,
    parsed: Result<T, EndpointError>,
) -> Option<T> {
    parsed
        .map_err(|e| reader.report(e.rule, text.span(), e.message, "", e.fix))
        .ok()
}

fn connections(reader: &mut Reader<'_>, table: &Table<'_>) -> u16 {
    let Some(number) = reader.integer(table, "connections") else {
        return 8;
    };
    let value = u16::try_from(*number.get_ref())
        .ok()
        .filter(|n| (1..=256).contains(n));
    value.unwrap_or_else(|| {
        let message = "`connections` is out of range".to_owned();
        reader.report(
            "out-of-range",
            number.span(),
            message,
            "",
            "choose from 1 to 256",
        );
        8
    })
}

fn timeout(reader: &mut Reader<'_>, table: &Table<'_>) -> Duration {
    duration(reader, table, "timeout", (1, 300_000), "1ms to 5m").unwrap_or(Duration::from_secs(2))
}

fn ca(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    dir: &Path,
    endpoint: Option<&Endpoint>,
    scheme: &str,
) -> Option<PathBuf> {
    let ca = pem(reader, table, "ca", "authority", dir);
    if let (Some(value), Some(false)) = (table.keys.get("ca"), endpoint.map(|e| e.tls)) {
        let message = "`ca` is of no use without TLS".to_owned();
        let fix = format!("begin the URL with `{scheme}`, or leave `ca` out");
        reader.report("tls", value.span(), message, "", fix);
    }
    ca
}

fn prefix(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<String> {
    let Some(text) = reader.string(table, "prefix") else {
        return (!table.keys.contains_key("prefix")).then(|| values::SECRETS.into());
    };
    if !place::is_variable(text.get_ref()) {
        let message = match text.get_ref().as_str() {
            "" => "an empty prefix makes each variable of the host a secret".to_owned(),
            other => format!("{} cannot begin the name of a variable", quote(other)),
        };
        let fix = "write letters, digits and `_`, as in `CORACLE_SECRET_`, the default";
        reader.report("variable", text.span(), message, "", fix);
        return None;
    }
    Some(text.into_inner())
}
