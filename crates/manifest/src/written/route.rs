//! `[[route]]`. In: a table. Out: a route as written; its component and filters are not looked up yet.

use toml::Spanned;

use super::grants::methods;
use crate::{
    pattern,
    problem::quote,
    reader::{Reader, Shape, Table},
    route::RoutePattern,
};

/// A route as written.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) host: Option<String>,
    pub(crate) path: Option<Spanned<String>>,
    pub(crate) methods: Vec<String>,
    pub(crate) component: Option<Spanned<String>>,
    pub(crate) filters: Vec<Spanned<String>>,
}

const ROUTE: Shape = Shape {
    known: &[
        ("path", "path = \"/orders/{id}\""),
        ("methods", "methods = [\"GET\", \"POST\"]"),
        ("host", "host = \"shop.example.com\""),
        ("component", "component = \"orders\""),
        ("filters", "filters = [\"edge-auth\"]"),
    ],
    later: &[
        ("upstream", "a component answers each route for now"),
        ("headers", "routes match by host, path and method for now"),
        ("mirror", "a component answers each route for now"),
        ("shadow", "a component answers each route for now"),
        ("canary", "a component answers each route for now"),
        ("weight", "a component answers each route for now"),
        (
            "rate-limit",
            "limit `concurrency` in `[component.NAME.limits]`",
        ),
        (
            "timeout",
            "set it on the component: `[component.NAME.limits]`",
        ),
    ],
};

impl Route {
    pub(super) fn read_all(reader: &mut Reader<'_>, root: &Table<'_>) -> Vec<Self> {
        let tables = reader.tables(root, "route", &ROUTE);
        if tables.is_empty() && !root.keys.contains_key("route") {
            let fix = "add `[[route]]` with `path = \"/*\"` and `component = \"NAME\"`";
            reader.report(
                "missing-key",
                None,
                "no route leads to a component".into(),
                "",
                fix,
            );
        }
        let read = |table: Table<'_>| Self {
            host: host(reader, &table),
            path: path(reader, &table),
            methods: methods(reader, &table),
            component: reader.required(&table, "component"),
            filters: reader
                .strings(&table, "filters")
                .map(Spanned::into_inner)
                .unwrap_or_default(),
        };
        tables.into_iter().map(read).collect()
    }
}

fn path(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<Spanned<String>> {
    let path = reader.required(table, "path")?;
    if let Err(error) = RoutePattern::parse(path.get_ref()) {
        let message = format!("{} is not a route path: {error}", quote(path.get_ref()));
        reader.report("route-pattern", path.span(), message, "", error.fix());
        return None;
    }
    Some(path)
}

fn host(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<String> {
    let text = reader.string(table, "host")?;
    let host = text
        .get_ref()
        .strip_suffix('.')
        .unwrap_or(text.get_ref())
        .to_ascii_lowercase();
    if host.starts_with("*.") {
        let until = "write one route for each host, or none to answer any host";
        reader.not_in_this_version(text.span(), "a route for every host below a name", until);
        return None;
    }
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<std::net::IpAddr>()
        .is_ok();
    match pattern::host_name(&host) {
        Err(error) if !address => {
            let message = format!("{} is not a host: {error}", quote(text.get_ref()));
            reader.report(
                "host-pattern",
                text.span(),
                message,
                "",
                "write the name clients ask for, without port",
            );
            None
        }
        _ => Some(host),
    }
}
