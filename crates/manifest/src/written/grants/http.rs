//! `http = [...]` in a table of grants. In: a table. Out: where requests may go, and the secrets their headers carry.

use toml::{Spanned, de::DeValue};

use crate::{
    app::{HeaderGrant, HostPattern, HttpGrant, HttpScheme, PathPattern},
    problem::quote,
    reader::{Reader, Shape, Table},
};

mod header;

pub(super) const HTTP: Shape = Shape {
    known: &[
        ("host", "host = \"tax.example.com\""),
        ("port", "port = 8443"),
        ("scheme", "scheme = \"https\""),
        ("methods", "methods = [\"GET\"]"),
        ("path", "path = \"/rates/*\""),
        (
            "headers",
            "headers = { authorization = { secret = \"tax-key\", format = \"Bearer {}\" } }",
        ),
    ],
    later: &[],
};

/// An outbound grant as written, and the names of the secrets in its headers.
#[derive(Debug)]
pub(super) struct HttpWritten {
    pub(super) grant: Option<HttpGrant>,
    pub(super) secrets: Vec<Spanned<String>>,
}

pub(super) fn http(reader: &mut Reader<'_>, table: &Table<'_>) -> HttpWritten {
    let (headers, secrets) = header::headers(reader, table);
    HttpWritten {
        grant: grant(reader, table, headers),
        secrets,
    }
}

fn grant(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    headers: Vec<HeaderGrant>,
) -> Option<HttpGrant> {
    let host =
        reader
            .required(table, "host")
            .and_then(|text| match HostPattern::parse(text.get_ref()) {
                Ok(host) => Some(host),
                Err(error) => {
                    let message = format!("{} is not a host: {error}", quote(text.get_ref()));
                    reader.report("host-pattern", text.span(), message, "", error.fix());
                    None
                }
            });
    let path = match reader.string(table, "path") {
        None => Some(PathPattern::Prefix("/".into())),
        Some(text) => match PathPattern::parse(text.get_ref()) {
            Ok(path) => Some(path),
            Err(error) => {
                let message = format!("{} is not a path pattern: {error}", quote(text.get_ref()));
                reader.report("path-pattern", text.span(), message, "", error.fix());
                None
            }
        },
    };
    let scheme = scheme(reader, table);
    let port = port(reader, table);
    let methods = methods(reader, table);
    Some(HttpGrant {
        host: host?,
        port,
        scheme,
        methods,
        path: path?,
        headers,
    })
}

fn scheme(reader: &mut Reader<'_>, table: &Table<'_>) -> HttpScheme {
    let Some(text) = reader.string(table, "scheme") else {
        return HttpScheme::Https;
    };
    match text.get_ref().as_str() {
        "https" => {}
        "http" => return HttpScheme::Http,
        other => {
            let message = format!("{} is not a scheme", quote(other));
            reader.report(
                "scheme",
                text.span(),
                message,
                "",
                "write `https` or `http`",
            );
        }
    }
    HttpScheme::Https
}

fn port(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<u16> {
    let number = reader.integer(table, "port")?;
    let port = u16::try_from(*number.get_ref())
        .ok()
        .filter(|port| *port != 0);
    if port.is_none() {
        reader.report(
            "out-of-range",
            number.span(),
            "`port` is out of range".into(),
            "",
            "choose from 1 to 65535",
        );
    }
    port
}

/// Methods of a grant or a route: upper case, each once; absent is every method.
pub(in crate::written) fn methods(reader: &mut Reader<'_>, table: &Table<'_>) -> Vec<String> {
    let Some(list) = reader.strings(table, "methods") else {
        return Vec::new();
    };
    let empty = matches!(table.keys.get("methods").map(|v| v.get_ref()), Some(DeValue::Array(a)) if a.is_empty());
    if empty {
        let fix = "leave `methods` out for every method";
        reader.report(
            "method",
            list.span(),
            "`methods` is empty: nothing would match".into(),
            "",
            fix,
        );
    }
    let mut methods: Vec<String> = Vec::new();
    for method in list.into_inner() {
        let text = method.get_ref();
        let upper = text.to_ascii_uppercase();
        let fix = if upper.bytes().all(|b| b.is_ascii_uppercase()) && !upper.is_empty() {
            format!("write {}", quote(&upper))
        } else {
            "write a method of HTTP, as in `GET`".to_owned()
        };
        // RFC 9110 9.1: methods are case-sensitive; all registered ones are upper-case letters and hyphens.
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') {
            reader.report(
                "method",
                method.span(),
                format!("{} is not a method", quote(text)),
                "",
                fix,
            );
        } else if methods.contains(text) {
            reader.report(
                "method",
                method.span(),
                format!("{} is named twice", quote(text)),
                "",
                "leave one out",
            );
        } else {
            methods.push(text.clone());
        }
    }
    methods
}
