//! Who calls whom. In: an app and where a call begins. Out: every component it can come to, each with a shortest way.
//!
//! A link is followed wherever it stands. A filter passes on to what stands behind it only on its own route, so that one that
//! stands before two components does not join them.

use std::collections::{BTreeMap, BTreeSet};

use coracle_manifest::{App, app, name::ComponentName};

/// Every component that can be come to, with the way there: where it begins first, itself last.
pub type Reached = BTreeMap<ComponentName, Vec<ComponentName>>;

/// A route, and the stations on it.
#[derive(Debug, Clone, Copy)]
pub struct Route<'a>(pub &'a app::Route);

impl<'a> Route<'a> {
    /// The filters, the outermost first, then the component.
    pub fn stations(self) -> impl Iterator<Item = &'a ComponentName> {
        self.0.filters.iter().chain([&self.0.component])
    }

    /// `GET POST shop.example.com/orders/{id}`; without methods, any.
    pub fn text(self) -> String {
        let host = self.0.host.as_deref().unwrap_or_default();
        match self.0.methods.as_slice() {
            [] => format!("{host}{}", self.0.path),
            methods => format!("{} {host}{}", methods.join(" "), self.0.path),
        }
    }
}

/// What can be come to from one of these chains, each a component that is entered and what stands behind it as it is a filter.
pub fn reached(app: &App, chains: &[Vec<ComponentName>]) -> Reached {
    let mut reached = Reached::new();
    let mut next: Vec<Vec<ComponentName>> = Vec::new();
    for chain in chains {
        next.extend((1..=chain.len()).filter_map(|n| chain.get(..n).map(<[_]>::to_vec)));
    }
    // Shortest ways first; among these, in the order of the file.
    next.sort_by_key(Vec::len);
    while !next.is_empty() {
        let mut further = Vec::new();
        for way in next {
            let Some(here) = way.last().cloned() else {
                continue;
            };
            if reached.contains_key(&here) {
                continue;
            }
            for link in links(app, &here) {
                let mut longer = way.clone();
                longer.push(link.component.clone());
                further.push(longer);
            }
            reached.insert(here, way);
        }
        next = further;
    }
    reached
}

fn links<'a>(app: &'a App, component: &ComponentName) -> &'a [app::Link] {
    let component = app.components.get(component);
    component.map_or(&[], |component| &component.links)
}

/// Where calls of `component` may begin: in itself, and behind it on each route that it filters.
pub(super) fn chains(app: &App, component: &ComponentName) -> Vec<Vec<ComponentName>> {
    let mut chains = vec![vec![component.clone()]];
    for route in &app.routes {
        let mut stations = Route(route).stations();
        if route.filters.contains(component) {
            // Begins at the filter itself.
            let behind = stations.by_ref().skip_while(|name| *name != component);
            chains.push(behind.cloned().collect());
        }
    }
    chains
}

/// Components that no route, link or filter leads to.
pub fn idle(app: &App) -> Vec<&ComponentName> {
    let routes = app.routes.iter();
    let chains: Vec<Vec<ComponentName>> = routes
        .map(|route| Route(route).stations().cloned().collect())
        .collect();
    let used: BTreeSet<ComponentName> = reached(app, &chains).into_keys().collect();
    let components = app.components.keys();
    components.filter(|name| !used.contains(*name)).collect()
}
