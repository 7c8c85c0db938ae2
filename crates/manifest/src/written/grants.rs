//! A table of grants as written. In: `[component.NAME.grants]` or lines of a command. Out: grants with their places; buckets,
//! secrets and directories are not looked up yet.

use toml::Spanned;

use super::{component::path, parsed_name, said_before};
use crate::{
    app::{Access, HttpGrant, KeyvalueGrant, SecretGrant},
    name::{BucketName, SecretName},
    problem::quote,
    reader::{Reader, Shape, Table},
};

mod http;

pub(super) use http::methods;

/// Grants as written.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    pub(crate) keyvalue: Vec<KeyvalueWritten>,
    pub(crate) http: Vec<HttpGrant>,
    pub(crate) files: Vec<FilesGrant>,
    pub(crate) secrets: Vec<SecretWritten>,
    /// Those in headers of outbound requests.
    pub(crate) header_secrets: Vec<Spanned<String>>,
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

/// A grant of a secret, and where its name stands.
#[derive(Debug)]
pub(crate) struct SecretWritten {
    pub(crate) name: Spanned<String>,
    pub(crate) grant: Option<SecretGrant>,
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
        ("secrets", "secrets = [{ name = \"stripe-key\" }]"),
        ("clock", "clock = true"),
        ("randomness", "randomness = true"),
    ],
    later: &[
        (
            "messaging",
            "keyvalue, http, files, secrets, clock and randomness can be granted for now",
        ),
        (
            "blobstore",
            "keyvalue, http, files, secrets, clock and randomness can be granted for now",
        ),
        (
            "sql",
            "keyvalue, http, files, secrets, clock and randomness can be granted for now",
        ),
        (
            "sockets",
            "keyvalue, http, files, secrets, clock and randomness can be granted for now",
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

const FILES: Shape = Shape {
    known: &[
        ("dir", "dir = \"etc\""),
        ("at", "at = \"/etc\""),
        ("access", "access = \"read\""),
    ],
    later: &[],
};

const SECRET: Shape = Shape {
    known: &[
        ("name", "name = \"stripe-key\""),
        ("reveal", "reveal = true"),
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
                let message = |name: &str| format!("two grants open under the name {name}");
                let fix = "give each its own name: `as = \"...\"`";
                let earlier = grants.keyvalue.iter().map(|g| &g.alias);
                differs(reader, earlier, &grant.alias, message, fix);
                grants.keyvalue.push(grant);
            }
        }
        for table in reader.tables(table, "http", &http::HTTP) {
            let written = http::http(reader, &table);
            grants.http.extend(written.grant);
            grants.header_secrets.extend(written.secrets);
        }
        for table in reader.tables(table, "files", &FILES) {
            if let Some(grant) = files(reader, &table) {
                let message = |place: &str| format!("two directories are found at {place}");
                let fix = "give each its own place: `at = \"/...\"`";
                let earlier = grants.files.iter().map(|g| &g.at);
                differs(reader, earlier, &grant.at, message, fix);
                grants.files.push(grant);
            }
        }
        for table in reader.tables(table, "secrets", &SECRET) {
            if let Some(grant) = secret(reader, &table) {
                let message = |name: &str| format!("the secret {name} is granted twice");
                let earlier = grants.secrets.iter().map(|g| &g.name);
                differs(reader, earlier, &grant.name, message, "keep one of them");
                grants.secrets.push(grant);
            }
        }
        grants
    }
}

/// Notes a text that an earlier grant holds as well.
fn differs<'a>(
    reader: &mut Reader<'_>,
    earlier: impl Iterator<Item = &'a Spanned<String>>,
    text: &Spanned<String>,
    message: impl Fn(&str) -> String,
    fix: &str,
) {
    let earlier = earlier.map(|e| (e.get_ref().as_str(), e.span()));
    if let Some(first) = said_before(earlier, text.get_ref()) {
        let message = message(&quote(text.get_ref()));
        reader.report("same-name", text.span(), message, "again here", fix);
        reader.relate(first, "first here");
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

fn secret(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<SecretWritten> {
    let reveal = reader.flag(table, "reveal");
    let name = reader.required(table, "name")?;
    let grant = parsed_name(reader, &name, SecretName::parse);
    Some(SecretWritten {
        grant: grant.map(|name| SecretGrant { name, reveal }),
        name,
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
