//! A table of grants as written. In: `[component.NAME.grants]` or lines of a command. Out: grants with their places; buckets and
//! directories are not looked up yet.

use toml::{Spanned, de::DeValue};

use super::{component::path, parsed_name, said_before};
use crate::{
    app::{Access, HostPattern, HttpGrant, HttpScheme, KeyvalueGrant, PathPattern},
    name::BucketName,
    problem::quote,
    reader::{Reader, Shape, Table},
};

/// Grants as written.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    pub(crate) keyvalue: Vec<KeyvalueWritten>,
    pub(crate) http: Vec<HttpGrant>,
    pub(crate) files: Vec<FilesGrant>,
    pub(crate) clock: bool,
    pub(crate) randomness: bool,
}

/// A grant of a bucket, and where its bucket and its guest's name for it stand.
#[derive(Debug)]
pub(crate) struct KeyvalueWritten {
    pub(crate) bucket: Spanned<String>,
    pub(crate) alias: Spanned<String>,
    pub(crate) grant: Option<KeyvalueGrant>,
}

/// A grant of a directory.
#[derive(Debug)]
pub(crate) struct FilesGrant {
    pub(crate) dir: Spanned<String>,
    pub(crate) at: Spanned<String>,
    pub(crate) access: Access,
}

/// The keys of a table of grants.
pub(crate) const GRANTS: Shape = Shape {
    known: &[
        (
            "keyvalue",
            "keyvalue = [{ bucket = \"api-keys\", access = \"read\" }]",
        ),
        (
            "http",
            "http = [{ host = \"tax.example.com\", methods = [\"GET\"], path = \"/rates/*\" }]",
        ),
        (
            "files",
            "files = [{ dir = \"etc\", at = \"/etc\", access = \"read\" }]",
        ),
        ("clock", "clock = true"),
        ("randomness", "randomness = true"),
    ],
    later: &[
        (
            "secrets",
            "put the value into `config` for now, and keep the manifest private",
        ),
        (
            "messaging",
            "keyvalue, http, files, clock and randomness can be granted for now",
        ),
        (
            "blobstore",
            "keyvalue, http, files, clock and randomness can be granted for now",
        ),
        (
            "sql",
            "keyvalue, http, files, clock and randomness can be granted for now",
        ),
        (
            "sockets",
            "keyvalue, http, files, clock and randomness can be granted for now",
        ),
    ],
};

const KEYVALUE: Shape = Shape {
    known: &[
        ("bucket", "bucket = \"api-keys\""),
        ("as", "as = \"default\""),
        ("access", "access = \"read-write\""),
        ("prefix", "prefix = \"users/\""),
    ],
    later: &[],
};

const HTTP: Shape = Shape {
    known: &[
        ("host", "host = \"tax.example.com\""),
        ("port", "port = 8443"),
        ("scheme", "scheme = \"https\""),
        ("methods", "methods = [\"GET\"]"),
        ("path", "path = \"/rates/*\""),
    ],
    later: &[(
        "headers",
        "let the component set the header from its `config` for now",
    )],
};

const FILES: Shape = Shape {
    known: &[
        ("dir", "dir = \"etc\""),
        ("at", "at = \"/etc\""),
        ("access", "access = \"read\""),
    ],
    later: &[],
};

impl Grants {
    pub(super) fn of_component(reader: &mut Reader<'_>, component: &Table<'_>) -> Self {
        let table = reader.table(component, "grants", &GRANTS);
        table
            .map(|table| Self::read(reader, &table))
            .unwrap_or_default()
    }

