//! Values that a component requires and nobody gives. In: a component. Out: a refusal for each, with the line to add. Whether a backend
//! that is bound holds them is asked when it is there.

use super::Refusals;
use crate::{
    app::{Component, Values},
    operator::ValuesOf,
    problem::{Problem, quote},
    suggest::nearest,
};

pub(super) fn missing(refusals: &mut Refusals<'_>, component: &Component) {
    let both = [
        (ValuesOf::Config, &component.config),
        (ValuesOf::Environment, &component.environment),
    ];
    for (which, values) in both {
        let (app, operator) = (&refusals.app.name, refusals.operator);
        let bound = operator.values_binding(app, &component.name, which);
        if values.mock || bound.is_none() {
            for key in &values.required {
                refuse(refusals, component, which, values, key);
            }
        }
    }
}

fn refuse(
    refusals: &mut Refusals<'_>,
    component: &Component,
    which: ValuesOf,
    values: &Values,
    key: &str,
) {
    let (app, operator) = (&refusals.app.name, refusals.operator);
    let (of, name, file) = (which.as_str(), &component.name, operator.file().display());
    let quoted = quote(key);
    let (rule, message, note, fix) = if values.mock {
        let profile = refusals.app.profile.as_deref().unwrap_or_default();
        (
            "no-value",
            format!("the profile {} gives {quoted} no value", quote(profile)),
            None,
            format!("write it in `[profile.{profile}.component.{name}.{of}]`"),
        )
    } else if operator.shared_values(which).is_some() {
        (
            "not-allowed",
            format!("the host does not give `{app}` the value {quoted} of its `[{of}]`"),
            Some("the operator's file does not allow it"),
            format!("add to {file}, below `[app.{app}.allow]`: `values = [\"{of}\"]`"),
        )
    } else {
        (
            "not-bound",
            format!("the host has no value {quoted} for `{name}` of `{app}`"),
            Some("the operator's file does not bind it"),
            format!(
                "add to {file}: {}",
                line_to_add(refusals, name.as_str(), of)
            ),
        )
    };
    let way = ["component", name.as_str(), of, key];
    let mut problem = Problem::of_file(&refusals.app.manifest, rule, message).fix(fix);
    problem.span = refusals.manifest.value(&way);
    problem.label = format!("`{name}` requires it");
    if let Some(note) = note {
        problem.related.push(refusals.in_host_file(None, note));
    }
    refusals.problems.push(problem);
}

fn line_to_add(refusals: &Refusals<'_>, component: &str, of: &str) -> String {
    let table = format!("`[app.{}.component.{component}.{of}]`", refusals.app.name);
    let keeper = refusals
        .operator
        .backends()
        .iter()
        .find(|(_, backend)| backend.kind().keeps_values());
    match keeper {
        Some((backend, _)) => format!("{table} with `backend = \"{backend}\"`"),
        None => format!(
            "{table} with `backend = \"settings\"`, and `[backend.settings]` with `kind = \"files\"` and its `dir`; \
             the value is then the file of that name"
        ),
    }
}

/// Refuses bindings for this very app that name no component of it but nearly one.
pub(super) fn slips(refusals: &mut Refusals<'_>) {
    let (app, operator) = (refusals.app, refusals.operator);
    let Some(own) = operator.apps.get(&app.name) else {
        return;
    };
    let bound: Vec<&str> = own.components.keys().map(|name| name.as_str()).collect();
    let there: Vec<&str> = app.components.keys().map(|name| name.as_str()).collect();
    let unbound: Vec<&str> = there
        .iter()
        .copied()
        .filter(|name| !bound.contains(name))
        .collect();
    for name in bound.iter().filter(|name| !there.contains(name)) {
        let Some(meant) = nearest(name, &unbound) else {
            continue;
        };
        let way = ["app", app.name.as_str(), "component", name];
        let message = format!("`{}` has no component {}", app.name, quote(name));
        let fix = format!("did you mean {}?", quote(meant));
        let mut problem = Problem::of_file(operator.file(), "no-such-component", message).fix(fix);
        problem.span = operator.shown().value(&way);
        refusals.problems.push(problem);
    }
}
