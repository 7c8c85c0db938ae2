//! Whether an app could be served here, without serving it.
//!
//! In: a checked app and the operator's word. Out: nothing that prevents it, and what a person may want to know; or every problem at
//! once, in the words in which `run` would tell it. Nothing is built, compiled, bound or run: what only a backend or a compiler can
//! tell, this cannot.

use std::collections::{BTreeMap, BTreeSet};

use coracle_capability::{
    LinkError,
    link::{Need, Wanted, need},
};
use coracle_compose::audit;
use coracle_engine::{Described, describe};
use coracle_manifest::{
    Operator, Problems,
    app::{App, Component, Link},
    name::ComponentName,
};

use crate::{inspect::bytes, refusal};

type Descriptions<'a> = BTreeMap<&'a ComponentName, Described>;

/// Asks everything that can be asked of the files.
///
/// # Errors
/// Every problem that would refuse the start.
pub fn check(app: &App, operator: &Operator) -> Result<Vec<String>, Problems> {
    let mut problems = operator.permits(app).err().unwrap_or_default();
    let mut described = Descriptions::new();
    for component in app.components.values() {
        match self::described(component) {
            Ok(found) => _ = described.insert(&component.name, found),
            Err(more) => problems.extend(more),
        }
    }
    for (name, found) in &described {
        if let Some(component) = app.components.get(*name) {
            imports(&mut problems, app, component, found);
            links(&mut problems, component, &described);
        }
    }
    // What nothing leads to is loaded all the same, and has to be one that could answer.
    let routed = app.routes.iter().map(|route| &route.component);
    let answering: BTreeSet<&ComponentName> = routed.chain(audit::idle(app)).collect();
    for name in answering {
        answers(&mut problems, app, name, &described);
    }
    let filters: BTreeSet<&ComponentName> = app.routes.iter().flat_map(|r| &r.filters).collect();
    for name in filters {
        wraps(&mut problems, app, name, &described);
    }
    if problems.is_empty() {
        Ok(remarks(app, &described))
    } else {
        Err(problems)
    }
}

fn described(component: &Component) -> Result<Described, Problems> {
    let bytes = bytes(&component.source)
        .map_err(|unread| Problems::from(refusal::not_there(component, &unread)))?;
    describe(&bytes).map_err(|error| {
        let error = coracle_engine::cache::PrepareError::Read(error);
        refusal::unprepared(component, error).into()
    })
}

/// Each import has an answer: of another component, or of this host by a grant.
fn imports(problems: &mut Problems, app: &App, component: &Component, described: &Described) {
    for import in &described.imports {
        if linked(component, import) || passed_on(app, component, import) {
            continue;
        }
        let error = match need(import) {
            Need::Start(wanted) if !wanted.is_in(&component.grants) => LinkError::NotGranted {
                import: import.clone(),
                line: wanted.line(),
            },
            Need::Unknown => LinkError::UnknownImport {
                import: import.clone(),
                nearest: None,
            },
            _ => continue,
        };
        problems.extend(refusal::unlinked(app, component, &error).into());
    }
}

fn linked(component: &Component, import: &str) -> bool {
    component.links.iter().any(|link| names(link, import))
}

/// Whether a link means this import or export: the same interface, and the version when it says one.
fn names(link: &Link, name: &str) -> bool {
    let (path, version) = parts(name);
    link.interface.path() == path
        && link
            .interface
            .version()
            .is_none_or(|said| version == Some(said))
}

fn parts(name: &str) -> (&str, Option<&str>) {
    match name.split_once('@') {
        Some((path, version)) => (path, Some(version)),
        None => (name, None),
    }
}

const HANDLERS: [(&str, &str); 2] = [
    ("wasi:http/handler", "0.3."),
    ("wasi:http/incoming-handler", "0.2."),
];

fn is_handler(name: &str) -> bool {
    let (path, version) = parts(name);
    HANDLERS.iter().any(|(handler, line)| {
        path == *handler && version.is_some_and(|version| version.starts_with(line))
    })
}

/// What a filter imports is answered by what stands behind it.
fn passed_on(app: &App, component: &Component, import: &str) -> bool {
    let mut routes = app.routes.iter();
    is_handler(import) && routes.any(|route| route.filters.contains(&component.name))
}

