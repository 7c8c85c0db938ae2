//! `[config]` and `[environment]`, of every app, of one, or of one of its components. In: tables and the declared backends. Out: bindings
//! whose backend is there and keeps values, and holds no secret beside them.

use std::{collections::BTreeMap, path::Path};

use toml::Spanned;

use super::{backend::Declared, binding, place};
use crate::{
    name::ComponentName,
    operator::{
        Backend, BackendKind, Binding, Operator,
        values::{Place, ValuesOf},
    },
    problem::{Span, quote},
    reader::{Reader, Shape, Table},
    written::parsed_name,
};

/// What one table binds.
pub(super) type Bindings = BTreeMap<ValuesOf, Binding>;

/// Each binding with the place that names its backend.
pub(super) type Placed = Vec<(Span, Binding)>;

const VALUES: Shape = Shape {
    known: &[
        ("backend", "backend = \"settings\""),
        ("path", "path = \"shop\""),
    ],
    later: &[],
};

const COMPONENT: Shape = Shape {
    known: &[
        ("config", "[app.NAME.component.NAME.config]"),
        ("environment", "[app.NAME.component.NAME.environment]"),
    ],
    later: &[("limits", "set them for the app: `[app.NAME.limits.max]`")],
};

pub(super) fn values(
    reader: &mut Reader<'_>,
    parent: &Table<'_>,
    declared: &[Declared],
    placed: &mut Placed,
) -> Bindings {
    let mut bindings = Bindings::new();
    for which in ValuesOf::ALL {
        let Some(table) = reader.table(parent, which.as_str(), &VALUES) else {
            continue;
        };
        let path = reader.string(&table, "path");
        let keeps = BackendKind::keeps_values;
        let Some((backend, kind)) =
            binding::backend(reader, &table, declared, "configuration", keeps)
        else {
            continue;
        };
        let path = match path {
            Some(path) => match place::part_of(reader, &path, kind) {
                Some(path) => Some(path),
                None => continue,
            },
            None => None,
        };
        let Some(binding) = binding::bound(backend, path, None) else {
            continue;
        };
        if let Some(named) = table.keys.get("backend") {
            placed.push((named.span(), binding.clone()));
        }
        bindings.insert(which, binding);
    }
    bindings
}

pub(super) fn components(
    reader: &mut Reader<'_>,
    parent: &Table<'_>,
    declared: &[Declared],
    placed: &mut Placed,
) -> BTreeMap<ComponentName, Bindings> {
    let mut components = BTreeMap::new();
    for (key, table) in reader.named(parent, "component", &COMPONENT) {
        let bindings = values(reader, &table, declared, placed);
        let name = parsed_name(reader, &key, ComponentName::parse);
        components.extend(name.map(|name| (name, bindings)));
    }
    components
}

/// What `allow` names.
pub(super) fn allowed(reader: &mut Reader<'_>, text: &Spanned<String>) -> Option<ValuesOf> {
    let known = ValuesOf::ALL
        .into_iter()
        .find(|which| which.as_str() == text.get_ref());
    if known.is_none() {
        let message = format!("{} are no values of a component", quote(text.get_ref()));
        let fix = "write `config` or `environment`";
        reader.report("values", text.span(), message, "", fix);
    }
    known
}

/// Notes bindings whose list would show what is a secret elsewhere in the file.
pub(super) fn check_secrets(reader: &mut Reader<'_>, operator: &Operator, placed: &Placed) {
    let secrets = operator.secret_places();
    for (span, binding) in placed {
        let backend = quote(binding.backend.as_str());
        if let Backend::Environment(environment) = &binding.settings
            && SECRETS.starts_with(&environment.prefix)
            && binding.path.is_none()
        {
            let message = format!("{backend} has the prefix of secrets, `{SECRETS}`");
            let fix =
                "give the values one of their own: a backend with `prefix = \"CORACLE_CONFIG_\"`";
            reader.report("secret", span.clone(), message, "", fix);
            continue;
        }
        let shown = secrets.iter().find(|place| place.is_shown_by(binding));
        let (what, fix) = match shown {
            None => continue,
            Some(Place::File(file)) => (
                format!("the file {}", quote(&named(file))),
                "keep values in a directory that holds nothing else",
            ),
            Some(Place::Variable(name)) => (
                format!("the variable {}", quote(name)),
                "give the values a prefix that no secret begins with",
            ),
        };
        let message = format!("these values would show a secret: {what}");
        reader.report("secret", span.clone(), message, "", fix);
    }
}

fn named(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// What secrets begin with where the file does not say.
pub(super) const SECRETS: &str = "CORACLE_SECRET_";
