//! "Can X reach Y?" In: two texts and an app. Out: every way, or none; or why the question makes no sense in this app.
//!
//! Answers are on the safe side: who can reach a part of what is asked for can reach it.

use std::path::PathBuf;

use coracle_manifest::{
    App,
    app::HostPattern,
    name::{BucketName, ComponentName, SecretName},
};
use thiserror::Error;

use super::{
    power::{Object, Power, powers, sentences},
    reach::{Route, chains, reached},
};

/// Where the question begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// A component.
    Component(ComponentName),
    /// The routes of the app at these places in its list.
    Routes(Vec<usize>),
}

/// Where it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// A component.
    Component(ComponentName),
    /// `bucket:NAME`
    Bucket(BucketName),
    /// `host:NAME`, or `host:*.NAME`.
    Host(HostPattern),
    /// `secret:NAME`
    Secret(SecretName),
    /// `dir:PATH`, links followed.
    Directory(PathBuf),
}

/// Why a question cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AskError {
    /// A name that the app does not have, and those it has.
    #[error("the app has no {kind} {name:?}; it has {}", listed(known))]
    Unknown {
        /// Of what.
        kind: &'static str,
        /// As asked.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Neither a component nor `KIND:NAME`.
    #[error("{0:?} is neither a component nor bucket:NAME, host:NAME, secret:NAME or dir:PATH")]
    Kind(String),
    /// A host that is none.
    #[error("{name:?} is not a host: {why}")]
    Host {
        /// As asked.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// A path that cannot be followed.
    #[error("the directory {dir:?} cannot be looked up: {why}")]
    Directory {
        /// As asked.
        dir: String,
        /// The system's answer.
        why: String,
    },
}

fn listed(known: &[String]) -> String {
    match known {
        [] => "none".into(),
        known => known.join(", "),
    }
}

/// One way from where a question begins to where it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The route it begins at, when one was asked for.
    pub route: Option<String>,
    /// The components, each calling the next.
    pub components: Vec<ComponentName>,
    /// What the last of them may do with what was asked for, one sentence each; empty when a component was asked for.
    pub may: Vec<String>,
}

impl From {
    /// Reads a component's name, or `[METHOD ][HOST]/PATH` as a route has them.
    ///
    /// # Errors
    /// When the app has no such component or route.
    pub fn parse(app: &App, text: &str) -> Result<Self, AskError> {
        if !text.contains('/') {
            return component(app, text).map(Self::Component);
        }
        let (method, place) = match text.split_once(' ') {
            Some((method, place)) => (Some(method), place),
            None => (None, text),
        };
        let (host, path) = place.split_at(place.find('/').unwrap_or_default());
        let asked = |route: &coracle_manifest::app::Route| {
            route.path == path
                && (host.is_empty() || route.host.as_deref() == Some(host))
                && method.is_none_or(|method| {
                    let answers = |m: &String| m == method || (m == "GET" && method == "HEAD");
                    route.methods.is_empty() || route.methods.iter().any(answers)
                })
        };
        let routes = app.routes.iter().enumerate();
        let routes: Vec<usize> = routes
            .filter(|(_, route)| asked(route))
            .map(|(i, _)| i)
            .collect();
        if routes.is_empty() {
            return Err(AskError::Unknown {
                kind: "route",
                name: text.into(),
                known: app.routes.iter().map(|r| Route(r).text()).collect(),
            });
        }
        Ok(Self::Routes(routes))
    }
}

impl To {
    /// Reads a component's name or `KIND:NAME`; a directory is looked up from the app's folder, its links followed.
    ///
    /// # Errors
    /// When the app has no such thing, or it is none.
    pub fn parse(app: &App, text: &str) -> Result<Self, AskError> {
        let Some((kind, name)) = text.split_once(':') else {
            return component(app, text).map(Self::Component);
        };
        let unknown = |kind, known: Vec<String>| AskError::Unknown {
            kind,
            name: name.into(),
            known,
        };
        match kind {
            "bucket" => match app.buckets.get_key_value(name) {
                Some((bucket, _)) => Ok(Self::Bucket(bucket.clone())),
                None => Err(unknown(
                    "bucket",
                    app.buckets.keys().map(ToString::to_string).collect(),
                )),
            },
            "secret" => match app.secrets.get_key_value(name) {
                Some((secret, _)) => Ok(Self::Secret(secret.clone())),
                None => Err(unknown(
                    "secret",
                    app.secrets.keys().map(ToString::to_string).collect(),
                )),
            },
            "host" => HostPattern::parse(name)
                .map(Self::Host)
                .map_err(|why| AskError::Host {
                    name: name.into(),
                    why: why.to_string(),
                }),
            "dir" => std::fs::canonicalize(app.dir.join(name))
                .map(Self::Directory)
                .map_err(|why| AskError::Directory {
                    dir: name.into(),
                    why: why.to_string(),
                }),
            _ => Err(AskError::Kind(text.into())),
        }
    }

    fn concerns(&self, power: &Power) -> bool {
        match (self, &power.object) {
            (Self::Bucket(asked), Object::Bucket { bucket, .. }) => asked == bucket,
            (Self::Host(asked), Object::Http(to)) => {
                to.host.covers(asked) || asked.covers(&to.host)
            }
            (Self::Secret(asked), Object::Secret(secret) | Object::Header { secret, .. }) => {
                asked == secret
            }
            (Self::Directory(asked), Object::Directory(dir)) => {
                asked.starts_with(&dir.dir) || dir.dir.starts_with(asked)
            }
            _ => false,
        }
    }
}

fn component(app: &App, text: &str) -> Result<ComponentName, AskError> {
    match app.components.get_key_value(text) {
        Some((name, _)) => Ok(name.clone()),
        None if text.contains(':') => Err(AskError::Kind(text.into())),
        None => Err(AskError::Unknown {
            kind: "component",
            name: text.into(),
            known: app.components.keys().map(ToString::to_string).collect(),
        }),
    }
}

/// A shortest way to each component that may do something with what was asked for; the shortest first, none when it cannot be
/// reached.
pub fn ways(app: &App, from: &From, to: &To) -> Vec<Way> {
    let mut found = Vec::new();
    match from {
        From::Component(name) => add(&mut found, app, None, &chains(app, name), to),
        From::Routes(routes) => {
            for route in routes.iter().filter_map(|i| app.routes.get(*i)) {
                let chain = Route(route).stations().cloned().collect();
                add(&mut found, app, Some(Route(route)), &[chain], to);
            }
        }
    }
    found.sort_by_key(|way: &Way| way.components.len());
    found
}

fn add(
    found: &mut Vec<Way>,
    app: &App,
    route: Option<Route<'_>>,
    chains: &[Vec<ComponentName>],
    to: &To,
) {
    for (name, components) in reached(app, chains) {
        let may = match to {
            To::Component(asked) if *asked == name => Vec::new(),
            To::Component(_) => continue,
            to => {
                let own = app.components.get(&name);
                let own = own.map_or(Vec::new(), |component| powers(app, component));
                sentences(own.iter().filter(|power| to.concerns(power)))
            }
        };
        if may.is_empty() && !matches!(to, To::Component(_)) {
            continue;
        }
        found.push(Way {
            route: route.map(Route::text),
            components,
            may,
        });
    }
}
