//! What stands behind a named resource of an app. In: the operator's bindings. Out: the one that holds: an app's own before
//! every app's.

use super::{Backend, Operator};
use crate::name::{AppName, BackendName, BucketName, SecretName};

/// A backend and a place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Which backend: two bindings of one name share its connections.
    pub backend: BackendName,
    /// Its settings.
    pub settings: Backend,
    /// Where, from the backend's own root: below a vault's mount, a key prefix of a Redis, below the directory, after the
    /// variables' prefix. A secret always has one; a bucket without has the place the host gives it, by app and name; values without
    /// are all that the backend holds.
    pub path: Option<String>,
    /// The field at `path`: a vault's secret has one, nothing else has.
    pub field: Option<String>,
}

impl Operator {
    /// What stands behind a bucket of `app`. `None` is what the manifest says: embedded, or in memory.
    ///
    /// Not to be asked for a bucket with `app::Bucket::mock`: there the profile has the last word.
    pub fn bucket_binding(&self, app: &AppName, bucket: &BucketName) -> Option<Binding> {
        let own = self.apps.get(app).and_then(|own| own.buckets.get(bucket));
        own.or_else(|| self.every.buckets.get(bucket)).cloned()
    }

    /// Where a secret of `app` is kept. `None` is a secret that the app cannot use on this host, unless its profile mocks it.
    ///
    /// An app's own binding is the operator's word; one for every app takes effect where `allow` names the secret.
    pub fn secret_binding(&self, app: &AppName, secret: &SecretName) -> Option<Binding> {
        let own = self.apps.get(app).and_then(|own| own.secrets.get(secret));
        let shared = || {
            let allowed = self.allowed(app).secrets.contains(secret);
            self.shared_secret(secret).filter(|_| allowed)
        };
        own.or_else(shared).cloned()
    }

    /// A secret bound for every app that may have it.
    pub(super) fn shared_secret(&self, secret: &SecretName) -> Option<&Binding> {
        self.every.secrets.get(secret)
    }
}
