//! Where something stands in a text that was read before. In: a text and the way to a value. Out: its place, for a caret.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    app::App,
    problem::{Problem, Source, Span},
    source,
};

/// A file's text, to find where something stands. Without it a refusal is the same, with no caret.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) source: Option<Source>,
}

impl Shown {
    /// The manifest, read again.
    pub(super) fn manifest(app: &App) -> Self {
        let gone = || Problem::of_file(&app.manifest, "missing-manifest", "gone");
        Self {
            source: source::read(&app.manifest, gone).ok(),
        }
    }

    /// The value at the end of `way`.
    pub(super) fn value(&self, way: &[&str]) -> Option<Span> {
        let (root, _) = DeTable::parse_recoverable(&self.source.as_ref()?.text);
        inside(root.get_ref(), way)
    }

    /// An item of the list at the end of `way`.
    pub(super) fn item(&self, way: &[&str], index: usize) -> Option<Span> {
        let (root, _) = DeTable::parse_recoverable(&self.source.as_ref()?.text);
        match at(root.get_ref(), way)?.get_ref() {
            DeValue::Array(items) => items.get(index).map(Spanned::span),
            _ => None,
        }
    }
}

/// The place of the value at the end of `way`.
pub(super) fn inside(table: &DeTable<'_>, way: &[&str]) -> Option<Span> {
    at(table, way).map(Spanned::span)
}

fn at<'t>(table: &'t DeTable<'t>, way: &[&str]) -> Option<&'t Spanned<DeValue<'t>>> {
    let (first, rest) = way.split_first()?;
    let start = table.get(*first)?;
    rest.iter()
        .try_fold(start, |value, key| value.get_ref().get(*key))
}
