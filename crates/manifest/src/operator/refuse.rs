//! Which grants and limits reach beyond the operator's word. In: an app and the operator. Out: refusals that say what to add where.
//! Reads the manifest again, only to show the line.

use std::path::Path;

use super::{Allow, Operator, shown::Shown};
use crate::{
    address,
    app::{App, Component, FilesGrant, HostPattern},
    problem::{Problem, Problems, Related, Span, quote},
};

mod limit;
mod secret;
mod slip;
mod values;

pub(super) fn unpermitted(app: &App, operator: &Operator) -> Result<(), Problems> {
    let mut refusals = Refusals {
        app,
        operator,
        allow: operator.allowed(&app.name),
        manifest: Shown::manifest(app),
        problems: Vec::new(),
    };
    for component in app.components.values() {
        refusals.hosts(component);
        refusals.directories(component);
        secret::unbound(&mut refusals, component);
        values::missing(&mut refusals, component);
        limit::above_ceiling(&mut refusals, component);
    }
    slip::buckets(&mut refusals);
    values::slips(&mut refusals);
    if refusals.problems.is_empty() {
        return Ok(());
    }
    let sources = refusals.manifest.source.into_iter();
    let sources = sources.chain(operator.source.clone());
    Err(Problems::new(refusals.problems, sources.collect()))
}

/// What one app is refused.
struct Refusals<'a> {
    app: &'a App,
    operator: &'a Operator,
    allow: Allow,
    manifest: Shown,
    problems: Vec<Problem>,
}

impl Refusals<'_> {
    fn hosts(&mut self, component: &Component) {
        for (i, grant) in component.grants.http.iter().enumerate() {
            if let Some((message, add)) = unpermitted_host(&grant.host, &self.allow) {
                self.not_allowed(component, ("http", i), message, &add);
            }
        }
    }

    fn directories(&mut self, component: &Component) {
        for (i, grant) in component.grants.files.iter().enumerate() {
            if let Some((message, add)) = unpermitted_directory(grant, self.app, &self.allow) {
                self.not_allowed(component, ("files", i), message, &add);
            }
        }
    }

    /// A grant that a line below `[app.NAME.allow]` would permit.
    fn not_allowed(
        &mut self,
        component: &Component,
        grant: (&str, usize),
        message: String,
        add: &str,
    ) {
        let table = format!("[app.{}.allow]", self.app.name);
        let file = self.operator.file().display();
        let fix = format!("add to {file}, below `{table}`: `{add}`");
        let note = "the operator's file does not allow it";
        self.grant("not-allowed", component, grant, message, note, fix);
    }

    /// A grant that the operator's file has no word for.
    fn grant(
        &mut self,
        rule: &'static str,
        component: &Component,
        (list, index): (&str, usize),
        message: String,
        note: &str,
        fix: String,
    ) {
        let way = ["component", component.name.as_str(), "grants", list];
        let mut problem = Problem::of_file(&self.app.manifest, rule, message).fix(fix);
        problem.span = self.manifest.item(&way, index);
        problem.label = format!("`{}` asks for it", component.name);
        problem.related.push(self.in_host_file(None, note));
        self.problems.push(problem);
    }

    fn in_host_file(&self, span: Option<Span>, label: &str) -> Related {
        Related {
            file: self.operator.file().to_path_buf(),
            span,
            label: label.into(),
        }
    }
}

fn unpermitted_host(host: &HostPattern, allow: &Allow) -> Option<(String, String)> {
    let range = match host {
        HostPattern::Address(ip) => address::special(*ip)?,
        // RFC 6761 6.3: these names are the loopback address, whatever a resolver says.
        HostPattern::Name(name) | HostPattern::Below(name)
            if name == "localhost" || name.ends_with(".localhost") =>
        {
            "loopback"
        }
        _ => return None,
    };
    let inside = match host {
        HostPattern::Address(ip) => allow.networks.iter().any(|network| network.contains(*ip)),
        _ => false,
    };
    if inside || allow.covers_host(host) {
        return None;
    }
    let message = format!(
        "the host does not allow {}: a special address ({range})",
        quote(&host.to_string())
    );
    Some((message, format!("hosts = [\"{host}\"]")))
}

fn unpermitted_directory(grant: &FilesGrant, app: &App, allow: &Allow) -> Option<(String, String)> {
    // The grant's own path has its links followed; an allowed directory may itself be reached by one.
    let inside = |dir: &Path| {
        grant.dir.starts_with(dir)
            || dir
                .canonicalize()
                .is_ok_and(|dir| grant.dir.starts_with(dir))
    };
    if inside(&app.dir) || allow.directories.iter().any(|dir| inside(dir)) {
        return None;
    }
    let message = format!(
        "the host does not allow {}: it is outside the app's folder",
        quote(&grant.dir_as_written)
    );
    Some((
        message,
        format!("directories = [{:?}]", grant.dir.to_string_lossy()),
    ))
}
