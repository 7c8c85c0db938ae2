//! An app without a manifest: one component and the grants on the command line. In: `coracle run FILE.wasm --grant LINE`.
//! Out: the same `App` a manifest would give.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{
    app::{App, Bucket, BucketBackend, Component, Grants, Limits, Route, Secret, Values},
    document, lookup,
    name::{AppName, BucketName, ComponentName, NameError, SecretName, well_formed},
    problem::{Problem, Problems, Related, Source, Span, quote},
    reader::Reader,
    resolve,
    written::{self, GRANTS},
};

/// Reads lines of a grants table, each a TOML document of its own, and merges them.
///
/// The buckets they name are declared by naming them; directories are relative to the working directory.
///
/// # Errors
/// Every problem of every line; the file of a problem is `--grant 1`, `--grant 2` and so on.
pub fn grants_from_lines(lines: &[String]) -> Result<(Grants, Vec<BucketName>), Problems> {
    let here = lookup::canonical(Path::new("."))?;
    let mut grants = Grants::default();
    let mut problems = Problems::default();
    let mut names = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let source = Source {
            file: PathBuf::from(format!("--grant {}", i + 1)),
            text: line.as_str().into(),
        };
        let (root, syntax) = document::parse(&source);
        let mut reader = Reader::new(&source);
        let table = reader.root(&root, &GRANTS);
        let written = written::Grants::read(&mut reader, &table);
        let more = resolve::grants(&mut reader, &written, &here);
        let mut found = std::mem::take(&mut reader.problems);
        found.extend(opened_before(&mut names, &source, &written));
        problems.extend(Problems::new(
            document::settled(&source, syntax, found),
            vec![source.clone()],
        ));
        merge(&mut grants, more);
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut buckets: Vec<BucketName> = grants.keyvalue.iter().map(|g| g.bucket.clone()).collect();
    buckets.sort();
    buckets.dedup();
    Ok((grants, buckets))
}

