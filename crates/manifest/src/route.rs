//! Which route answers a request, and when that cannot be told. In: route patterns. Out: their order, ties, matches.
//!
//! `{x}` is one non-empty segment, a final `/*` is the rest (`/a/*` answers `/a/` and all below it, not `/a`). The most specific
//! route wins: a named host before any host, then, segment by segment from the left, text before `{x}` before `/*`, then named
//! methods before any method. Two that are equal in this order and could answer one request are a tie, and a tie is an error.

use std::{
    cmp::Ordering,
    collections::{BTreeSet, HashMap},
};

use crate::{
    app::{App, Route},
    name::AppName,
    pattern::{self, PatternError},
    problem::{Problem, Problems, Related, Source, line_span, quote},
};

/// A parsed route path. Its order is specificity: the least is the most specific.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutePattern {
    segments: Vec<Segment>,
}

/// One segment of a route path, the most specific kind first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// This text.
    Text(String),
    /// `{x}`: any one segment that is not empty. Holds `x`.
    Parameter(String),
    /// `/*`: the rest, which may be empty. Only at the end.
    Rest,
}

/// Why a text is not a route path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Not a URL path.
    #[error("{0}")]
    Path(PatternError),
    /// A `*` elsewhere than as the last segment.
    #[error("`*` stands only as the last segment")]
    RestInside,
    /// A brace that is not a whole `{x}` segment.
    #[error("`{{x}}` is a whole segment, and its name begins with a letter")]
    Parameter,
    /// Two parameters with one name.
    #[error("two parameters are named `{0}`")]
    SameParameter(String),
}

impl RouteError {
    /// What to write instead.
    pub fn fix(&self) -> String {
        match self {
            Self::Path(error) => error.fix().to_owned(),
            Self::RestInside => "`{x}` is one segment anywhere; a final `/*` is the rest".into(),
            Self::Parameter => {
                "`/orders/{id}` has one parameter, `/assets/*` takes the rest".into()
            }
            Self::SameParameter(_) => "give each parameter its own name".into(),
        }
    }
}

impl RoutePattern {
    /// Parses `/orders/{id}`, `/assets/*`.
    pub fn parse(path: &str) -> Result<Self, RouteError> {
        // Parameters are checked on their own, so that what is left must be a URL path.
        let plain: Vec<&str> = path
            .split('/')
            .map(|s| if is_parameter(s) { "x" } else { s })
            .collect();
        if plain.iter().any(|s| s.contains(['{', '}'])) {
            return Err(RouteError::Parameter);
        }
        pattern::url_path(&plain.join("/")).map_err(RouteError::Path)?;
        let segments: Vec<Segment> = path.split('/').skip(1).map(Segment::parse).collect();
        if segments.iter().rev().skip(1).any(|s| *s == Segment::Rest)
            || plain.iter().any(|s| s.len() > 1 && s.contains('*'))
        {
            return Err(RouteError::RestInside);
        }
        let mut seen = Vec::new();
        for segment in &segments {
            if let Segment::Parameter(name) = segment {
                if seen.contains(&name) {
                    return Err(RouteError::SameParameter(name.clone()));
                }
                seen.push(name);
            }
        }
        Ok(Self { segments })
    }

    /// The segments after the first slash, in order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether a request's path, without its query, is answered.
    pub fn matches(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else {
            return false;
        };
        let mut rest = path.split('/');
        for segment in &self.segments {
            let matches = match segment {
                Segment::Rest => return rest.next().is_some(),
                Segment::Parameter(_) => rest.next().is_some_and(|s| !s.is_empty()),
                Segment::Text(text) => rest.next() == Some(text),
            };
            if !matches {
                return false;
            }
        }
        rest.next().is_none()
    }

    /// The more specific first; `Equal` when neither is, which for two that overlap is a tie.
    pub fn compare(&self, other: &Self) -> Ordering {
        for (a, b) in self.segments.iter().zip(&other.segments) {
            let order = a.rank().cmp(&b.rank());
            if order != Ordering::Equal {
                return order;
            }
        }
        other.segments.len().cmp(&self.segments.len())
    }

    /// Whether the two are the same but for the names of their parameters.
    fn same(&self, other: &Self) -> bool {
        let same = |(a, b): (&Segment, &Segment)| match (a, b) {
            (Segment::Parameter(_), Segment::Parameter(_)) => true,
            (a, b) => a == b,
        };
        self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(same)
    }
}

impl Segment {
    fn parse(text: &str) -> Self {
        match text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
            Some(name) => Self::Parameter(name.to_owned()),
            None if text == "*" => Self::Rest,
            None => Self::Text(text.to_owned()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Text(_) => 0,
            Self::Parameter(_) => 1,
            Self::Rest => 2,
        }
    }
}

