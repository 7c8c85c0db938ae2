//! What a manifest means. In: a manifest as written, its folder and a profile. Out: an `App` in which everything that is named
//! exists, or problems. Looks at the disk for what must be there; what the operator allows is asked later (`operator`).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml::Spanned;

use crate::{
    app::{self, App},
    lookup::{Kind, existing},
    name::ComponentName,
    problem::{Span, line_of, quote},
    reader::{Reader, Text},
    route::{self, described},
    suggest::nearest,
    written::{self, Manifest, Overrides, Profile, known_components},
};

mod grants;
mod links;
mod resources;

pub(crate) use grants::grants;
use resources::{undeclared_bucket, undeclared_secret};

/// Lays `profile` over `manifest`. `None` is an app that cannot be made; the reader then has a problem that says why.
pub(crate) fn resolve(
    reader: &mut Reader<'_>,
    manifest: &Manifest,
    dir: &Path,
    profile: Option<&str>,
) -> Option<App> {
    check_profiles(reader, manifest);
    let chosen = profile.and_then(|name| chosen_profile(reader, &manifest.profiles, name));
    let buckets = resources::buckets(reader, manifest, chosen, dir);
    let components = components(reader, manifest, chosen, dir);
    let routes = routes(reader, manifest);
    links::circles(reader, manifest);
    links::limits_that_never_hold(reader, manifest);
    Some(App {
        name: manifest.app.clone()?,
        dir: dir.to_path_buf(),
        manifest: reader.source.file.clone(),
        profile: chosen.map(|p| p.name.get_ref().clone()),
        components,
        buckets,
        secrets: resources::secrets(manifest, chosen),
        routes,
    })
}

/// A profile changes what is there; all are checked, chosen or not.
fn check_profiles(reader: &mut Reader<'_>, manifest: &Manifest) {
    let components: Vec<String> = manifest
        .components
        .iter()
        .map(|c| c.key.get_ref().clone())
        .collect();
    for profile in &manifest.profiles {
        for (key, _) in &profile.components {
            if !components.contains(key.get_ref()) {
                let message = format!(
                    "profile {} overrides component {}, which is not declared",
                    quote(profile.name.get_ref()),
                    quote(key.get_ref())
                );
                reader.report(
                    "no-such-component",
                    key.span(),
                    message,
                    "",
                    known_components(key.get_ref(), &components),
                );
            }
        }
        for bucket in &profile.buckets {
            if !manifest
                .buckets
                .iter()
                .any(|b| b.key.get_ref() == bucket.key.get_ref())
            {
                let message = format!(
                    "profile {} overrides bucket {}, which is not declared",
                    quote(profile.name.get_ref()),
                    quote(bucket.key.get_ref())
                );
                undeclared_bucket(reader, manifest, &bucket.key, message);
            }
        }
        for secret in &profile.secrets {
            if !manifest
                .secrets
                .iter()
                .any(|s| s.key.get_ref() == secret.key.get_ref())
            {
                let message = format!(
                    "profile {} mocks secret {}, which is not declared",
                    quote(profile.name.get_ref()),
                    quote(secret.key.get_ref())
                );
                undeclared_secret(reader, manifest, &secret.key, message);
            }
        }
    }
}

fn chosen_profile<'m>(
    reader: &mut Reader<'_>,
    profiles: &'m [Profile],
    name: &str,
) -> Option<&'m Profile> {
    let found = profiles.iter().find(|p| p.name.get_ref() == name);
    if found.is_none() {
        let names: Vec<&str> = profiles.iter().map(|p| p.name.get_ref().as_str()).collect();
        let fix = match (names.as_slice(), nearest(name, &names)) {
            ([], _) => "this manifest has no profile; leave `--profile` out".to_owned(),
            (_, Some(near)) => format!(
                "did you mean {}? Profiles here: {}",
                quote(near),
                names.join(", ")
            ),
            _ => format!("profiles here: {}", names.join(", ")),
        };
        reader.report(
            "no-such-profile",
            None,
            format!("there is no profile {}", quote(name)),
            "",
            fix,
        );
    }
    found
}

