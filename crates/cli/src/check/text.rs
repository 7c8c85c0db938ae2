//! The audit for a person. In: an app, ways or differences. Out: lines; each begins with what it is about.

use std::fmt::Write as _;

use coracle_compose::audit::{Line, NOT_KNOWN, Route, Way, powers, reached, sentences};
use coracle_manifest::{
    App,
    app::{Component, Instance},
    name::ComponentName,
};

pub(super) fn graph(app: &App) -> String {
    let mut text = String::new();
    let profile = app.profile.as_ref();
    let profile = profile.map_or(String::new(), |profile| format!(" (profile {profile})"));
    let _ = writeln!(text, "app {}{profile}", app.name);
    for route in &app.routes {
        let stations: Vec<&str> = Route(route).stations().map(ComponentName::as_str).collect();
        let _ = writeln!(
            text,
            "  route {} → {}",
            Route(route).text(),
            stations.join(" → ")
        );
    }
    for component in app.components.values() {
        let _ = writeln!(text, "  component {}", component.name);
        for line in lines(app, component) {
            let _ = writeln!(text, "    {line}");
        }
    }
    let _ = writeln!(text, "\nnot known here:");
    for sentence in NOT_KNOWN {
        let _ = writeln!(text, "- {sentence}");
    }
    text
}

fn lines(app: &App, component: &Component) -> Vec<String> {
    let links = component.links.iter().map(|link| {
        let own = match link.instance {
            Instance::Shared => "",
            Instance::Own => ", an instance of its own",
        };
        format!("links {} to {}{own}", link.interface, link.component)
    });
    let mut lines: Vec<String> = links.collect();
    let own = sentences(&powers(app, component));
    if own.is_empty() {
        lines.push("may itself do nothing but compute and answer".into());
    }
    lines.extend(own.into_iter().map(|sentence| format!("may {sentence}")));
    for (other, way) in reached(app, &[vec![component.name.clone()]]) {
        let powers = app.components.get(&other).map(|other| powers(app, other));
        if other == component.name {
            continue;
        }
        let between: Vec<&str> = way.iter().skip(1).map(ComponentName::as_str).collect();
        for sentence in sentences(powers.iter().flatten()) {
            lines.push(format!("through {}: {sentence}", between.join(" → ")));
        }
    }
    lines
}

pub(super) fn answer(ways: &[Way]) -> String {
    if ways.is_empty() {
        return "no\n".into();
    }
    let mut text = String::from("yes\n");
    for way in ways {
        let components: Vec<&str> = way.components.iter().map(ComponentName::as_str).collect();
        let begin = way.route.as_ref();
        let begin = begin.map_or(String::new(), |route| format!("{route} → "));
        let may = match way.may.as_slice() {
            [] => String::new(),
            may => format!(": may {}", may.join("; may ")),
        };
        let _ = writeln!(text, "{begin}{}{may}", components.join(" → "));
    }
    text
}

pub(super) fn difference(lines: &[Line]) -> String {
    if lines.is_empty() {
        return "no difference in what may be done\n".into();
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}