fn is_parameter(segment: &str) -> bool {
    let name = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}'));
    name.is_some_and(|name| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    })
}

/// The order in which routes are tried: the more specific first.
pub fn compare(a: &Route, b: &Route) -> Ordering {
    let any = |unnamed: bool| u8::from(unnamed);
    let hosts = any(a.host.is_none()).cmp(&any(b.host.is_none()));
    let paths = match (RoutePattern::parse(&a.path), RoutePattern::parse(&b.path)) {
        (Ok(a), Ok(b)) => a.compare(&b),
        _ => Ordering::Equal,
    };
    let methods = any(a.methods.is_empty()).cmp(&any(b.methods.is_empty()));
    hosts.then(paths).then(methods)
}

/// Whether the two tie: some request is answered by both, and neither is more specific.
pub fn conflict(a: &Route, b: &Route) -> bool {
    let same_path = match (RoutePattern::parse(&a.path), RoutePattern::parse(&b.path)) {
        (Ok(a), Ok(b)) => a.same(&b),
        _ => a.path == b.path,
    };
    let tied_methods = match (a.methods.is_empty(), b.methods.is_empty()) {
        (true, true) => true,
        (false, false) => a.methods.iter().any(|method| b.methods.contains(method)),
        _ => false,
    };
    a.host == b.host && same_path && tied_methods
}

