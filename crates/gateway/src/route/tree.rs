//! The trie of segments behind one host.
//!
//! A node is visited at most once per request, because a node implies the depth at which it is reached: matching is bounded by
//! the size of the table whatever the path is.

use std::{collections::HashMap, sync::Arc};

use http::{HeaderValue, Method};

use super::{
    Matched, Route,
    pattern::{Pattern, Segment},
};

#[derive(Default)]
pub(super) struct Tree {
    exact: HashMap<Box<str>, Tree>,
    one: Option<Box<Tree>>,
    rest: Option<Endpoint>,
    here: Option<Endpoint>,
}

impl Tree {
    /// The most specific endpoint of a path that begins with a slash.
    pub(super) fn find(&self, path: &str) -> Option<&Endpoint> {
        self.descend(path.strip_prefix('/'))
    }

    /// `rest` is what follows the slash; none at the end of the path.
    fn descend(&self, rest: Option<&str>) -> Option<&Endpoint> {
        let Some(rest) = rest else {
            return self.here.as_ref();
        };
        let (segment, after) = match rest.split_once('/') {
            Some((segment, after)) => (segment, Some(after)),
            None => (rest, None),
        };
        // Iterating over few is faster than hashing.
        let exact = if self.exact.len() <= 4 {
            self.exact
                .iter()
                .find(|(name, _)| ***name == *segment)
                .map(|(_, tree)| tree)
        } else {
            self.exact.get(segment)
        };
        exact
            .and_then(|tree| tree.descend(after))
            .or_else(|| match &self.one {
                Some(tree) if !segment.is_empty() => tree.descend(after),
                _ => None,
            })
            .or(self.rest.as_ref())
    }

    /// The endpoint of a pattern, made if it is new.
    pub(super) fn endpoint(&mut self, pattern: &Pattern) -> &mut Endpoint {
        let mut tree = self;
        for segment in &pattern.segments {
            tree = match segment {
                Segment::Exact(name) => tree.exact.entry(name.clone()).or_default(),
                Segment::One => tree.one.get_or_insert_default(),
            };
        }
        let endpoint = if pattern.rest {
            &mut tree.rest
        } else {
            &mut tree.here
        };
        endpoint.get_or_insert_with(Endpoint::default)
    }
}

/// What may be done at one path.
pub(super) struct Endpoint {
    methods: Vec<(Method, usize, Arc<Route>)>,
    all: Option<(usize, Arc<Route>)>,
    allow: HeaderValue,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            methods: Vec::new(),
            all: None,
            allow: HeaderValue::from_static(""),
        }
    }
}

impl Endpoint {
    /// Claims a method, or all; an error names the entry and app that did so before.
    pub(super) fn claim(
        &mut self,
        method: Option<Method>,
        entry: usize,
        route: &Arc<Route>,
    ) -> Result<(), (usize, Arc<str>)> {
        let route = Arc::clone(route);
        let Some(method) = method else {
            if let Some((first, holder)) = &self.all {
                return Err((*first, Arc::clone(&holder.app)));
            }
            self.all = Some((entry, route));
            return Ok(());
        };
        if let Some((_, first, holder)) = self.methods.iter().find(|(held, ..)| *held == method) {
            return Err((*first, Arc::clone(&holder.app)));
        }
        self.methods.push((method, entry, route));
        self.allow = self.list();
        Ok(())
    }

    pub(super) fn choose(&self, method: &Method) -> Matched<'_> {
        let named = |wanted: &Method| {
            self.methods
                .iter()
                .find(|(held, ..)| held == wanted)
                .map(|(.., route)| route)
        };
        named(method)
            .or_else(|| {
                if *method == Method::HEAD {
                    named(&Method::GET)
                } else {
                    None
                }
            })
            .or(self.all.as_ref().map(|(_, route)| route))
            .map_or(Matched::MethodNotAllowed(&self.allow), |route| {
                Matched::Route(route)
            })
    }

    /// "The origin server MUST generate an Allow header field in a 405 response" (RFC 9110, 15.5.6).
    fn list(&self) -> HeaderValue {
        let mut names: Vec<&str> = self
            .methods
            .iter()
            .map(|(method, ..)| method.as_str())
            .collect();
        if names.contains(&"GET") && !names.contains(&"HEAD") {
            names.push("HEAD");
        }
        HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static(""))
    }
}
