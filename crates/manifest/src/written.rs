//! The manifest as it was written: typed, each value with its place, no profile laid over it, nothing looked up.
//! In: a TOML document. Out: `Manifest`, with holes where a value was wrong (each hole has its problem).

use toml::{Spanned, de::DeTable};

use crate::{
    name::{AppName, NameError, well_formed},
    problem::{Span, quote},
    reader::{Reader, Shape, Table},
};

mod component;
mod grants;
mod limits;
mod link;
mod resource;
mod reuse;
mod route;

pub(crate) use component::{Build, Component, Overrides, known_components};
pub(crate) use grants::{GRANTS, Grants};
pub(crate) use limits::{ceilings, duration, limits};
pub(crate) use link::Link;
pub(crate) use resource::{Bucket, Secret};
pub(crate) use route::Route;

/// A whole `coracle.toml`.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) app: Option<AppName>,
    pub(crate) components: Vec<Component>,
    pub(crate) buckets: Vec<Bucket>,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) routes: Vec<Route>,
    pub(crate) profiles: Vec<Profile>,
}

/// A variant of the app.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) name: Spanned<String>,
    pub(crate) components: Vec<(Spanned<String>, Overrides)>,
    pub(crate) buckets: Vec<Bucket>,
    pub(crate) secrets: Vec<Secret>,
}

const MANIFEST: Shape = Shape {
    known: &[
        ("app", "[app]"),
        ("component", "[component.NAME]"),
        ("bucket", "[bucket.NAME]"),
        ("secret", "[secret.NAME]"),
        ("route", "[[route]]"),
        ("profile", "[profile.NAME.component.NAME]"),
    ],
    later: &[
        ("upstream", "a component answers each route for now"),
        ("trigger", "requests by HTTP are the only trigger for now"),
        ("cron", "requests by HTTP are the only trigger for now"),
        ("messaging", "requests by HTTP are the only trigger for now"),
        (
            "topic",
            "buckets and secrets are the only named resources for now",
        ),
        (
            "container",
            "buckets and secrets are the only named resources for now",
        ),
        (
            "database",
            "buckets and secrets are the only named resources for now",
        ),
        (
            "rate-limit",
            "limit `concurrency` in `[component.NAME.limits]`",
        ),
        (
            "limits",
            "set limits of one component: `[component.NAME.limits]`",
        ),
        ("tls", "put a proxy that ends TLS before coracle"),
        (
            "isolation",
            "all components run in the common process for now",
        ),
    ],
};

const APP: Shape = Shape {
    known: &[("name", "name = \"shop\"")],
    later: &[
        (
            "isolation",
            "all components run in the common process for now",
        ),
        ("tenant", "apps of one host belong to one tenant for now"),
        (
            "limits",
            "set limits of one component: `[component.NAME.limits]`",
        ),
    ],
};

const PROFILE: Shape = Shape {
    known: &[
        ("component", "[profile.NAME.component.NAME]"),
        ("bucket", "[profile.NAME.bucket.NAME]"),
        ("secret", "[profile.NAME.secret.NAME]"),
    ],
    later: &[],
};

impl Manifest {
    pub(crate) fn read(reader: &mut Reader<'_>, document: &DeTable<'_>) -> Self {
        let root = reader.root(document, &MANIFEST);
        let app = match reader.table(&root, "app", &APP) {
            Some(table) => reader
                .required(&table, "name")
                .and_then(|name| parsed_name(reader, &name, AppName::parse)),
            None => {
                if !root.keys.contains_key("app") {
                    let fix = "begin with `[app]` and `name = \"shop\"`";
                    reader.report("missing-key", None, "the app has no name".into(), "", fix);
                }
                None
            }
        };
        Self {
            app,
            components: Component::read_all(reader, &root),
            buckets: Bucket::read_all(reader, &root),
            secrets: Secret::read_all(reader, &root),
            routes: Route::read_all(reader, &root),
            profiles: Profile::read_all(reader, &root),
        }
    }
}

impl Profile {
    fn read_all(reader: &mut Reader<'_>, root: &Table<'_>) -> Vec<Self> {
        let profiles = reader.named(root, "profile", &PROFILE);
        let read = |(name, table): (Spanned<String>, Table<'_>)| Self {
            components: Overrides::read_all(reader, &table),
            buckets: Bucket::read_all(reader, &table),
            secrets: Secret::read_mocks(reader, &table),
            name,
        };
        profiles.into_iter().map(read).collect()
    }
}

/// A name by its grammar, or a problem that suggests one.
pub(crate) fn parsed_name<T>(
    reader: &mut Reader<'_>,
    text: &Spanned<String>,
    parse: fn(&str) -> Result<T, NameError>,
) -> Option<T> {
    match parse(text.get_ref()) {
        Ok(name) => Some(name),
        Err(error) => {
            let fix = match well_formed(text.get_ref()) {
                Some(name) => format!("write {}", quote(&name)),
                None => {
                    "write a lower-case letter, then up to 62 letters, digits and hyphens".into()
                }
            };
            let message = format!("{} is not a name: {error}", quote(text.get_ref()));
            reader.report("name", text.span(), message, "", fix);
            None
        }
    }
}

/// Notes the second of two that must differ, and where the first is.
pub(crate) fn said_before<'a>(
    earlier: impl Iterator<Item = (&'a str, Span)>,
    text: &str,
) -> Option<Span> {
    earlier
        .into_iter()
        .find(|(other, _)| *other == text)
        .map(|(_, span)| span)
}
