//! `host.toml` as text. In: a TOML document. Out: `Operator`, and problems where it is wrong.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Component, Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use self::{backend::Declared, binding::Whose, values::Placed};
use super::{Allow, HostLimits, Operator, Word, limits::beyond, shown::inside};
use crate::{
    app::HostPattern,
    name::{AppName, SecretName},
    network::{Network, NetworkError},
    problem::quote,
    reader::{Reader, Shape, Table},
    suggest::nearest,
    written::{ceilings, limits, parsed_name},
};

mod backend;
mod binding;
mod credential;
mod endpoint;
mod outbound;
mod place;
mod values;

const HOST: Shape = Shape {
    known: &[
        ("backend", "[backend.NAME]"),
        ("bucket", "[bucket.NAME]"),
        ("secret", "[secret.NAME]"),
        ("config", "[config]"),
        ("environment", "[environment]"),
        ("outbound", "[outbound]"),
        ("limits", "[limits.max]"),
        ("allow", "[allow]"),
        ("app", "[app.NAME.allow]"),
    ],
    later: &[
        ("listen", "use `--listen`"),
        ("admin", "use `--admin`"),
        ("tls", "put a proxy that ends TLS before coracle"),
    ],
};

const APP: Shape = Shape {
    known: &[
        ("bucket", "[app.NAME.bucket.NAME]"),
        ("secret", "[app.NAME.secret.NAME]"),
        ("config", "[app.NAME.config]"),
        ("environment", "[app.NAME.environment]"),
        ("component", "[app.NAME.component.NAME.config]"),
        ("outbound", "[app.NAME.outbound]"),
        ("limits", "[app.NAME.limits.max]"),
        ("allow", "[app.NAME.allow]"),
    ],
    later: &[(
        "isolation",
        "all components run in the common process for now",
    )],
};

const LIMITS: Shape = Shape {
    known: &[
        ("default", "default = { memory = \"64MiB\" }"),
        ("max", "max = { memory = \"256MiB\" }"),
    ],
    later: &[],
};

const ALLOW: Shape = Shape {
    known: &[
        ("hosts", "hosts = [\"localhost\", \"*.internal\"]"),
        ("networks", "networks = [\"10.0.0.0/8\"]"),
        ("directories", "directories = [\"/srv/data\"]"),
        ("secrets", "secrets = [\"tax-key\"]"),
        ("values", "values = [\"config\", \"environment\"]"),
    ],
    later: &[("resources", "every resource is the app's own for now")],
};

/// `dir` is the folder of the file: paths begin in it.
pub(super) fn operator(reader: &mut Reader<'_>, document: &DeTable<'_>, dir: &Path) -> Operator {
    let root = reader.root(document, &HOST);
    let declared = backend::backends(reader, &root, dir);
    credential::check_references(reader, &declared);
    let mut placed = Placed::new();
    let every = word(reader, &root, &declared, &mut placed, Whose::Every, dir);
    let shared: Vec<&str> = names_in(&root, "secret");
    check_allowed_secrets(reader, &root, &shared);
    let mut apps = BTreeMap::new();
    for (key, table) in reader.named(&root, "app", &APP) {
        let mut own = word(reader, &table, &declared, &mut placed, Whose::Own, dir);
        own.components = values::components(reader, &table, &declared, &mut placed);
        check_allowed_secrets(reader, &table, &shared);
        if let Some(name) = parsed_name(reader, &key, AppName::parse) {
            apps.insert(name, own);
        }
    }
    let named = |d: Declared| d.name.zip(d.settings);
    let operator = Operator {
        file: Some(reader.source.file.clone()),
        source: Some(reader.source.concealed()),
        backends: declared.into_iter().filter_map(named).collect(),
        every,
        apps,
    };
    values::check_secrets(reader, &operator, &placed);
    operator
}

/// The names below `key`, whatever is wrong with what they name.
fn names_in<'t>(table: &'t Table<'_>, key: &str) -> Vec<&'t str> {
    match table.keys.get(key).map(Spanned::get_ref) {
        Some(DeValue::Table(named)) => named.iter().map(|(name, _)| &**name.get_ref()).collect(),
        _ => Vec::new(),
    }
}

fn word(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    declared: &[Declared],
    placed: &mut Placed,
    whose: Whose,
    dir: &Path,
) -> Word {
    Word {
        buckets: binding::buckets(reader, table, declared, whose),
        secrets: binding::secrets(reader, table, declared),
        values: values::values(reader, table, declared, placed),
        components: BTreeMap::new(),
        outbound: outbound::outbound(reader, table, dir),
        limits: host_limits(reader, table),
        allow: allow(reader, table),
    }
}

