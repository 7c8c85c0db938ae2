//! `headers = { authorization = { secret = "tax-key", format = "Bearer {}" } }`: a secret the host puts into a header of a
//! request. In: the table of an outbound grant. Out: headers with well-formed names and formats; secrets are not looked up yet.

use toml::Spanned;

use crate::{
    app::HeaderGrant,
    name::SecretName,
    problem::quote,
    reader::{Reader, Shape, Table},
    written::{parsed_name, said_before},
};

const HEADER: Shape = Shape {
    known: &[
        ("secret", "secret = \"tax-key\""),
        ("format", "format = \"Bearer {}\""),
    ],
    later: &[],
};

/// Fields that frame the message or belong to one connection (RFC 9110 7.6.1, RFC 9112 6): the client's own.
const CLIENTS_OWN: [&str; 14] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

/// The headers, and every secret that one names.
pub(super) fn headers(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
) -> (Vec<HeaderGrant>, Vec<Spanned<String>>) {
    let mut headers: Vec<HeaderGrant> = Vec::new();
    let mut names: Vec<Spanned<String>> = Vec::new();
    let mut secrets = Vec::new();
    let instead = |_: &str, name: &str| {
        format!("name a secret: `{name} = {{ secret = \"NAME\", format = \"Bearer {{}}\" }}`")
    };
    for (key, table) in reader.entries(table, "headers", &HEADER, instead) {
        let name = header_name(reader, &key, &names);
        let secret = reader.required(&table, "secret");
        let format = format(reader, &table);
        let parsed = secret
            .as_ref()
            .and_then(|secret| parsed_name(reader, secret, SecretName::parse));
        secrets.extend(secret);
        if let (Some(name), Some(secret), Some(format)) = (&name, parsed, format) {
            headers.push(HeaderGrant {
                name: name.clone(),
                secret,
                format,
            });
        }
        names.extend(name.map(|name| Spanned::new(key.span(), name)));
    }
    (headers, secrets)
}

/// In lower case: names of fields are case-insensitive (RFC 9110 5.1).
fn header_name(
    reader: &mut Reader<'_>,
    key: &Spanned<String>,
    names: &[Spanned<String>],
) -> Option<String> {
    let name = key.get_ref().to_ascii_lowercase();
    // RFC 9110 5.6.2: token.
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) {
        let message = format!("{} is not the name of a header", quote(key.get_ref()));
        let fix = "write letters, digits and hyphens, as in `authorization` or `x-api-key`";
        reader.report("header", key.span(), message, "", fix);
        return None;
    }
    if CLIENTS_OWN.contains(&name.as_str()) {
        let message = format!("{} carries no secret: the host writes it", quote(&name));
        let fix = "it frames the message or belongs to one connection; name another header";
        reader.report("header", key.span(), message, "", fix);
        return None;
    }
    let earlier = names.iter().map(|n| (n.get_ref().as_str(), n.span()));
    if let Some(first) = said_before(earlier, &name) {
        let message = format!("the header {} is given twice", quote(&name));
        let fix = "keep one: upper and lower case name the same header";
        reader.report("same-name", key.span(), message, "again here", fix);
        reader.relate(first, "first here");
        return None;
    }
    Some(name)
}

fn format(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<String> {
    let Some(text) = reader.string(table, "format") else {
        return Some("{}".into());
    };
    let format = text.get_ref();
    let example = "write `{}` once, where the secret goes, as in `Bearer {}`";
    let places = format.matches("{}").count();
    // RFC 9110 5.5: visible characters, spaces inside.
    let inner = |b: u8| b == b' ' || b.is_ascii_graphic();
    let (message, fix) = if places != 1 {
        let holds = match places {
            0 => "no `{}`".to_owned(),
            many => format!("`{{}}` {many} times"),
        };
        (format!("the format holds {holds}"), example)
    } else if !format.bytes().all(inner) || format.trim() != format {
        let message = "the format cannot stand in a header".to_owned();
        (
            message,
            "write visible ASCII characters, and spaces only between them",
        )
    } else {
        return Some(format.clone());
    };
    reader.report("header-format", text.span(), message, "", fix);
    None
}
