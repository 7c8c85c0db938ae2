//! What is wrong with a file, for the person who wrote it. In: places and words. Out: text with file, line, caret, rule and fix.
//!
//! Everything that reads a file here collects problems and goes on; nobody has to fix one line to learn of the next.

use std::{fmt, ops::Range, path::PathBuf, sync::Arc};

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::conceal::concealed;

/// Bytes of a source text.
pub type Span = Range<usize>;

/// More than these are counted, not shown.
const MOST_SHOWN: usize = 100;

/// One thing that is wrong, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file it is in, as the user named it.
    pub file: PathBuf,
    /// Where in the file; `None` when it is about the file as a whole.
    pub span: Option<Span>,
    /// The rule that is broken: a stable kebab-case identifier.
    pub rule: &'static str,
    /// One sentence.
    pub message: String,
    /// What stands at the caret; may be empty.
    pub label: String,
    /// What to write or do instead.
    pub fix: Option<String>,
    /// Other places that take part.
    pub related: Vec<Related>,
}

/// Another place that takes part in a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// The file it is in.
    pub file: PathBuf,
    /// Where in the file; `None` when it is about the file as a whole.
    pub span: Option<Span>,
    /// What it has to do with the problem.
    pub label: String,
}

impl Problem {
    /// A problem of the file as a whole.
    pub(crate) fn of_file(
        file: impl Into<PathBuf>,
        rule: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            file: file.into(),
            span: None,
            rule,
            message: message.into(),
            label: String::new(),
            fix: None,
            related: Vec::new(),
        }
    }

    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

/// All that is wrong, with the texts it is in. Never empty when it is returned as an error.
#[derive(Debug, Clone, Default)]
pub struct Problems {
    problems: Vec<Problem>,
    sources: Vec<Source>,
}

/// A text that was read, and the name the user knows it by.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) file: PathBuf,
    pub(crate) text: Arc<str>,
}

impl Source {
    /// The same text without what may be a secret; places in it stay.
    pub(crate) fn concealed(&self) -> Self {
        Self {
            file: self.file.clone(),
            text: concealed(&self.text).into(),
        }
    }
}

impl Problems {
    /// The sources are shown with secrets concealed; places in them stay.
    pub(crate) fn new(problems: Vec<Problem>, sources: Vec<Source>) -> Self {
        Self {
            problems,
            sources: sources.iter().map(Source::concealed).collect(),
        }
    }

    /// Each problem, in the order of the files.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.problems.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.problems.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// Adds those of another file, so that several are reported at once.
    pub fn extend(&mut self, other: Problems) {
        self.problems.extend(other.problems);
        self.sources.extend(other.sources);
    }

    /// The line, counted from 1, at which `problem` is; `None` when it is about a file as a whole.
    pub fn line(&self, problem: &Problem) -> Option<usize> {
        let source = self.sources.iter().find(|s| s.file == problem.file)?;
        Some(line_of(&source.text, problem.span.as_ref()?.start))
    }

    /// The text for a terminal. Colour never carries meaning alone, so both forms say the same.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut shown: Vec<String> = self
            .problems
            .iter()
            .take(MOST_SHOWN)
            .map(|p| renderer.render(&[self.group(p)]))
            .collect();
        if let Some(more) = self
            .problems
            .len()
            .checked_sub(MOST_SHOWN)
            .filter(|more| *more > 0)
        {
            shown.push(format!("... and {more} more"));
        }
        shown.join("\n\n")
    }

    fn group<'a>(&'a self, problem: &'a Problem) -> Group<'a> {
        let mut group = Level::ERROR
            .primary_title(problem.message.as_str())
            .id(problem.rule)
            .elements(std::iter::empty::<Origin<'a>>());
        let primary = problem.span.as_ref().map(|span| Mark {
            kind: AnnotationKind::Primary,
            span,
            label: &problem.label,
        });
        let (same, other): (Vec<_>, Vec<_>) =
            problem.related.iter().partition(|r| r.file == problem.file);
        let marks = primary
            .into_iter()
            .chain(same.into_iter().filter_map(Mark::context))
            .collect();
        group = self.place(group, &problem.file, marks);
        for related in other {
            group = self.place(
                group,
                &related.file,
                Mark::context(related).into_iter().collect(),
            );
            if related.span.is_none() {
                group = group.element(Level::NOTE.message(related.label.as_str()));
            }
        }
        match &problem.fix {
            Some(fix) => group.element(Level::HELP.with_name("fix").message(fix.as_str())),
            None => group,
        }
    }

    /// A file with its marked lines, or only its name when there is nothing to mark.
    fn place<'a>(
        &'a self,
        group: Group<'a>,
        file: &'a std::path::Path,
        marks: Vec<Mark<'a>>,
    ) -> Group<'a> {
        let name = file.to_string_lossy();
        let source = self.sources.iter().find(|s| s.file == file);
        match source {
            Some(source) if !marks.is_empty() => {
                group.element(snippet(&source.text, marks).path(name))
            }
            _ => group.element(Origin::path(name)),
        }
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self::new(vec![problem], Vec::new())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}