/// An app of the one component in `file`, on every path. Its folder is the working directory; its buckets are embedded, and
/// its secrets are those its grants name.
///
/// # Errors
/// When there is no such file.
pub fn single(file: &Path, grants: Grants, buckets: Vec<BucketName>) -> Result<App, Problems> {
    let dir = lookup::canonical(Path::new("."))?;
    let source = dir.join(file);
    if !source.is_file() {
        let problem = Problem::of_file(file, "no-such-file", "there is no such component")
            .fix("name a `.wasm` file");
        return Err(problem.into());
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let stem = well_formed(&stem).unwrap_or_else(|| "app".into());
    let (app, name) =
        names(&stem).map_err(|error| Problem::of_file(file, "name", error.to_string()))?;
    let bucket = |name: BucketName| {
        (
            name.clone(),
            Bucket {
                name,
                backend: BucketBackend::Embedded,
                mock: false,
                seed: None,
                ttl: None,
            },
        )
    };
    let secret = |name: SecretName| (name.clone(), Secret { name, value: None });
    let secrets = named_secrets(&grants).map(secret).collect();
    let route = Route {
        host: None,
        path: "/*".into(),
        methods: Vec::new(),
        component: name.clone(),
        filters: Vec::new(),
        line: 1,
    };
    let component = Component {
        name: name.clone(),
        source,
        build: None,
        config: Values::default(),
        environment: Values::default(),
        time_ns: None,
        seed: None,
        links: Vec::new(),
        grants,
        limits: Limits::default(),
        reuse: None,
    };
    Ok(App {
        name: app,
        dir,
        manifest: file.to_path_buf(),
        profile: None,
        components: BTreeMap::from([(name, component)]),
        buckets: buckets.into_iter().map(bucket).collect(),
        secrets,
        routes: vec![route],
    })
}

/// A grant on the command line declares the secret it names.
fn named_secrets(grants: &Grants) -> impl Iterator<Item = SecretName> {
    let granted = grants.secrets.iter().map(|g| g.name.clone());
    let headers = grants.http.iter().flat_map(|g| &g.headers);
    granted.chain(headers.map(|h| h.secret.clone()))
}

fn names(stem: &str) -> Result<(AppName, ComponentName), NameError> {
    Ok((AppName::parse(stem)?, ComponentName::parse(stem)?))
}

fn merge(grants: &mut Grants, more: Grants) {
    grants.keyvalue.extend(more.keyvalue);
    grants.http.extend(more.http);
    grants.files.extend(more.files);
    grants.secrets.extend(more.secrets);
    grants.clock |= more.clock;
    grants.randomness |= more.randomness;
}

/// A name under which a guest opens something, and the line that gives it.
struct Opened {
    name: String,
    file: PathBuf,
    span: Span,
}

/// Names that an earlier line gives as well; within one line the reader has told already.
fn opened_before(
    names: &mut Vec<Opened>,
    source: &Source,
    written: &written::Grants,
) -> Vec<Problem> {
    let buckets = written.keyvalue.iter().map(|g| {
        (
            format!("bucket {}", quote(g.alias.get_ref())),
            g.alias.span(),
        )
    });
    let files = written
        .files
        .iter()
        .map(|g| (format!("directory {}", quote(g.at.get_ref())), g.at.span()));
    let secrets = written.secrets.iter().map(|g| {
        let name = format!("secret {}", quote(g.name.get_ref()));
        (name, g.name.span())
    });
    let mut problems = Vec::new();
    for (name, span) in buckets.chain(files).chain(secrets) {
        if let Some(first) = names
            .iter()
            .find(|o| o.name == name && o.file != source.file)
        {
            let message = format!("two grants give the guest the {name}");
            let mut problem =
                Problem::of_file(&source.file, "same-name", message).fix("give each its own name");
            problem.span = Some(span.clone());
            problem.label = "again here".into();
            let related = Related {
                file: first.file.clone(),
                span: Some(first.span.clone()),
                label: "first here".into(),
            };
            problem.related.push(related);
            problems.push(problem);
        }
        names.push(Opened {
            name,
            file: source.file.clone(),
            span,
        });
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[&str]) -> Result<(Grants, Vec<BucketName>), Problems> {
        grants_from_lines(&lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn lines_are_merged_and_their_buckets_declared() {
        let (grants, buckets) = lines(&[
            "keyvalue = [{ bucket = \"b\" }, { bucket = \"a\", as = \"default\", access = \"read-write\" }]",
            "keyvalue = [{ bucket = \"a\" }]",
            "clock = true",
            "files = [{ dir = \"src\", at = \"/src\" }]",
        ])
        .unwrap();
        assert_eq!(
            buckets.iter().map(BucketName::as_str).collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert_eq!(grants.keyvalue.len(), 3);
        assert!(grants.clock && !grants.randomness);
        assert!(grants.files[0].dir.is_absolute());
    }

    #[test]
    fn a_problem_names_its_line() {
        let problems = lines(&[
            "clock = true",
            "clok = true\nhttp = true",
            "keyvalue = [{ bucket = ",
        ])
        .unwrap_err();
        let text = problems.to_string();
        for part in [
            "--> --grant 2:1:1",
            "did you mean `clock`?",
            "`http` is a boolean, not a list of tables",
            "--> --grant 3",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn two_lines_cannot_give_one_name() {
        let problems = lines(&[
            "keyvalue = [{ bucket = \"a\", as = \"x\" }]",
            "keyvalue = [{ bucket = \"b\", as = \"x\" }]",
        ]);
        let text = problems.unwrap_err().to_string();
        assert!(
            text.contains("two grants give the guest the bucket `x`") && text.contains("--grant 1"),
            "{text}"
        );
    }

    #[test]
    fn a_single_component_answers_every_path() {
        let app = single(Path::new("./Cargo.toml"), Grants::default(), Vec::new()).unwrap();
        assert_eq!(app.name.as_str(), "cargo");
        assert_eq!(app.routes[0].path, "/*");
        assert!(single(Path::new("absent.wasm"), Grants::default(), Vec::new()).is_err());
    }
}
