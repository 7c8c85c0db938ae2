//! What a manifest means. In: a manifest as written, its folder and a profile. Out: an `App` in which everything that is named
//! exists, or problems. Looks at the disk for what must be there; what the operator allows is asked later (`operator`).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml::Spanned;

use crate::{
    app::{self, App, BucketBackend, Grants},
    lookup::{Kind, existing},
    name::{BucketName, ComponentName},
    problem::{Span, line_of, quote},
    reader::Reader,
    route::{self, described},
    suggest::nearest,
    written::{self, Manifest, Overrides, Profile, known_components},
};

/// Lays `profile` over `manifest`. `None` is an app that cannot be made; the reader then has a problem that says why.
pub(crate) fn resolve(
    reader: &mut Reader<'_>,
    manifest: &Manifest,
    dir: &Path,
    profile: Option<&str>,
) -> Option<App> {
    check_profiles(reader, manifest);
    let chosen = profile.and_then(|name| chosen_profile(reader, &manifest.profiles, name));
    let buckets = buckets(reader, manifest, chosen, dir);
    let components = components(reader, manifest, chosen, dir);
    let routes = routes(reader, manifest);
    Some(App {
        name: manifest.app.clone()?,
        dir: dir.to_path_buf(),
        manifest: reader.source.file.clone(),
        profile: chosen.map(|p| p.name.get_ref().clone()),
        components,
        buckets,
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

fn buckets(
    reader: &mut Reader<'_>,
    manifest: &Manifest,
    chosen: Option<&Profile>,
    dir: &Path,
) -> BTreeMap<BucketName, app::Bucket> {
    let mut buckets = BTreeMap::new();
    for written in &manifest.buckets {
        let over = chosen.and_then(|p| {
            p.buckets
                .iter()
                .find(|b| b.key.get_ref() == written.key.get_ref())
        });
        let backend = over
            .and_then(|b| b.backend)
            .or(written.backend)
            .unwrap_or(BucketBackend::Embedded);
        let seed = over.and_then(|b| b.seed.as_ref()).or(written.seed.as_ref());
        let seed = seed.and_then(|seed| seed_file(reader, seed, dir));
        if let Some(name) = written.name.clone() {
            buckets.insert(
                name.clone(),
                app::Bucket {
                    name,
                    backend,
                    seed,
                },
            );
        }
    }
    buckets
}

/// A seed is read with the host's rights, so it lies in the app's own folder, links followed.
fn seed_file(reader: &mut Reader<'_>, seed: &Spanned<String>, dir: &Path) -> Option<PathBuf> {
    let file = existing(reader, seed, dir, "seed", Kind::File)?;
    if !file.starts_with(dir) {
        let message = format!(
            "the seed {} is outside the app's folder",
            quote(seed.get_ref())
        );
        let fix = "copy it into the folder of the manifest; an app does not read the host's files by naming them";
        reader.report("outside-app", seed.span(), message, "", fix);
    }
    Some(file)
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
        let grants = component_grants(reader, manifest, &written.grants, dir);
        if let (Some(name), Some(source)) = (written.name.clone(), source) {
            let component = app::Component {
                name: name.clone(),
                source,
                build,
                config: texts(&made.config),
                environment: texts(&made.environment),
                grants,
                limits: written.limits.clone(),
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
    made.config.extend(over.config.iter().cloned());
    made.environment.extend(over.environment.iter().cloned());
    made
}

/// Later ones win, so a profile's values replace those below it.
fn texts(written: &[(Spanned<String>, String)]) -> BTreeMap<String, String> {
    written
        .iter()
        .map(|(key, value)| (key.get_ref().clone(), value.clone()))
        .collect()
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

fn component_grants(
    reader: &mut Reader<'_>,
    manifest: &Manifest,
    written: &written::Grants,
    dir: &Path,
) -> Grants {
    for keyvalue in &written.keyvalue {
        let bucket = keyvalue.bucket.get_ref();
        if !manifest.buckets.iter().any(|b| b.key.get_ref() == bucket) {
            let message = format!("nobody declares the bucket {}", quote(bucket));
            undeclared_bucket(reader, manifest, &keyvalue.bucket, message);
        }
    }
    grants(reader, written, dir)
}

/// Grants with their directories looked up, relative to `dir`. Whether their buckets are declared is the caller's question.
pub(crate) fn grants(reader: &mut Reader<'_>, written: &written::Grants, dir: &Path) -> Grants {
    let mut files = Vec::new();
    for grant in &written.files {
        if let Some(found) = existing(reader, &grant.dir, dir, "directory", Kind::Directory) {
            files.push(app::FilesGrant {
                dir: found,
                dir_as_written: grant.dir.get_ref().clone(),
                at: grant.at.get_ref().clone(),
                access: grant.access,
            });
        }
    }
    Grants {
        keyvalue: written
            .keyvalue
            .iter()
            .filter_map(|k| k.grant.clone())
            .collect(),
        http: written.http.clone(),
        files,
        secrets: Vec::new(),
        clock: written.clock,
        randomness: written.randomness,
    }
}

fn undeclared_bucket(
    reader: &mut Reader<'_>,
    manifest: &Manifest,
    bucket: &Spanned<String>,
    message: String,
) {
    let declared: Vec<&str> = manifest
        .buckets
        .iter()
        .map(|b| b.key.get_ref().as_str())
        .collect();
    let fix = match nearest(bucket.get_ref(), &declared) {
        Some(near) => format!("did you mean {}?", quote(near)),
        None => format!(
            "declare it: {}",
            quote(&format!("[bucket.{}]", bucket.get_ref()))
        ),
    };
    reader.report("no-such-bucket", bucket.span(), message, "", fix);
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
        let (Some(path), Ok(component)) = (&written.path, ComponentName::parse(target.get_ref()))
        else {
            continue;
        };
        let route = app::Route {
            host: written.host.clone(),
            path: path.get_ref().clone(),
            methods: written.methods.clone(),
            component,
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