/// Notes secrets that are allowed and bound nowhere. `shared` are those bound for every app.
fn check_allowed_secrets(reader: &mut Reader<'_>, table: &Table<'_>, shared: &[&str]) {
    let own = names_in(table, "secret");
    let Some(DeValue::Table(allow)) = table.keys.get("allow").map(Spanned::get_ref) else {
        return;
    };
    let Some(DeValue::Array(names)) = allow.get("secrets").map(Spanned::get_ref) else {
        return;
    };
    for item in names.iter() {
        let Some(name) = item.get_ref().as_str() else {
            continue;
        };
        // What is no name was told as such.
        let known = shared.contains(&name) || own.contains(&name);
        if known || SecretName::parse(name).is_err() {
            continue;
        }
        let fix = match nearest(name, shared) {
            Some(near) => format!("did you mean {}?", quote(near)),
            None => format!("bind it: `[secret.{name}]` with its `backend`"),
        };
        let message = format!("nothing binds the secret {}", quote(name));
        reader.report("no-such-secret", item.span(), message, "", fix);
    }
}

fn host_limits(reader: &mut Reader<'_>, parent: &Table<'_>) -> HostLimits {
    let Some(table) = reader.table(parent, "limits", &LIMITS) else {
        return HostLimits::default();
    };
    let default = limits(reader, &table, "default");
    let (max, max_reuse) = ceilings(reader, &table, "max");
    let host = HostLimits {
        default,
        max,
        max_reuse,
    };
    for beyond in beyond(&host.default, &host.max) {
        let span = |which: &str| inside(table.keys, &[which, beyond.key]);
        let message = format!("the default of `{}` is above its ceiling", beyond.key);
        let fix = format!("choose at most `{}`", beyond.max);
        reader.report("limit", span("default"), message, "", fix);
        if let Some(max) = span("max") {
            reader.relate(max, "the ceiling");
        }
    }
    host
}

fn allow(reader: &mut Reader<'_>, parent: &Table<'_>) -> Allow {
    let Some(table) = reader.table(parent, "allow", &ALLOW) else {
        return Allow::default();
    };
    Allow {
        hosts: each(reader, &table, "hosts", host),
        networks: each(reader, &table, "networks", network),
        directories: each(reader, &table, "directories", directory),
        secrets: each(reader, &table, "secrets", |reader, text| {
            parsed_name(reader, text, SecretName::parse)
        }),
        values: each(reader, &table, "values", values::allowed),
    }
}

fn each<T>(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    key: &str,
    read: fn(&mut Reader<'_>, &Spanned<String>) -> Option<T>,
) -> Vec<T> {
    let texts = reader
        .strings(table, key)
        .map(Spanned::into_inner)
        .unwrap_or_default();
    texts.iter().filter_map(|text| read(reader, text)).collect()
}

fn host(reader: &mut Reader<'_>, text: &Spanned<String>) -> Option<HostPattern> {
    if text.get_ref().parse::<Network>().is_ok() {
        let message = format!("{} is a network, not a host", quote(text.get_ref()));
        let fix = format!("write `networks = [\"{}\"]`", text.get_ref());
        reader.report("host-pattern", text.span(), message, "", fix);
        return None;
    }
    match HostPattern::parse(text.get_ref()) {
        Ok(host) => Some(host),
        Err(error) => {
            let message = format!("{} is not a host: {error}", quote(text.get_ref()));
            let fix = "write a name, `*.internal`, or an address";
            reader.report("host-pattern", text.span(), message, "", fix);
            None
        }
    }
}

fn network(reader: &mut Reader<'_>, text: &Spanned<String>) -> Option<Network> {
    match text.get_ref().parse() {
        Ok(network) => Some(network),
        Err(error) => {
            let fix = match &error {
                NetworkError::HostBits(network) => format!("write {}", quote(&network.to_string())),
                _ if text.get_ref().parse::<IpAddr>().is_ok() => {
                    format!("write `hosts = [\"{}\"]`", text.get_ref())
                }
                _ => "write it as in `10.0.0.0/8` or `fd00::/8`".to_owned(),
            };
            let message = format!("{} is not a network: {error}", quote(text.get_ref()));
            reader.report("network", text.span(), message, "", fix);
            None
        }
    }
}

fn directory(reader: &mut Reader<'_>, text: &Spanned<String>) -> Option<PathBuf> {
    let path = Path::new(text.get_ref());
    let dots = path
        .components()
        .any(|part| matches!(part, Component::ParentDir | Component::CurDir));
    if !path.is_absolute() || dots || text.get_ref().contains('\0') {
        let message = format!("{} is not an absolute path", quote(text.get_ref()));
        reader.report(
            "directory",
            text.span(),
            message,
            "",
            "write a path that begins with `/` and holds no `..`",
        );
        return None;
    }
    Some(path.to_path_buf())
}
