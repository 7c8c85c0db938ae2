//! `[component.NAME]` and what a profile may say of it. In: a table. Out: its values; what they name is not looked up yet.

use toml::{Spanned, de::DeValue};

use super::{Grants, Link, limits::limits, parsed_name, reuse::reuse};
use crate::{
    app::{Limits, Reuse},
    name::ComponentName,
    problem::{Span, quote},
    reader::{Reader, Shape, Table, Text},
    suggest::nearest,
    units::instant_ns,
};

/// A component as written.
#[derive(Debug)]
pub(crate) struct Component {
    pub(crate) key: Spanned<String>,
    pub(crate) name: Option<ComponentName>,
    pub(crate) made: Overrides,
    pub(crate) links: Vec<Link>,
    pub(crate) grants: Grants,
    pub(crate) limits: Limits,
    /// Where its limits stand, when it sets one.
    pub(crate) limits_span: Option<Span>,
    pub(crate) reuse: Option<Reuse>,
    /// Where it asks for that.
    pub(crate) reuse_span: Option<Span>,
}

/// The part of a component that a profile may say differently.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overrides {
    pub(crate) source: Option<Spanned<String>>,
    pub(crate) build: Option<Build>,
    /// `None` is no word.
    pub(crate) config: Option<Vec<Text>>,
    pub(crate) environment: Option<Vec<Text>>,
    /// A profile's alone: nanoseconds since 1970.
    pub(crate) time_ns: Option<u64>,
    /// A profile's alone.
    pub(crate) seed: Option<u64>,
}

/// A build as written.
#[derive(Debug, Clone)]
pub(crate) struct Build {
    pub(crate) command: String,
    pub(crate) dir: Option<Spanned<String>>,
}

const COMPONENT: Shape = Shape {
    known: &[
        ("source", "source = \"auth.wasm\""),
        (
            "build",
            "build = { command = \"cargo build --release --target wasm32-wasip2\", dir = \"auth\" }",
        ),
        ("config", "config = { issuer = \"shop\" }"),
        ("environment", "environment = { LOG = \"info\" }"),
        ("links", "links = { \"shop:auth/tokens\" = \"auth\" }"),
        ("grants", "[component.NAME.grants]"),
        ("limits", "limits = { memory = \"64MiB\", cpu = \"50ms\" }"),
        ("reuse", "reuse = { requests = 128, idle = \"10s\" }"),
    ],
    later: &[
        (
            "isolation",
            "all components run in the common process for now",
        ),
        (
            "rate-limit",
            "limit `concurrency` in `[component.NAME.limits]`",
        ),
        ("replicas", "an app runs on one node for now"),
    ],
};

const OVERRIDES: Shape = Shape {
    known: &[
        ("source", "source = \"auth-p3.wasm\""),
        (
            "build",
            "build = { command = \"cargo build --release --target wasm32-wasip2\", dir = \"auth\" }",
        ),
        ("config", "config = { issuer = \"shop\" }"),
        ("environment", "environment = { LOG = \"info\" }"),
        ("clock", "clock = \"2026-01-01T00:00:00Z\""),
        ("randomness", "randomness = 42"),
        // Known so that the refusal can give its reason; refused below.
        ("grants", ""),
        ("limits", ""),
        ("reuse", ""),
        ("links", ""),
    ],
    later: &[],
};

const BUILD: Shape = Shape {
    known: &[
        (
            "command",
            "command = \"cargo build --release --target wasm32-wasip2\"",
        ),
        ("dir", "dir = \"auth\""),
    ],
    later: &[],
};

impl Component {
    pub(crate) fn read_all(reader: &mut Reader<'_>, root: &Table<'_>) -> Vec<Self> {
        let tables = reader.named(root, "component", &COMPONENT);
        if tables.is_empty() && !root.keys.contains_key("component") {
            let fix = "add `[component.NAME]` with `source = \"NAME.wasm\"`";
            reader.report(
                "missing-key",
                None,
                "the app has no component".into(),
                "",
                fix,
            );
        }
        let read = |(key, table): (Spanned<String>, Table<'_>)| {
            if !table.keys.contains_key("source") {
                reader.missing(&table, "source");
            }
            Self {
                name: parsed_name(reader, &key, ComponentName::parse),
                made: Overrides::read(reader, &table),
                links: Link::read_all(reader, &table),
                grants: Grants::of_component(reader, &table),
                limits: limits(reader, &table, "limits"),
                limits_span: table.keys.get("limits").map(Spanned::span),
                reuse: reuse(reader, &table),
                reuse_span: table.keys.get("reuse").map(Spanned::span),
                key,
            }
        };
        tables.into_iter().map(read).collect()
    }
}

