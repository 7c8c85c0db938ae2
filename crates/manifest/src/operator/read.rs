//! `host.toml` as text. In: a TOML document. Out: `Operator`, and problems where it is wrong.

use std::{
    net::IpAddr,
    path::{Component, Path, PathBuf},
};

use toml::{Spanned, de::DeTable};

use super::{Allow, Operator};
use crate::{
    app::HostPattern,
    name::AppName,
    network::{Network, NetworkError},
    problem::quote,
    reader::{Reader, Shape, Table},
    written::parsed_name,
};

const HOST: Shape = Shape {
    known: &[("allow", "[allow]"), ("app", "[app.NAME.allow]")],
    later: &[
        ("bucket", "buckets are embedded or in memory for now"),
        ("secret", "there are no secrets for now"),
        ("listen", "use `--listen`"),
        ("admin", "use `--admin`"),
        (
            "defaults",
            "limits are set in the manifest: `[component.NAME.limits]`",
        ),
        (
            "limits",
            "limits are set in the manifest: `[component.NAME.limits]`",
        ),
        ("tls", "put a proxy that ends TLS before coracle"),
    ],
};

const APP: Shape = Shape {
    known: &[("allow", "[app.NAME.allow]")],
    later: &[
        ("bucket", "buckets are embedded or in memory for now"),
        ("secret", "there are no secrets for now"),
        (
            "isolation",
            "all components run in the common process for now",
        ),
    ],
};

const ALLOW: Shape = Shape {
    known: &[
        ("hosts", "hosts = [\"localhost\", \"*.internal\"]"),
        ("networks", "networks = [\"10.0.0.0/8\"]"),
        ("directories", "directories = [\"/srv/data\"]"),
    ],
    later: &[
        ("secrets", "there are no secrets for now"),
        ("resources", "every resource is the app's own for now"),
    ],
};

pub(super) fn operator(reader: &mut Reader<'_>, document: &DeTable<'_>) -> Operator {
    let root = reader.root(document, &HOST);
    let mut operator = Operator {
        file: Some(reader.source.file.clone()),
        ..Operator::default()
    };
    operator.every = allow(reader, &root);
    for (key, table) in reader.named(&root, "app", &APP) {
        let allow = allow(reader, &table);
        if let Some(name) = parsed_name(reader, &key, AppName::parse) {
            operator.apps.insert(name, allow);
        }
    }
    operator
}

fn allow(reader: &mut Reader<'_>, parent: &Table<'_>) -> Allow {
    let Some(table) = reader.table(parent, "allow", &ALLOW) else {
        return Allow::default();
    };
    Allow {
        hosts: each(reader, &table, "hosts", host),
        networks: each(reader, &table, "networks", network),
        directories: each(reader, &table, "directories", directory),
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
