//! The routing table: which destination answers a host, a path and a method.
//!
//! In: entries as a manifest writes them. Out: an immutable [`Routes`] that is matched without allocation, or every reason why
//! there is none. Absent: rewriting; the destination sees the whole path.
//!
//! Most specific wins, decided in this order: a host that is named before any host; then segment by segment from the left, an
//! exact one before `{x}` before `/*`; then, at the path so found, a method that is named before all methods. `GET` also
//! answers `HEAD`. A path that exists without the method is 405, not 404, and does not fall back to a less specific path.

mod host;
pub(crate) mod path;
mod pattern;
mod tree;

use std::{collections::HashMap, fmt, sync::Arc};

use http::{HeaderValue, Method};

use crate::exchange::Destination;
use pattern::Pattern;
pub use pattern::PatternError;
use tree::Tree;

pub(crate) use host::{canonical_host, is_authority};

/// One route as a manifest writes it.
pub struct RouteEntry {
    /// The app it belongs to.
    pub app: Arc<str>,
    /// The host it answers, without port; none for every host.
    pub host: Option<String>,
    /// `/orders/{id}`: `{x}` is one segment that is not empty, a final `/*` is the rest, which may be empty.
    pub path: String,
    /// Upper case; empty for all.
    pub methods: Vec<String>,
    /// How logs and metrics name this route.
    pub label: Arc<str>,
    /// Who answers.
    pub destination: Arc<dyn Destination>,
}

/// Why a table cannot be built. All reasons are reported at once; `entry` is the index of the offending [`RouteEntry`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The path is not a pattern.
    #[error("the path `{path}` is not a pattern")]
    Pattern {
        /// Index of the entry.
        entry: usize,
        /// As written.
        path: String,
        /// What is wrong.
        source: PatternError,
    },
    /// The host is not a host name or address.
    #[error("`{host}` is not a host without port")]
    Host {
        /// Index of the entry.
        entry: usize,
        /// As written.
        host: String,
    },
    /// The method is not an upper-case token, or one this gateway never routes.
    #[error("`{method}` is not a method that can be routed")]
    Method {
        /// Index of the entry.
        entry: usize,
        /// As written.
        method: String,
    },
    /// Two entries claim the same requests and neither is more specific.
    #[error("the app `{app}` and the app `{first_app}` both claim {method} {path}")]
    Tie {
        /// Index of the entry that came first.
        first: usize,
        /// Its app.
        first_app: Arc<str>,
        /// Index of the entry that came later.
        entry: usize,
        /// Its app.
        app: Arc<str>,
        /// The method both claim, or `every method of`.
        method: String,
        /// Host and path both claim.
        path: String,
    },
}

/// One route of a built table.
pub struct Route {
    /// The app it belongs to.
    pub app: Arc<str>,
    /// How logs and metrics name it.
    pub label: Arc<str>,
    /// Who answers.
    pub destination: Arc<dyn Destination>,
}

/// An immutable table. Swap a whole new one in; requests in flight keep what they matched.
#[derive(Default)]
pub struct Routes {
    any_host: Tree,
    hosts: HashMap<Box<str>, Tree>,
    count: usize,
}

/// What a request matched.
pub(crate) enum Matched<'table> {
    Route(&'table Route),
    MethodNotAllowed(&'table HeaderValue),
    Nothing,
}

impl Routes {
    /// A table without routes: every request is 404.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Builds a table, or reports everything that is wrong with the entries.
    pub fn build(entries: impl IntoIterator<Item = RouteEntry>) -> Result<Self, Vec<RouteError>> {
        let mut routes = Self::default();
        let mut errors = Vec::new();
        for (index, entry) in entries.into_iter().enumerate() {
            routes.count += 1;
            routes.add(index, entry, &mut errors);
        }
        if errors.is_empty() {
            Ok(routes)
        } else {
            Err(errors)
        }
    }

    /// How many entries the table was built from.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether every request is 404.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Finds the most specific route. `host` is as received, with or without port.
    pub(crate) fn find(&self, host: Option<&str>, path: &str, method: &Method) -> Matched<'_> {
        if !self.hosts.is_empty()
            && let Some(host) = host
            && let Some(tree) = canonical_host(host, |name| self.hosts.get(name))
            && let Some(endpoint) = tree.find(path)
        {
            return endpoint.choose(method);
        }
        match self.any_host.find(path) {
            Some(endpoint) => endpoint.choose(method),
            None => Matched::Nothing,
        }
    }

    fn add(&mut self, index: usize, entry: RouteEntry, errors: &mut Vec<RouteError>) {
        let known = errors.len();
        let pattern = Pattern::parse(&entry.path)
            .map_err(|source| {
                let path = entry.path.clone();
                errors.push(RouteError::Pattern {
                    entry: index,
                    path,
                    source,
                });
            })
            .ok();
        let methods: Vec<Method> = entry
            .methods
            .iter()
            .filter_map(|method| {
                routable(method).or_else(|| {
                    errors.push(RouteError::Method {
                        entry: index,
                        method: method.clone(),
                    });
                    None
                })
            })
            .collect();
        let tree = match &entry.host {
            None => &mut self.any_host,
            Some(host) => match host::parse(host) {
                Some(name) => self.hosts.entry(name).or_default(),
                None => {
                    errors.push(RouteError::Host {
                        entry: index,
                        host: host.clone(),
                    });
                    return;
                }
            },
        };
        let (Some(pattern), true) = (pattern, errors.len() == known) else {
            return;
        };
        let route = Arc::new(Route {
            app: entry.app,
            label: entry.label,
            destination: entry.destination,
        });
        let endpoint = tree.endpoint(&pattern);
        let claims = if methods.is_empty() {
            vec![None]
        } else {
            methods.into_iter().map(Some).collect()
        };
        for method in claims {
            if let Err((first, first_app)) = endpoint.claim(method.clone(), index, &route) {
                errors.push(RouteError::Tie {
                    first,
                    first_app,
                    entry: index,
                    app: Arc::clone(&route.app),
                    method: method
                        .map_or_else(|| "every method of".to_owned(), |method| method.to_string()),
                    path: format!(
                        "{}{}",
                        entry.host.as_deref().unwrap_or_default(),
                        entry.path
                    ),
                });
            }
        }
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Routes")
            .field("routes", &self.count)
            .finish_non_exhaustive()
    }
}

/// "The method token is case-sensitive" (RFC 9110, 9.1). A lower-case one in a table is a mistake, not another method.
fn routable(method: &str) -> Option<Method> {
    if method.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return None;
    }
    Method::from_bytes(method.as_bytes())
        .ok()
        .filter(|method| *method != Method::CONNECT && *method != Method::TRACE)
}

#[cfg(test)]
mod tests;
