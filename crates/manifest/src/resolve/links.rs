//! Who answers whose imports, and who stands before whom. In: links and filters as written. Out: those whose components exist,
//! or problems: a link to nothing or to itself, a circle with its whole path, limits that no invocation would have.

use std::collections::BTreeSet;

use toml::Spanned;

use crate::{
    app,
    name::ComponentName,
    problem::{Span, quote},
    reader::Reader,
    written::{Component, Manifest, Route, known_components, said_before},
};

/// Circles beyond these are told when the first ones are gone.
const MOST_CIRCLES: usize = 20;
/// The links of a circle that are shown beside the one that closes it.
const MOST_MARKED: usize = 8;

/// The links of one component whose targets exist.
pub(super) fn links(
    reader: &mut Reader<'_>,
    manifest: &Manifest,
    component: &Component,
) -> Vec<app::Link> {
    let mut links = Vec::new();
    for link in &component.links {
        let target = link.component.get_ref();
        if target == component.key.get_ref() {
            let message = format!(
                "{} answers its own import {}",
                quote(target),
                quote(link.key.get_ref())
            );
            let fix =
                "link to another component: one that imports what it exports waits for itself";
            reader.report("link-to-itself", link.component.span(), message, "", fix);
            continue;
        }
        let place = format!("the link {} leads to", quote(link.key.get_ref()));
        if !known(reader, manifest, &link.component, &place) {
            continue;
        }
        if let (Some(interface), Ok(component)) =
            (link.interface.clone(), ComponentName::parse(target))
        {
            links.push(app::Link {
                interface,
                component,
                instance: link.instance,
            });
        }
    }
    links
}

/// The filters of one route that exist, each once.
pub(super) fn filters(
    reader: &mut Reader<'_>,
    manifest: &Manifest,
    route: &Route,
) -> Vec<ComponentName> {
    let mut filters = Vec::new();
    for (i, filter) in route.filters.iter().enumerate() {
        let name = filter.get_ref();
        if !known(reader, manifest, filter, "the filter is") {
            continue;
        }
        let earlier = route.filters.iter().take(i);
        let earlier = earlier.map(|f| (f.get_ref().as_str(), f.span()));
        let target = route.component.iter();
        let target = target.map(|c| (c.get_ref().as_str(), c.span()));
        if let Some(first) = said_before(earlier.chain(target), name) {
            let message = format!("{} stands twice on one route", quote(name));
            let fix = "name each filter once, and none that is the route's own component";
            reader.report("same-filter", filter.span(), message, "again here", fix);
            reader.relate(first, "first here");
            continue;
        }
        filters.extend(ComponentName::parse(name));
    }
    filters
}

fn known(
    reader: &mut Reader<'_>,
    manifest: &Manifest,
    named: &Spanned<String>,
    place: &str,
) -> bool {
    let name = named.get_ref();
    if index(manifest, name).is_some() {
        return true;
    }
    let components = manifest.components.iter();
    let components: Vec<String> = components.map(|c| c.key.get_ref().clone()).collect();
    let message = format!("{place} {}, which is no component of this app", quote(name));
    let fix = known_components(name, &components);
    reader.report("no-such-component", named.span(), message, "", fix);
    false
}

/// One component waits for another: by a link, or as a filter for what it stands before.
struct Edge {
    from: usize,
    to: usize,
    span: Span,
    by_filter: bool,
}

/// Reports every circle of links, and every one that the filters of a route close.
pub(super) fn circles(reader: &mut Reader<'_>, manifest: &Manifest) {
    let mut edges = link_edges(manifest);
    let everyone: Vec<usize> = (0..manifest.components.len()).collect();
    let mut told = BTreeSet::new();
    for circle in found(manifest.components.len(), &edges, &everyone) {
        report(reader, manifest, &edges, &circle, &mut told);
    }
    let links = edges.len();
    for route in manifest.routes.iter().filter(|r| !r.filters.is_empty()) {
        edges.truncate(links);
        edges.extend(chain(manifest, route));
        let begin = edges.get(links).map(|first| first.from);
        let begin: Vec<usize> = begin.into_iter().collect();
        for circle in found(manifest.components.len(), &edges, &begin) {
            let by_filter = |edge: &&Edge| edge.by_filter;
            if circle
                .iter()
                .filter_map(|e| edges.get(*e))
                .any(|e| by_filter(&e))
            {
                report(reader, manifest, &edges, &circle, &mut told);
            }
        }
    }
}

fn index(manifest: &Manifest, name: &str) -> Option<usize> {
    let mut components = manifest.components.iter();
    components.position(|c| c.key.get_ref() == name)
}

/// Links to nothing and to itself are told elsewhere.
fn link_edges(manifest: &Manifest) -> Vec<Edge> {
    let mut edges = Vec::new();
    for (from, component) in manifest.components.iter().enumerate() {
        for link in &component.links {
            match index(manifest, link.component.get_ref()) {
                Some(to) if to != from => edges.push(Edge {
                    from,
                    to,
                    span: link.component.span(),
                    by_filter: false,
                }),
                _ => {}
            }
        }
    }
    edges
}

/// Each filter waits for the next, the last for the component.
fn chain(manifest: &Manifest, route: &Route) -> Vec<Edge> {
    let stations = route.filters.iter().chain(&route.component);
    let stations: Vec<(usize, Span)> = stations
        .filter_map(|name| Some((index(manifest, name.get_ref())?, name.span())))
        .collect();
    let next = stations.iter().skip(1);
    let pairs = stations.iter().zip(next);
    pairs
        .filter(|((from, _), (to, _))| from != to)
        .map(|((from, span), (to, _))| Edge {
            from: *from,
            to: *to,
            span: span.clone(),
            by_filter: true,
        })
        .collect()
}

