//! Where the operator keeps the configuration and the environment of components. In: bindings for every app, for one app, for one of its
//! components. Out: the one that holds: the nearest.

use std::path::{Path, PathBuf};

use super::{Backend, Binding, Credential, Operator};
use crate::name::{AppName, ComponentName};

/// Which texts of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValuesOf {
    /// `wasi:config`.
    Config,
    /// Environment variables.
    Environment,
}

impl ValuesOf {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Config, Self::Environment];

    /// The key in `coracle.toml` and in `host.toml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Environment => "environment",
        }
    }
}

impl Operator {
    /// What stands above the manifest's own values: the component's binding, else its app's, else every app's where `allow` says so.
    ///
    /// Not to be asked for values with `app::Values::mock`: there the profile has the last word.
    pub fn values_binding(
        &self,
        app: &AppName,
        component: &ComponentName,
        which: ValuesOf,
    ) -> Option<Binding> {
        let own = self.apps.get(app);
        let component = own.and_then(|own| own.components.get(component)?.get(&which));
        let shared = || {
            let allowed = self.allowed(app).values.contains(&which);
            self.shared_values(which).filter(|_| allowed)
        };
        component
            .or_else(|| own?.values.get(&which))
            .or_else(shared)
            .cloned()
    }

    /// Values bound for every app that may have them.
    pub(super) fn shared_values(&self, which: ValuesOf) -> Option<&Binding> {
        self.every.values.get(&which)
    }

    /// Every place that holds a secret or a credential, as far as `files` and `environment` reach.
    pub(super) fn secret_places(&self) -> Vec<Place> {
        let words = std::iter::once(&self.every).chain(self.apps.values());
        let secrets = words.flat_map(|word| word.secrets.values());
        let secrets = secrets.filter_map(|binding| {
            let path = binding.path.as_deref()?;
            match &binding.settings {
                Backend::Files(files) => Some(Place::File(files.dir.join(path))),
                Backend::Environment(environment) => {
                    Some(Place::Variable(format!("{}{path}", environment.prefix)))
                }
                _ => None,
            }
        });
        let credentials = self.backends.values().filter_map(|backend| {
            let credential = match backend {
                Backend::Redis(redis) => redis.password.as_ref()?,
                Backend::Vault(vault) => &vault.token,
                _ => return None,
            };
            match credential {
                Credential::File(file) => Some(Place::File(file.clone())),
                Credential::Environment(name) => Some(Place::Variable(name.clone())),
                Credential::Vault { .. } => None,
            }
        });
        secrets.chain(credentials).collect()
    }
}

/// Where one text is kept.
#[derive(Debug)]
pub(super) enum Place {
    File(PathBuf),
    Variable(String),
}

impl Place {
    /// Whether this is among the values of a binding, whose list shows all it has.
    pub(super) fn is_shown_by(&self, binding: &Binding) -> bool {
        match (self, &binding.settings) {
            (Self::File(file), Backend::Files(files)) => {
                let below = binding.path.as_deref().unwrap_or_default();
                file.parent()
                    .is_some_and(|dir| is_same(dir, &files.dir.join(below)))
            }
            (Self::Variable(name), Backend::Environment(environment)) => {
                let path = binding.path.as_deref().unwrap_or_default();
                name.starts_with(&format!("{}{path}", environment.prefix))
            }
            _ => false,
        }
    }
}

/// By name, or behind links.
fn is_same(one: &Path, other: &Path) -> bool {
    let end = |path: &Path| path.canonicalize().ok();
    one == other || end(one).is_some_and(|one| end(other).is_some_and(|other| one == other))
}