/// Refuses apps that cannot share a host: two with one name, two that claim one route.
///
/// # Errors
/// One problem for each, which names both files. The manifests are read again, only to show their lines.
pub fn conflicts_between(apps: &[App]) -> Result<(), Problems> {
    let mut problems = Vec::new();
    let mut claims = Claims::default();
    for (i, app) in apps.iter().enumerate() {
        for earlier in claims.meet(i, app).filter_map(|earlier| apps.get(earlier)) {
            if earlier.name == app.name {
                problems.push(named_twice(earlier, app));
            }
            for route in &app.routes {
                if let Some(other) = earlier.routes.iter().find(|other| conflict(other, route)) {
                    problems.push(claimed_twice((earlier, other), (app, route)));
                }
            }
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    let sources = apps.iter().filter_map(manifest_source).collect();
    Err(Problems::new(problems, sources))
}

/// What apps have claimed so far. Of many apps only those are compared that share a name, or a host and the shape of a path.
#[derive(Default)]
struct Claims<'a> {
    names: HashMap<&'a AppName, Vec<usize>>,
    paths: HashMap<(Option<&'a str>, String), Vec<usize>>,
}

impl<'a> Claims<'a> {
    /// Claims for an app, and says which before it, in their order, may claim the same.
    fn meet(&mut self, number: usize, app: &'a App) -> impl Iterator<Item = usize> + use<> {
        let mut met = BTreeSet::new();
        let mut claim = |holders: &mut Vec<usize>| {
            met.extend(holders.iter().copied());
            holders.push(number);
        };
        claim(self.names.entry(&app.name).or_default());
        for route in &app.routes {
            let place = (route.host.as_deref(), shape(&route.path));
            claim(self.paths.entry(place).or_default());
        }
        met.remove(&number);
        met.into_iter()
    }
}

/// A path without the names of its parameters.
fn shape(path: &str) -> String {
    let shapes = path
        .split('/')
        .map(|segment| if is_parameter(segment) { "{}" } else { segment });
    shapes.collect::<Vec<_>>().join("/")
}

fn named_twice(first: &App, second: &App) -> Problem {
    let message = format!(
        "two apps are named `{}`: they would share their resources",
        first.name
    );
    let mut problem = Problem::of_file(&second.manifest, "same-name", message)
        .fix("rename one: `name` in `[app]`");
    problem.related.push(Related {
        file: first.manifest.clone(),
        span: None,
        label: "the other app of this name".into(),
    });
    problem
}

fn claimed_twice(first: (&App, &Route), second: (&App, &Route)) -> Problem {
    let place = |(app, route): (&App, &Route)| format!("{}:{}", app.manifest.display(), route.line);
    let span = |(app, route): (&App, &Route)| {
        manifest_source(app).map(|source| span_of_line(&source.text, route.line))
    };
    let message = format!(
        "apps `{}` and `{}` both claim {}",
        first.0.name,
        second.0.name,
        described(second.1)
    );
    let mut problem = Problem::of_file(&second.0.manifest, "route-tie", message).fix(format!(
        "change one of them, or give each its own `host`: {} and {}",
        place(first),
        place(second)
    ));
    problem.span = span(second);
    problem.label = format!("claimed by `{}`", second.0.name);
    problem.related.push(Related {
        file: first.0.manifest.clone(),
        span: span(first),
        label: format!("and by `{}`", first.0.name),
    });
    problem
}

/// A route as one reads it: `GET shop.example/orders/{id}`.
pub(crate) fn described(route: &Route) -> String {
    let methods = if route.methods.is_empty() {
        "every method of".to_owned()
    } else {
        route.methods.join(", ")
    };
    quote(&format!(
        "{methods} {}{}",
        route.host.as_deref().unwrap_or_default(),
        route.path
    ))
}

fn manifest_source(app: &App) -> Option<Source> {
    let missing = || Problem::of_file(&app.manifest, "missing-manifest", "gone");
    crate::source::read(&app.manifest, missing).ok()
}

fn span_of_line(text: &str, line: usize) -> std::ops::Range<usize> {
    let start: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    line_span(text, start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(path: &str) -> RoutePattern {
        RoutePattern::parse(path).unwrap()
    }

    fn route(line: &str) -> Route {
        let (methods, path) = line.split_once(' ').unwrap();
        let (host, path) = path.split_at(path.find('/').unwrap());
        Route {
            host: Some(host.to_owned()).filter(|h| !h.is_empty()),
            path: path.to_owned(),
            methods: methods
                .split(',')
                .filter(|m| *m != "ANY")
                .map(str::to_owned)
                .collect(),
            component: crate::name::ComponentName::parse("a").unwrap(),
            filters: Vec::new(),
            line: 1,
        }
    }

    #[test]
    fn a_parameter_is_one_segment_and_a_final_star_the_rest() {
        assert!(pattern("/orders/{id}").matches("/orders/7"));
        assert!(!pattern("/orders/{id}").matches("/orders/"));
        assert!(!pattern("/orders/{id}").matches("/orders/7/items"));
        assert!(pattern("/assets/*").matches("/assets/a/b"));
        assert!(pattern("/assets/*").matches("/assets/"));
        assert!(!pattern("/assets/*").matches("/assets"));
        assert!(pattern("/*").matches("/"));
        assert!(pattern("/").matches("/"));
        assert!(!pattern("/").matches("/a"));
        assert!(!pattern("/a").matches("/a/"));
        assert!(!pattern("/a").matches("a"));
    }

    #[test]
    fn the_most_specific_route_comes_first() {
        let mut routes = [
            "ANY /*",
            "ANY /orders/*",
            "ANY /orders/{id}",
            "ANY /{x}/new",
            "ANY /orders/new",
            "GET /orders/new",
            "ANY h/*",
        ]
        .map(route);
        routes.sort_by(compare);
        let order: Vec<String> = routes.iter().map(|r| r.path.clone()).collect();
        assert_eq!(
            order,
            [
                "/*",
                "/orders/new",
                "/orders/new",
                "/orders/{id}",
                "/orders/*",
                "/{x}/new",
                "/*"
            ]
        );
        assert_eq!(routes[0].host.as_deref(), Some("h"));
        assert_eq!(routes[1].methods, ["GET"]);
    }

    #[test]
    fn only_routes_that_neither_order_nor_text_separates_are_a_tie() {
        let ties = [
            ("ANY /a", "ANY /a"),
            ("GET /{x}", "GET,POST /{y}"),
            ("GET h/*", "GET h/*"),
        ];
        let apart = [
            ("ANY /a", "GET /a"),
            ("GET /a", "POST /a"),
            ("ANY /a", "ANY /b"),
            ("ANY h/a", "ANY /a"),
            ("ANY h/a", "ANY g/a"),
            ("ANY /{x}", "ANY /*"),
            ("ANY /a/{x}", "ANY /{x}/a"),
        ];
        for (a, b) in ties {
            assert!(
                conflict(&route(a), &route(b)) && conflict(&route(b), &route(a)),
                "{a} {b}"
            );
            assert_eq!(compare(&route(a), &route(b)), Ordering::Equal);
        }
        for (a, b) in apart {
            assert!(
                !conflict(&route(a), &route(b)) && !conflict(&route(b), &route(a)),
                "{a} {b}"
            );
        }
    }

    #[test]
    fn refuses_what_is_no_route_path() {
        for bad in [
            "", "a", "/{", "/{}", "/a{x}", "/{x}y", "/{1}", "/*/a", "/a*", "/**", "/{x}/{x}",
            "/a/..", "//", "/a b", "/a?b",
        ] {
            assert!(RoutePattern::parse(bad).is_err(), "{bad}");
        }
    }
}