    /// Reads a table of the shape `GRANTS`.
    pub(crate) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        let mut grants = Self {
            clock: reader.flag(table, "clock"),
            randomness: reader.flag(table, "randomness"),
            ..Self::default()
        };
        for table in reader.tables(table, "keyvalue", &KEYVALUE) {
            if let Some(grant) = keyvalue(reader, &table) {
                let earlier = grants
                    .keyvalue
                    .iter()
                    .map(|g| (g.alias.get_ref().as_str(), g.alias.span()));
                if let Some(first) = said_before(earlier, grant.alias.get_ref()) {
                    let message = format!(
                        "two grants open under the name {}",
                        quote(grant.alias.get_ref())
                    );
                    reader.report(
                        "same-name",
                        grant.alias.span(),
                        message,
                        "again here",
                        "give each its own name: `as = \"...\"`",
                    );
                    reader.relate(first, "first here");
                }
                grants.keyvalue.push(grant);
            }
        }
        for table in reader.tables(table, "http", &HTTP) {
            grants.http.extend(http(reader, &table));
        }
        for table in reader.tables(table, "files", &FILES) {
            if let Some(grant) = files(reader, &table) {
                let earlier = grants
                    .files
                    .iter()
                    .map(|g| (g.at.get_ref().as_str(), g.at.span()));
                if let Some(first) = said_before(earlier, grant.at.get_ref()) {
                    let message =
                        format!("two directories are found at {}", quote(grant.at.get_ref()));
                    reader.report(
                        "same-name",
                        grant.at.span(),
                        message,
                        "again here",
                        "give each its own place: `at = \"/...\"`",
                    );
                    reader.relate(first, "first here");
                }
                grants.files.push(grant);
            }
        }
        grants
    }
}

fn keyvalue(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<KeyvalueWritten> {
    let access = access(reader, table);
    let prefix = reader
        .string(table, "prefix")
        .map(Spanned::into_inner)
        .unwrap_or_default();
    let alias = reader.string(table, "as");
    let bucket = reader.required(table, "bucket")?;
    let name = parsed_name(reader, &bucket, BucketName::parse);
    let alias = alias.unwrap_or_else(|| bucket.clone());
    if alias.get_ref().is_empty() {
        let fix = "write the name the guest opens, often `default`";
        reader.report("empty", alias.span(), "`as` is empty".into(), "", fix);
    }
    let grant = name.map(|bucket| KeyvalueGrant {
        bucket,
        alias: alias.get_ref().clone(),
        access,
        prefix,
    });
    Some(KeyvalueWritten {
        bucket,
        alias,
        grant,
    })
}

fn http(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<HttpGrant> {
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
    })
}

fn files(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<FilesGrant> {
    let access = access(reader, table);
    let dir = reader
        .required(table, "dir")
        .and_then(|dir| path(reader, dir));
    let at = reader.required(table, "at")?;
    let dot = |segment: &str| segment == "." || segment == "..";
    let place = at.get_ref();
    if !place.starts_with('/')
        || place.contains("//")
        || place.contains('\0')
        || place.split('/').any(dot)
    {
        let message = format!("{} is not where a guest can find a directory", quote(place));
        reader.report(
            "guest-path",
            at.span(),
            message,
            "",
            "write an absolute path without `.` and `..`, as in `/etc`",
        );
    }
    // `/etc/` is the place `/etc`; the root keeps its slash.
    let trimmed = match place.trim_end_matches('/') {
        "" => "/".to_owned(),
        trimmed => trimmed.to_owned(),
    };
    Some(FilesGrant {
        dir: dir?,
        at: Spanned::new(at.span(), trimmed),
        access,
    })
}

fn access(reader: &mut Reader<'_>, table: &Table<'_>) -> Access {
    let Some(text) = reader.string(table, "access") else {
        return Access::Read;
    };
    match text.get_ref().as_str() {
        "read" => {}
        "read-write" => return Access::ReadWrite,
        other => {
            let message = format!("{} is not an access", quote(other));
            reader.report(
                "access",
                text.span(),
                message,
                "",
                "write `read` or `read-write`",
            );
        }
    }
    Access::Read
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
pub(super) fn methods(reader: &mut Reader<'_>, table: &Table<'_>) -> Vec<String> {
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