/// Both ends of each link are there: an import that is meant, and an export of the same interface.
fn links(problems: &mut Problems, component: &Component, described: &Descriptions<'_>) {
    let mut report = |message: String, fix: String| {
        problems.extend(refusal::of_component(component, "link", &message, Some(fix)).into());
    };
    let Some(own) = described.get(&component.name) else {
        return;
    };
    for link in &component.links {
        let imports: Vec<&str> = meant(link, &own.imports);
        match imports.as_slice() {
            [] => report(
                format!("does not import {}", link.interface),
                format!("it imports {}", listed(&own.imports)),
            ),
            [_] => {}
            several => report(
                format!("imports {} in several versions", link.interface),
                format!("say in the link which: {}", several.join(", ")),
            ),
        }
        let Some(other) = described.get(&link.component) else {
            continue;
        };
        let exports = |name: &String| parts(name).0 == link.interface.path();
        if !other.exports.iter().any(exports) {
            report(
                format!(
                    "links {} to {}, which does not export it",
                    link.interface, link.component
                ),
                format!("{} exports {}", link.component, listed(&other.exports)),
            );
        }
    }
}

fn meant<'a>(link: &Link, imports: &'a [String]) -> Vec<&'a str> {
    let imports = imports.iter().filter(|import| names(link, import));
    imports.map(String::as_str).collect()
}

/// A filter passes on.
fn wraps(problems: &mut Problems, app: &App, name: &ComponentName, described: &Descriptions<'_>) {
    let (Some(component), Some(own)) = (app.components.get(name), described.get(name)) else {
        return;
    };
    let has = |names: &[String]| names.iter().any(|name| is_handler(name));
    if has(&own.imports) && has(&own.exports) {
        return;
    }
    let message = "is a filter and does not both import and export a handler";
    let fix =
        "a filter imports and exports wasi:http/handler@0.3.x, or wasi:http/incoming-handler@0.2.x";
    problems.extend(refusal::of_component(component, "filter", message, Some(fix.into())).into());
}

/// Who stands on a route answers HTTP.
fn answers(problems: &mut Problems, app: &App, name: &ComponentName, described: &Descriptions<'_>) {
    let (Some(component), Some(own)) = (app.components.get(name), described.get(name)) else {
        return;
    };
    if own.exports.iter().any(|name| is_handler(name)) {
        return;
    }
    let message = format!(
        "exports no HTTP handler; it exports {}",
        listed(&own.exports)
    );
    problems.extend(
        refusal::of_component(component, "unservable", &message, Some(UNSERVABLE.into())).into(),
    );
}

const UNSERVABLE: &str =
    "a component that serves exports wasi:http/incoming-handler@0.2.x or wasi:http/handler@0.3.x";

fn listed(names: &[String]) -> String {
    match names {
        [] => "nothing".into(),
        names => names.join(", "),
    }
}

/// What prevents nothing, and is hardly meant.
fn remarks(app: &App, described: &Descriptions<'_>) -> Vec<String> {
    let mut remarks: Vec<String> = audit::idle(app)
        .into_iter()
        .map(|name| format!("nothing leads to {name}: no route, no link and no filter"))
        .collect();
    for (name, own) in described {
        let Some(component) = app.components.get(*name) else {
            continue;
        };
        for (wanted, key) in [
            (Wanted::Keyvalue, "keyvalue"),
            (Wanted::Http, "http"),
            (Wanted::Secrets, "secrets"),
            (Wanted::Files, "files"),
            (Wanted::Clock, "clock"),
            (Wanted::Randomness, "randomness"),
        ] {
            if wanted.is_in(&component.grants) && !uses(own, wanted) {
                remarks.push(format!(
                    "{name} is granted `{key}` and imports nothing that uses it"
                ));
            }
        }
    }
    remarks
}

fn uses(described: &Described, wanted: Wanted) -> bool {
    described.imports.iter().any(|import| match need(import) {
        Need::Start(needed) | Need::Call(needed) => needed == wanted,
        Need::Nothing | Need::Unknown => false,
    })
}
