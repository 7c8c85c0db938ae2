//! Which grants reach beyond the operator's word. In: an app and what it is allowed. Out: refusals that say what to add where.
//! Reads the manifest again, only to show the line.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::Allow;
use crate::{
    address,
    app::{App, FilesGrant, HostPattern},
    name::ComponentName,
    problem::{Problem, Problems, Related, Source, Span, quote},
    source,
};

pub(super) fn unpermitted(app: &App, allow: &Allow, host_file: &Path) -> Result<(), Problems> {
    let manifest = Shown::again(app);
    let mut problems = Vec::new();
    for component in app.components.values() {
        let mut refuse = |list: &str, index: usize, message: String, add: String| {
            let mut problem = Problem::of_file(&app.manifest, "not-allowed", message);
            problem.span = manifest.span(&component.name, list, index);
            problem.label = format!("`{}` asks for it", component.name);
            problem.related.push(Related {
                file: host_file.to_path_buf(),
                span: None,
                label: "the operator's file does not allow it".into(),
            });
            let table = format!("[app.{}.allow]", app.name);
            problems.push(problem.fix(format!(
                "add to {}, below `{table}`: `{add}`",
                host_file.display()
            )));
        };
        for (i, grant) in component.grants.http.iter().enumerate() {
            if let Some((message, add)) = unpermitted_host(&grant.host, allow) {
                refuse("http", i, message, add);
            }
        }
        for (i, grant) in component.grants.files.iter().enumerate() {
            if let Some((message, add)) = unpermitted_directory(grant, app, allow) {
                refuse("files", i, message, add);
            }
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Problems::new(
            problems,
            manifest.source.into_iter().collect(),
        ))
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

/// The manifest's text, to find where a grant stands. Without it the refusal is the same, with no caret.
struct Shown {
    source: Option<Source>,
}

impl Shown {
    fn again(app: &App) -> Self {
        let gone = || Problem::of_file(&app.manifest, "missing-manifest", "gone");
        Self {
            source: source::read(&app.manifest, gone).ok(),
        }
    }

    fn span(&self, component: &ComponentName, list: &str, index: usize) -> Option<Span> {
        let text = &self.source.as_ref()?.text;
        let (root, _) = DeTable::parse_recoverable(text);
        let component = root
            .get_ref()
            .get("component")?
            .get_ref()
            .get(component.as_str())?;
        let list = component.get_ref().get("grants")?.get_ref().get(list)?;
        let DeValue::Array(items) = list.get_ref() else {
            return None;
        };
        items.get(index).map(|item| item.span())
    }
}
