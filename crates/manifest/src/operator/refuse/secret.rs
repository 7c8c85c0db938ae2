//! Secrets that the operator binds nowhere, or not for this app. In: the grants of a component. Out: a refusal for each, with the
//! lines to add.

use super::Refusals;
use crate::{
    app::Component,
    name::{BackendName, SecretName},
    operator::{BackendKind, Operator},
    problem::quote,
};

pub(super) fn unbound(refusals: &mut Refusals<'_>, component: &Component) {
    let granted = component.grants.secrets.iter().enumerate();
    let granted = granted.map(|(i, grant)| (("secrets", i), &grant.name));
    let http = component.grants.http.iter().enumerate();
    let in_headers =
        http.flat_map(|(i, grant)| grant.headers.iter().map(move |h| (("http", i), &h.secret)));
    for (grant, secret) in granted.chain(in_headers) {
        let (app, operator) = (refusals.app, refusals.operator);
        let mocked = app.secrets.get(secret).is_some_and(|s| s.value.is_some());
        if mocked || operator.secret_binding(&app.name, secret).is_some() {
            continue;
        }
        let name = quote(secret.as_str());
        if operator.shared_secret(secret).is_some() {
            let message = format!("the host does not give `{}` the secret {name}", app.name);
            let add = format!("secrets = [\"{secret}\"]");
            refusals.not_allowed(component, grant, message, &add);
        } else {
            let message = format!("the host has no secret {name} for `{}`", app.name);
            let fix = lines_to_add(refusals, secret);
            let note = "the operator's file does not bind it";
            refusals.grant("not-bound", component, grant, message, note, fix);
        }
    }
}

fn lines_to_add(refusals: &Refusals<'_>, secret: &SecretName) -> String {
    let (app, operator) = (&refusals.app.name, refusals.operator);
    let table = format!("`[app.{app}.secret.{secret}]`");
    let to_add = match keeper(operator) {
        Some((name, BackendKind::Vault)) => {
            format!("{table} with `backend = \"{name}\"`, `path = \"...\"` and `field = \"...\"`")
        }
        Some((name, _)) => format!("{table} with `backend = \"{name}\"`"),
        None => {
            let variable = secret.as_str().to_ascii_uppercase().replace('-', "_");
            format!(
                "{table} with `backend = \"env\"`, and `[backend.env]` with `kind = \"environment\"`; \
                 the value is then the variable CORACLE_SECRET_{variable}"
            )
        }
    };
    format!("add to {}: {to_add}", operator.file().display())
}

/// A backend of the host that keeps secrets, one that needs no more words first.
fn keeper(operator: &Operator) -> Option<(&BackendName, BackendKind)> {
    let backends = operator.backends().iter();
    let keepers = backends
        .map(|(name, backend)| (name, backend.kind()))
        .filter(|(_, kind)| kind.keeps_secrets());
    keepers.min_by_key(|(_, kind)| *kind == BackendKind::Vault)
}