struct Mark<'a> {
    kind: AnnotationKind,
    span: &'a Span,
    label: &'a str,
}

impl<'a> Mark<'a> {
    fn context(related: &'a Related) -> Option<Self> {
        let span = related.span.as_ref()?;
        Some(Self {
            kind: AnnotationKind::Context,
            span,
            label: &related.label,
        })
    }
}

/// The line, counted from 1, that holds byte `at`.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
}

/// The bytes of the line that holds byte `at`, without its line feed.
pub(crate) fn line_span(text: &str, at: usize) -> Span {
    let at = text.floor_char_boundary(at.min(text.len()));
    let (before, after) = text.split_at(at);
    let start = before.rfind('\n').map_or(0, |i| i + 1);
    let end = after.find('\n').map_or(text.len(), |i| at + i);
    start..end
}

/// Only the lines that are marked: the renderer's work is proportional to what it is given.
fn snippet<'a>(text: &'a str, marks: Vec<Mark<'a>>) -> Snippet<'a, Annotation<'a>> {
    let marks: Vec<_> = marks
        .into_iter()
        .map(|m| (on_one_line(text, m.span), m))
        .collect();
    let first = marks.iter().map(|(s, _)| s.start).min().unwrap_or(0);
    let last = marks.iter().map(|(s, _)| s.end).max().unwrap_or(0);
    let (start, end) = (line_span(text, first).start, line_span(text, last).end);
    let annotations = marks.into_iter().map(|(span, mark)| {
        let annotation = mark.kind.span(span.start - start..span.end - start);
        if mark.label.is_empty() {
            annotation
        } else {
            annotation.label(mark.label)
        }
    });
    Snippet::source(text.get(start..end).unwrap_or_default())
        .line_start(line_of(text, start))
        .annotations(annotations)
}

/// `span` inside `text`, on character boundaries, and not beyond its first line.
fn on_one_line(text: &str, span: &Span) -> Span {
    let mut start = text.floor_char_boundary(span.start.min(text.len()));
    if start == text.len() {
        start = text.trim_end().len();
    }
    let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
    start..end.min(line_span(text, start).end)
}

/// What the user wrote, fit for a message: no control characters, not endless.
pub(crate) fn quote(text: &str) -> String {
    let mut shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    shown = shown.replace("\\\"", "\"").replace("\\'", "'");
    if text.chars().count() > 80 {
        shown.push('…');
    }
    format!("`{shown}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str, span: Span) -> Problems {
        let source = Source {
            file: "a.toml".into(),
            text: text.into(),
        };
        let mut problem = Problem::of_file("a.toml", "rule", "message");
        problem.span = Some(span);
        Problems::new(vec![problem], vec![source])
    }

    #[test]
    fn a_span_outside_its_text_is_drawn_all_the_same() {
        for text in ["", "\n", "é", "a\r\nb", "a\n\n\n"] {
            for start in 0..6 {
                for end in 0..9 {
                    assert!(
                        problems(text, start..end)
                            .render(false)
                            .contains("error[rule]: message")
                    );
                }
            }
        }
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let problems = problems("a = 1\n", 4..5);
        let coloured = problems.render(true);
        assert!(coloured.contains('\u{1b}'));
        let mut plain = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, escape)) = rest.split_once('\u{1b}') {
            plain.push_str(before);
            rest = escape.split_once('m').unwrap().1;
        }
        assert_eq!(plain + rest, problems.to_string());
    }

    #[test]
    fn a_message_carries_no_control_characters_of_the_file() {
        assert_eq!(quote("a\u{1b}[2Jb\"c"), "`a\\u{1b}[2Jb\"c`");
    }

    #[test]
    fn the_hundred_and_first_problem_is_counted() {
        let problem = Problem::of_file("a.toml", "rule", "message");
        let problems = Problems::new(vec![problem; 101], Vec::new());
        assert!(problems.render(false).ends_with("... and 1 more"));
    }
}
