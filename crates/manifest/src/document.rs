//! Text to TOML document. In: a source. Out: what could be read of it, and each place where it is not TOML.
//!
//! Reading goes on after a mistake, so that the rest of the file is checked in the same run; `settled` then drops what was only
//! a consequence.

use toml::de::DeTable;

use crate::problem::{Problem, Related, Source, Span, line_of, line_span, quote};

/// Rules that say something is absent: after a syntax error it may stand in the part that could not be read.
const CONSEQUENCES: [&str; 6] = [
    "missing-key",
    "no-such-backend",
    "no-such-component",
    "no-such-bucket",
    "no-such-secret",
    "no-such-profile",
];

/// Parses what can be parsed.
pub(crate) fn parse(source: &Source) -> (DeTable<'_>, Vec<Problem>) {
    let (root, errors) = DeTable::parse_recoverable(&source.text);
    let mut problems: Vec<Problem> = Vec::new();
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        // The parser may stumble several times over one mistake: the first says it.
        let line = line_of(&source.text, span.start);
        let told = |p: &Problem| {
            p.span
                .as_ref()
                .is_some_and(|s| line_of(&source.text, s.start) == line)
        };
        if problems.iter().any(told) || follows_a_told_header(&source.text, span.start, &problems) {
            continue;
        }
        problems.push(match error.message() {
            "duplicate key" => duplicate(source, span),
            message => syntax(source, span, message),
        });
    }
    (root.into_inner(), problems)
}

/// All problems of one source in the order of the file, without those that follow from a syntax error.
pub(crate) fn settled(
    source: &Source,
    syntax: Vec<Problem>,
    mut found: Vec<Problem>,
) -> Vec<Problem> {
    let line = |p: &Problem| p.span.as_ref().map(|s| line_of(&source.text, s.start));
    if !syntax.is_empty() {
        let broken: Vec<_> = syntax.iter().map(line).collect();
        found.retain(|p| !CONSEQUENCES.contains(&p.rule) && !broken.contains(&line(p)));
    }
    let mut all = syntax;
    all.extend(found);
    all.sort_by_key(|p| p.span.as_ref().map(|s| s.start));
    all
}

/// Whether byte `at` is a key below a header that is itself at fault: its keys only repeat the mistake.
fn follows_a_told_header(text: &str, at: usize, problems: &[Problem]) -> bool {
    let before = text.get(..line_span(text, at).start).unwrap_or_default();
    let Some(header) = find_before(before, |line| line.starts_with('[')) else {
        return false;
    };
    let inside = |p: &Problem| p.span.as_ref().is_some_and(|s| header.contains(&s.start));
    problems.iter().any(|p| p.rule == "duplicate" && inside(p))
}

fn syntax(source: &Source, span: Span, message: &str) -> Problem {
    let rest = source
        .text
        .get(span.start..line_span(&source.text, span.start).end)
        .unwrap_or_default();
    let (message, fix) = match message {
        m if m.starts_with("string values must be quoted") && rest.trim().is_empty() => (
            "a value is missing",
            "write a value after the `=`; text stands in quotes",
        ),
        m if m.starts_with("string values must be quoted") => {
            (m, "put text in quotes: `name = \"shop\"`")
        }
        m if m.contains("key with no value") => (m, "write `key = value`"),
        m if m.contains("unclosed") || m.contains("missing closing") => (m, "close it"),
        m => (
            m,
            "a key is written `key = \"value\"`, a table `[name]`; the syntax is at https://toml.io",
        ),
    };
    let mut problem = Problem::of_file(
        &source.file,
        "syntax",
        format!("this is not TOML: {message}"),
    )
    .fix(fix);
    problem.span = Some(span);
    problem
}

/// The parser says only "duplicate key". What it is, and where the first one stands, is in the text.
fn duplicate(source: &Source, span: Span) -> Problem {
    let text = &*source.text;
    let line = line_span(text, span.start);
    let here = text.get(line.clone()).unwrap_or_default().trim();
    let before = text.get(..line.start).unwrap_or_default();
    let (message, fix, first) = match header(here) {
        Some(table) => (
            named_twice(&table),
            "rename one, or put their keys under one header",
            find_before(before, |l| header(l).as_deref() == Some(table.as_str())),
        ),
        None => {
            let key = text.get(span.clone()).unwrap_or_default();
            let starts = |l: &str| {
                l.strip_prefix(key)
                    .is_some_and(|rest| rest.trim_start().starts_with(['=', '.']))
            };
            (
                format!("{} is set twice in one table", quote(key)),
                "keep one of them",
                find_before(before, starts),
            )
        }
    };
    let mut problem = Problem::of_file(&source.file, "duplicate", message).fix(fix);
    problem.span = Some(span);
    problem.label = "again here".into();
    problem.related.extend(first.map(|span| Related {
        file: source.file.clone(),
        span: Some(span),
        label: "first here".into(),
    }));
    problem
}

/// `component.auth`, from `[component.auth] # comment`.
fn header(line: &str) -> Option<String> {
    let inside = line.strip_prefix('[')?.split_once(']')?.0;
    Some(
        inside
            .split('.')
            .map(|key| key.trim().trim_matches(['"', '\'']))
            .collect::<Vec<_>>()
            .join("."),
    )
}

fn named_twice(table: &str) -> String {
    match table.split('.').collect::<Vec<_>>().as_slice() {
        ["component", name] => format!("two components are named {}", quote(name)),
        ["bucket", name] => format!("two buckets are named {}", quote(name)),
        ["secret", name] => format!("two secrets are named {}", quote(name)),
        ["backend", name] => format!("two backends are named {}", quote(name)),
        ["app", name] => format!("two apps are named {}", quote(name)),
        _ => format!("the table {} stands twice", quote(&format!("[{table}]"))),
    }
}

fn find_before(text: &str, is_it: impl Fn(&str) -> bool) -> Option<Span> {
    let mut found = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        let indent = line.len() - line.trim_start().len();
        if is_it(trimmed) {
            found = Some(start + indent..start + indent + trimmed.len());
        }
        start += line.len();
    }
    found
}
