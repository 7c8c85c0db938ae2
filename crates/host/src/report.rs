//! What is running, for a person: apps, routes, components, what each was granted.

use std::fmt::Write as _;

use coracle_engine::Origin;
use coracle_manifest::app::{Access, Component, HttpScheme, Values};

use crate::load::{Loaded, LoadedApp};

/// The report, one indented block per app.
pub fn report(loaded: &Loaded) -> String {
    let mut text = String::new();
    for app in &loaded.apps {
        app_block(&mut text, app);
    }
    text
}

fn app_block(text: &mut String, loaded: &LoadedApp) {
    let app = &loaded.app;
    let profile = app
        .profile
        .as_ref()
        .map_or(String::new(), |profile| format!(" (profile {profile})"));
    let _ = writeln!(text, "app {}{profile}", app.name);
    for route in &app.routes {
        let methods = if route.methods.is_empty() {
            "any method".to_string()
        } else {
            route.methods.join(" ")
        };
        let host = route.host.as_deref().unwrap_or("");
        let _ = writeln!(
            text,
            "  route {host}{} [{methods}] -> {}",
            route.path, route.component
        );
    }
    for (name, loaded_component) in &loaded.components {
        let origin = match loaded_component.origin {
            Origin::Cached => "from cache",
            // Why it was compiled again is told where that happens.
            Origin::Compiled | Origin::Rebuilt => "compiled",
        };
        let _ = writeln!(
            text,
            "  component {name}: {} KB, {origin}",
            loaded_component.size_bytes.div_ceil(1_000)
        );
        if let Some(component) = app.components.get(name) {
            if let Some(reuse) = &component.reuse {
                let at_once = match reuse.concurrent {
                    Some(concurrent) => format!(", {concurrent} at once"),
                    None => String::new(),
                };
                let requests = reuse.requests;
                let _ = writeln!(
                    text,
                    "    an instance serves up to {requests} requests{at_once}"
                );
            }
            for line in grants(loaded, component, &loaded_component.values) {
                let _ = writeln!(text, "    may {line}");
            }
        }
    }
}

fn grants(
    loaded: &LoadedApp,
    component: &Component,
    [config, environment]: &[Option<String>; 2],
) -> Vec<String> {
    let mut lines = Vec::new();
    let grants = &component.grants;
    for grant in &grants.keyvalue {
        let below = if grant.prefix.is_empty() {
            String::new()
        } else {
            format!(" below {:?}", grant.prefix)
        };
        let backend = loaded
            .backends
            .get(&grant.bucket)
            .map_or("", String::as_str);
        lines.push(format!(
            "{} bucket {} ({backend}) as {:?}{below}",
            access(grant.access),
            grant.bucket,
            grant.alias
        ));
    }
    for grant in &grants.http {
        let scheme = match grant.scheme {
            HttpScheme::Http => "http",
            HttpScheme::Https => "https",
        };
        let port = grant.port.map_or(String::new(), |port| format!(":{port}"));
        let methods = if grant.methods.is_empty() {
            "send any method".into()
        } else {
            format!("send {}", grant.methods.join(" "))
        };
        lines.push(format!(
            "{methods} to {scheme}://{}{port}{}",
            grant.host, grant.path
        ));
    }
    for grant in &grants.files {
        lines.push(format!(
            "{} directory {} at {}",
            access(grant.access),
            grant.dir_as_written,
            grant.at
        ));
    }
    for grant in &grants.secrets {
        let right = if grant.reveal {
            "hold and reveal"
        } else {
            "hold"
        };
        lines.push(format!("{right} secret {}", grant.name));
    }
    lines.extend(values("configuration", &component.config, config));
    lines.extend(values("environment", &component.environment, environment));
    if grants.clock {
        lines.push("read clocks and set timers".into());
    }
    if grants.randomness {
        lines.push("draw secure randomness".into());
    }
    if lines.is_empty() {
        lines.push("do nothing but compute and answer".into());
    }
    lines
}

/// Where a component's values come from, never what they are.
fn values(what: &str, written: &Values, backend: &Option<String>) -> Option<String> {
    let from = match (backend, written.texts.is_empty()) {
        (Some(backend), false) => format!("{backend}, then the manifest"),
        (Some(backend), true) => backend.clone(),
        (None, false) => "the manifest".into(),
        (None, true) => return None,
    };
    Some(format!("read {what} ({from})"))
}

fn access(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::ReadWrite => "read and write",
    }
}
