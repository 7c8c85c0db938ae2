//! What a person reads when an app cannot be made ready.
//!
//! In: what went wrong with which component. Out: a problem with file, rule, message and fix.

use std::path::Path;

use coracle_capability::LinkError;
use coracle_engine::{ReadError, cache::PrepareError};
use coracle_manifest::{
    Problem,
    app::{App, Component},
};

/// Why the file of a component was not even looked into.
pub(crate) enum Unread {
    /// The system's answer.
    Io(std::io::Error),
    /// Beyond what is read.
    TooLarge {
        /// What is read at most.
        limit_bytes: u64,
    },
}

impl From<std::io::Error> for Unread {
    fn from(error: std::io::Error) -> Self {
        Unread::Io(error)
    }
}

/// An app whose components are to answer or to stand before each other, which a node does not do yet.
pub(crate) fn unfused(app: &App) -> Option<Problem> {
    let link = app.components.values().find_map(|component| {
        let link = component.links.first()?;
        Some(format!(
            "`{}` links to `{}`",
            component.name, link.component
        ))
    });
    let filter = app.routes.iter().find_map(|route| {
        let filter = route.filters.first()?;
        Some(format!("`{filter}` filters the route {}", route.path))
    });
    let asked = link.or(filter)?;
    let message = format!("{asked}; links and filters are checked and not run in this version");
    let fix = "call the other component by HTTP through its route, and check in the component itself, for now";
    Some(problem(
        &app.manifest,
        "not-in-this-version",
        message,
        "",
        Some(fix.into()),
    ))
}

pub(crate) fn unread(component: &Component, unread: &Unread) -> Problem {
    match unread {
        Unread::Io(error) => {
            let message = format!("reading {}: {error}", component.source.display());
            of_component(
                component,
                "component-file",
                &message,
                not_built(component, error),
            )
        }
        Unread::TooLarge { limit_bytes } => {
            let message = format!("larger than {} MiB", limit_bytes >> 20);
            of_component(component, "component-size", &message, None)
        }
    }
}

/// A file that is inspected on its own and cannot be read.
pub(crate) fn unread_file(file: &Path, unread: &Unread) -> Problem {
    let (rule, message) = match unread {
        Unread::Io(error) => ("component-file", format!("reading it: {error}")),
        Unread::TooLarge { limit_bytes } => (
            "component-size",
            format!("larger than {} MiB", limit_bytes >> 20),
        ),
    };
    problem(file, rule, message, "", None)
}

/// A file that is inspected on its own and is no component.
pub(crate) fn no_component(file: &Path, error: &ReadError) -> Problem {
    let (rule, fix) = unreadable(error);
    problem(file, rule, error.to_string(), "", Some(fix.into()))
}

/// The file of a component that is checked and not to be built now.
pub(crate) fn not_there(component: &Component, unread: &Unread) -> Problem {
    let missing =
        matches!(unread, Unread::Io(error) if error.kind() == std::io::ErrorKind::NotFound);
    let mut problem = self::unread(component, unread);
    if let Some(build) = component.build.as_ref().filter(|_| missing) {
        problem.fix = Some(format!("build it: {}", build.command));
    }
    problem
}

fn not_built(component: &Component, error: &std::io::Error) -> Option<String> {
    let missing = error.kind() == std::io::ErrorKind::NotFound;
    let build = component.build.as_ref().filter(|_| missing)?;
    Some(format!(
        "run without --no-build, or build it: {}",
        build.command
    ))
}

pub(crate) fn unprepared(component: &Component, error: PrepareError) -> Problem {
    let (rule, fix) = match &error {
        PrepareError::Read(error) => {
            let (rule, fix) = unreadable(error);
            (rule, Some(fix))
        }
        PrepareError::Compile(_) => ("compile", None),
        PrepareError::Io { .. } | PrepareError::Load(_) => ("cache", None),
    };
    of_component(component, rule, &error.to_string(), fix.map(Into::into))
}

fn unreadable(error: &ReadError) -> (&'static str, &'static str) {
    match error {
        ReadError::CoreModule => ("core-module", WRAP),
        ReadError::NotWebAssembly => (
            "not-webassembly",
            "name a file that a build for wasm32-wasip2 wrote",
        ),
        ReadError::Malformed(_) => ("malformed-component", "build it again"),
    }
}

const WRAP: &str = "build for the target wasm32-wasip2, or wrap it: wasm-tools component new MODULE.wasm --adapt ADAPTER.wasm -o COMPONENT.wasm";

pub(crate) fn unlinked(app: &App, component: &Component, error: &LinkError) -> Problem {
    let (rule, fix) = match error {
        LinkError::UnknownImport { nearest, .. } => (
            "unknown-import",
            nearest
                .as_ref()
                .map(|nearest| format!("this host answers to {nearest}")),
        ),
        // A component that is run without a manifest is its own.
        LinkError::NotGranted { line, .. } if app.manifest == component.source => (
            "not-granted",
            Some(format!("add to the command: --grant '{line}'")),
        ),
        LinkError::NotGranted { line, .. } => (
            "not-granted",
            Some(format!(
                "add to [component.{}.grants] in {}: {line}",
                component.name,
                app.manifest.display()
            )),
        ),
        LinkError::Mismatch(_) => ("import-type", None),
    };
    of_component(component, rule, &error.to_string(), fix)
}

pub(crate) fn of_component(
    component: &Component,
    rule: &'static str,
    message: &str,
    fix: Option<String>,
) -> Problem {
    problem(
        &component.source,
        rule,
        format!("component {}: {message}", component.name),
        "",
        fix,
    )
}

pub(crate) fn problem(
    file: &Path,
    rule: &'static str,
    message: String,
    label: &str,
    fix: Option<String>,
) -> Problem {
    Problem {
        file: file.to_path_buf(),
        span: None,
        rule,
        message,
        label: label.into(),
        fix,
        related: Vec::new(),
    }
}
