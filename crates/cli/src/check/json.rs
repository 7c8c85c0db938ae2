//! The audit for a program. In: an app, ways or differences. Out: JSON, keys sorted, lists in the order of the text.

use coracle_compose::audit::{Change, Line, NOT_KNOWN, Route, Way, powers, reached, sentences};
use coracle_manifest::{
    App,
    app::{Component, Instance},
    name::ComponentName,
};
use serde_json::{Value, json};

pub(super) fn graph(app: &App) -> String {
    let routes: Vec<Value> = app.routes.iter().map(route).collect();
    let components = app.components.values();
    let components: Vec<Value> = components.map(|c| component(app, c)).collect();
    written(&json!({
        "app": app.name.as_str(),
        "profile": app.profile,
        "routes": routes,
        "components": components,
        "not_known": NOT_KNOWN,
    }))
}

fn route(route: &coracle_manifest::app::Route) -> Value {
    json!({
        "host": route.host,
        "path": route.path,
        "methods": route.methods,
        "stations": Route(route).stations().map(ComponentName::as_str).collect::<Vec<_>>(),
    })
}

fn component(app: &App, component: &Component) -> Value {
    let links = component.links.iter().map(|link| {
        json!({
            "interface": link.interface.to_string(),
            "component": link.component.as_str(),
            "instance": match link.instance {
                Instance::Shared => "shared",
                Instance::Own => "own",
            },
        })
    });
    let may = |name: &ComponentName| {
        let component = app.components.get(name);
        component.map_or(Vec::new(), |c| sentences(&powers(app, c)))
    };
    let others = reached(app, &[vec![component.name.clone()]]);
    let others = others.iter().filter(|(name, _)| **name != component.name);
    let through = others.map(|(name, way)| json!({ "way": names(way), "may": may(name) }));
    json!({
        "name": component.name.as_str(),
        "links": links.collect::<Vec<_>>(),
        "may": may(&component.name),
        "through": through.collect::<Vec<_>>(),
    })
}

fn names(components: &[ComponentName]) -> Vec<&str> {
    components.iter().map(ComponentName::as_str).collect()
}

pub(super) fn answer(ways: &[Way]) -> String {
    let found = ways.iter().map(
        |way| json!({ "route": way.route, "components": names(&way.components), "may": way.may }),
    );
    written(&json!({ "can_reach": !ways.is_empty(), "ways": found.collect::<Vec<_>>() }))
}

pub(super) fn difference(lines: &[Line]) -> String {
    let of = |change: Change| -> Vec<&str> {
        let lines = lines.iter().filter(|line| line.change == change);
        lines.map(|line| line.sentence.as_str()).collect()
    };
    written(&json!({ "gained": of(Change::Gained), "lost": of(Change::Lost) }))
}

fn written(value: &Value) -> String {
    format!("{value:#}\n")
}