impl Overrides {
    pub(super) fn read_all(
        reader: &mut Reader<'_>,
        profile: &Table<'_>,
    ) -> Vec<(Spanned<String>, Self)> {
        let tables = reader.named(profile, "component", &OVERRIDES);
        let read = |(key, table): (Spanned<String>, Table<'_>)| {
            refuse_beyond_profiles(reader, &table);
            let overrides = Self {
                time_ns: time(reader, &table),
                seed: seed(reader, &table),
                ..Self::read(reader, &table)
            };
            (key, overrides)
        };
        tables.into_iter().map(read).collect()
    }

    fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        let mut texts = |key| {
            let said = table.keys.contains_key(key);
            said.then(|| reader.texts(table, key))
        };
        let (config, environment) = (texts("config"), texts("environment"));
        for (key, value) in environment.iter().flatten() {
            if key.get_ref().is_empty()
                || key.get_ref().contains(['=', '\0'])
                || value.as_ref().is_some_and(|value| value.contains('\0'))
            {
                let message = format!("{} cannot be an environment variable", quote(key.get_ref()));
                let fix = "a variable's name is not empty and holds no `=`; neither name nor value holds a zero byte";
                reader.report("environment", key.span(), message, "", fix);
            }
        }
        Self {
            source: source(reader, table),
            build: build(reader, table),
            config,
            environment,
            time_ns: None,
            seed: None,
        }
    }
}

/// The time at which a profile's clocks stand.
fn time(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<u64> {
    let written = reader.string(table, "clock")?;
    let time = instant_ns(written.get_ref());
    if time.is_none() {
        let message = format!("{} is not a time", quote(written.get_ref()));
        let fix = "write the time at which the component's clocks stand, from 1970 to 2500 and in UTC: \
                   `clock = \"2026-01-01T00:00:00Z\"`";
        reader.report("clock", written.span(), message, "", fix);
    }
    time
}

/// The seed of a profile's randomness.
fn seed(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<u64> {
    let written = reader.integer(table, "randomness")?;
    let seed = u64::try_from(*written.get_ref()).ok();
    if seed.is_none() {
        let message = format!("{} is not a seed", written.get_ref());
        let fix = "write a whole number from 0: `randomness = 42`";
        reader.report("randomness", written.span(), message, "", fix);
    }
    seed
}

fn source(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<Spanned<String>> {
    if let Some(value) = table.keys.get("source")
        && matches!(value.get_ref(), DeValue::Table(_))
    {
        let until = "pull the component yourself and name the file: `source = \"auth.wasm\"`";
        reader.not_in_this_version(value.span(), "a source from an OCI registry", until);
        return None;
    }
    let source = reader.string(table, "source")?;
    let text = source.get_ref();
    if text.contains("://") || text.contains("@sha256:") {
        let until = "pull the component yourself and name the file: `source = \"auth.wasm\"`";
        reader.not_in_this_version(source.span(), "a source that is not a file", until);
        return None;
    }
    path(reader, source)
}

fn build(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<Build> {
    let build = reader.table(table, "build", &BUILD)?;
    let command = reader.required(&build, "command");
    let dir = reader
        .string(&build, "dir")
        .and_then(|dir| path(reader, dir));
    let command = command?;
    if command.get_ref().trim().is_empty() {
        let fix = "write the command that makes `source`, or leave `build` out";
        reader.report(
            "build",
            command.span(),
            "the build command is empty".into(),
            "",
            fix,
        );
    }
    Some(Build {
        command: command.into_inner(),
        dir,
    })
}

/// A text that can be a path at all.
pub(super) fn path(reader: &mut Reader<'_>, text: Spanned<String>) -> Option<Spanned<String>> {
    if text.get_ref().is_empty() || text.get_ref().contains('\0') {
        let fix = "name a file or folder, from the folder of this manifest";
        reader.report("path", text.span(), "this is not a path".into(), "", fix);
        return None;
    }
    Some(text)
}

/// What to write in place of a component that does not exist.
pub(crate) fn known_components(wanted: &str, components: &[String]) -> String {
    let names: Vec<&str> = components.iter().map(String::as_str).collect();
    match nearest(wanted, &names) {
        Some(near) => format!("did you mean {}?", quote(near)),
        None if names.is_empty() => format!("add {}", quote(&format!("[component.{wanted}]"))),
        None => format!("components here: {}", names.join(", ")),
    }
}

fn refuse_beyond_profiles(reader: &mut Reader<'_>, table: &Table<'_>) {
    for key in ["grants", "limits", "reuse", "links"] {
        let Some((found, _)) = table.keys.get_key_value(key) else {
            continue;
        };
        let message = format!("a profile cannot change {}", quote(key));
        let fix = "a profile overrides source, build, config, environment, clock, randomness, buckets and secrets, never what a component may do: \
                   what was checked in one profile holds in all. Set it in `[component.NAME]`";
        reader.report(
            "profile-override",
            found.span(),
            message,
            "the same in every profile",
            fix,
        );
    }
}