/// Circles that can be reached from `begin`, as the edges that form them: without the last edges of all of them there is none.
fn found(nodes: usize, edges: &[Edge], begin: &[usize]) -> Vec<Vec<usize>> {
    let mut leaving = vec![Vec::new(); nodes];
    for (i, edge) in edges.iter().enumerate() {
        if let Some(from) = leaving.get_mut(edge.from) {
            from.push(i);
        }
    }
    let mut circles = Vec::new();
    // Depth first with a stack of our own: a chain of links may be as long as a manifest.
    let mut seen = BTreeSet::new();
    for start in begin {
        let mut path: Vec<usize> = Vec::new();
        let mut open = vec![(*start, 0)];
        if !seen.insert(*start) {
            continue;
        }
        while let Some((node, next)) = open.last_mut() {
            let edge = leaving.get(*node).and_then(|edges| edges.get(*next));
            let Some((i, edge)) = edge.and_then(|i| Some((*i, edges.get(*i)?))) else {
                open.pop();
                path.pop();
                continue;
            };
            *next += 1;
            let above = open.iter().position(|(node, _)| *node == edge.to);
            if let Some(above) = above {
                let circle = path.iter().skip(above).copied().chain([i]);
                circles.push(circle.collect());
                if circles.len() == MOST_CIRCLES {
                    return circles;
                }
            } else if seen.insert(edge.to) {
                open.push((edge.to, 0));
                path.push(i);
            }
        }
    }
    circles
}

fn report(
    reader: &mut Reader<'_>,
    manifest: &Manifest,
    edges: &[Edge],
    circle: &[usize],
    told: &mut BTreeSet<BTreeSet<usize>>,
) {
    let circle: Vec<&Edge> = circle.iter().filter_map(|i| edges.get(*i)).collect();
    let Some((last, others)) = circle.split_last() else {
        return;
    };
    if !told.insert(circle.iter().map(|edge| edge.from).collect()) {
        return;
    }
    let name = |node: usize| {
        let component = manifest.components.get(node);
        quote(component.map_or("", |c| c.key.get_ref()))
    };
    let path: Vec<String> = circle.iter().map(|edge| name(edge.from)).collect();
    let message = format!(
        "these components wait for each other in a circle: {} → {}",
        path.join(" → "),
        name(last.to)
    );
    let said = |edge: &Edge| match edge.by_filter {
        true => format!("{} stands before {}", name(edge.from), name(edge.to)),
        false => format!("{} links to {}", name(edge.from), name(edge.to)),
    };
    let fix = "take one of these out, or move what both need into a component of its own";
    reader.report("circle", last.span.clone(), message, &said(last), fix);
    for edge in others.iter().take(MOST_MARKED) {
        reader.relate(edge.span.clone(), &said(edge));
    }
}

/// Limits and reuse of an instance are those of the component on the route; others' would never hold.
pub(super) fn limits_that_never_hold(reader: &mut Reader<'_>, manifest: &Manifest) {
    for (i, component) in manifest.components.iter().enumerate() {
        let limits = component.limits_span.clone().map(|span| ("limits", span));
        let reuse = component.reuse_span.clone().map(|span| ("reuse", span));
        if limits.is_none() && reuse.is_none() {
            continue;
        }
        let on_a_route = |name: &str| {
            let mut routes = manifest.routes.iter();
            routes.any(|r| r.component.as_ref().is_some_and(|c| c.get_ref() == name))
        };
        if on_a_route(component.key.get_ref()) {
            continue;
        }
        let users = users(manifest, i);
        if users.is_empty() {
            continue;
        }
        let routed = users
            .into_iter()
            .filter_map(|user| manifest.components.get(user))
            .map(|user| user.key.get_ref().as_str())
            .filter(|user| on_a_route(user));
        let routed: Vec<String> = routed.map(quote).collect();
        for (what, span) in limits.into_iter().chain(reuse) {
            let message = format!(
                "{} is on no route of its own: its {what} would never hold",
                quote(component.key.get_ref())
            );
            let (whose, them) = match what {
                "reuse" => ("an instance is that of the component on the route", "it"),
                _ => (
                    "the limits of an invocation are those of the component on the route",
                    "them",
                ),
            };
            let fix = match routed.as_slice() {
                [] => format!("{whose}; take {them} out"),
                routed => format!(
                    "{whose}: set {them} on {}, or take {them} out",
                    routed.join(", ")
                ),
            };
            reader.report("limits-of-linked", span, message, "never in force", fix);
        }
    }
}

/// Every component that has `component` in its invocations: by links, at any depth, or as a filter before it.
fn users(manifest: &Manifest, component: usize) -> BTreeSet<usize> {
    let mut edges: Vec<(usize, usize)> = link_edges(manifest)
        .into_iter()
        .map(|edge| (edge.from, edge.to))
        .collect();
    for route in &manifest.routes {
        let target = route.component.as_ref();
        let Some(target) = target.and_then(|c| index(manifest, c.get_ref())) else {
            continue;
        };
        let filters = route.filters.iter();
        let filters = filters.filter_map(|f| index(manifest, f.get_ref()));
        edges.extend(filters.map(|filter| (target, filter)));
    }
    let mut users = BTreeSet::new();
    let mut asked = vec![component];
    while let Some(used) = asked.pop() {
        for (user, _) in edges.iter().filter(|(_, to)| *to == used) {
            if *user != component && users.insert(*user) {
                asked.push(*user);
            }
        }
    }
    users
}