fn components(
    reader: &mut Reader<'_>,
    manifest: &Manifest,
    chosen: Option<&Profile>,
    dir: &Path,
) -> BTreeMap<ComponentName, app::Component> {
    let mut components = BTreeMap::new();
    for written in &manifest.components {
        let over = chosen.and_then(|p| {
            p.components
                .iter()
                .find(|(key, _)| key.get_ref() == written.key.get_ref())
        });
        let made = overlaid(&written.made, over.map(|(_, overrides)| overrides));
        let build = made
            .build
            .as_ref()
            .and_then(|build| self::build(reader, build, dir));
        let source = made
            .source
            .as_ref()
            .and_then(|source| self::source(reader, source, made.build.is_none(), dir));
        let links = links::links(reader, manifest, written);
        let grants = grants::component_grants(reader, manifest, &written.grants, dir);
        if let (Some(name), Some(source)) = (written.name.clone(), source) {
            let component = app::Component {
                name: name.clone(),
                source,
                build,
                config: values(&made.config, over.and_then(|(_, o)| o.config.as_deref())),
                environment: values(
                    &made.environment,
                    over.and_then(|(_, o)| o.environment.as_deref()),
                ),
                time_ns: made.time_ns,
                seed: made.seed,
                links,
                grants,
                limits: written.limits.clone(),
                reuse: written.reuse,
            };
            components.insert(name, component);
        }
    }
    components
}

/// A build makes one source: a profile that names another source names its build too, or it has none.
fn overlaid(base: &Overrides, over: Option<&Overrides>) -> Overrides {
    let Some(over) = over else {
        return base.clone();
    };
    let mut made = base.clone();
    if over.source.is_some() {
        made.source = over.source.clone();
        made.build = None;
    }
    if over.build.is_some() {
        made.build = over.build.clone();
    }
    (made.time_ns, made.seed) = (over.time_ns, over.seed);
    made
}

/// A profile's values replace those of their keys; where it says any, even none, the operator's are not asked for.
fn values(written: &Option<Vec<Text>>, over: Option<&[Text]>) -> app::Values {
    let mut values = app::Values {
        mock: over.is_some(),
        ..app::Values::default()
    };
    for (key, value) in written.iter().flatten().chain(over.unwrap_or_default()) {
        let key = key.get_ref().clone();
        match value {
            Some(text) => {
                values.required.remove(&key);
                values.texts.insert(key, text.clone());
            }
            None => {
                values.texts.remove(&key);
                values.required.insert(key);
            }
        }
    }
    values
}

fn source(
    reader: &mut Reader<'_>,
    source: &Spanned<String>,
    must_exist: bool,
    dir: &Path,
) -> Option<PathBuf> {
    let path = dir.join(source.get_ref());
    if must_exist && !path.is_file() {
        let message = format!("the source {} is not there", quote(source.get_ref()));
        let fix = "put the component there, or say how to make it: `build = { command = \"...\" }`";
        reader.report("no-such-file", source.span(), message, "", fix);
        return None;
    }
    Some(path)
}

fn build(reader: &mut Reader<'_>, build: &written::Build, dir: &Path) -> Option<app::Build> {
    let build_dir = match &build.dir {
        Some(written) => existing(reader, written, dir, "build folder", Kind::Directory)?,
        None => dir.to_path_buf(),
    };
    Some(app::Build {
        command: build.command.clone(),
        dir: build_dir,
    })
}

fn routes(reader: &mut Reader<'_>, manifest: &Manifest) -> Vec<app::Route> {
    let components: Vec<String> = manifest
        .components
        .iter()
        .map(|c| c.key.get_ref().clone())
        .collect();
    let mut routes: Vec<(Span, app::Route)> = Vec::new();
    for written in &manifest.routes {
        let Some(target) = &written.component else {
            continue;
        };
        if !components.contains(target.get_ref()) {
            let message = format!(
                "the route leads to {}, which is no component of this app",
                quote(target.get_ref())
            );
            reader.report(
                "no-such-component",
                target.span(),
                message,
                "",
                known_components(target.get_ref(), &components),
            );
        }
        let filters = links::filters(reader, manifest, written);
        let (Some(path), Ok(component)) = (&written.path, ComponentName::parse(target.get_ref()))
        else {
            continue;
        };
        let route = app::Route {
            host: written.host.clone(),
            path: path.get_ref().clone(),
            methods: written.methods.clone(),
            component,
            filters,
            line: line_of(&reader.source.text, path.span().start),
        };
        if let Some((first, _)) = routes
            .iter()
            .find(|(_, other)| route::conflict(other, &route))
        {
            let message = format!("two routes claim {}", described(&route));
            let fix =
                "change one: the more specific path, a `host`, or `methods` that differ decide";
            reader.report("route-tie", path.span(), message, "again here", fix);
            reader.relate(first.clone(), "first here");
        }
        routes.push((path.span(), route));
    }
    routes.into_iter().map(|(_, route)| route).collect()
}
