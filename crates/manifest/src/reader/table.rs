//! A table of a document while it is read: its entries, its place, and the keys it may hold. Knows nothing of problems.

use toml::{Spanned, de::DeTable};

use crate::problem::{Span, quote};

/// The keys a table may hold.
#[derive(Debug)]
pub(crate) struct Shape {
    /// Each key with an example of a line, shown as the fix.
    pub(crate) known: &'static [(&'static str, &'static str)],
    /// Keys of the design that are not built yet, with what to do until then.
    pub(crate) later: &'static [(&'static str, &'static str)],
}

/// A table, where it stands, and what it may hold.
#[derive(Debug, Clone)]
pub(crate) struct Table<'t> {
    pub(crate) keys: &'t DeTable<'t>,
    pub(crate) span: Span,
    /// As in a header: `component.auth`; empty is the document itself.
    pub(crate) path: String,
    pub(super) shape: &'static Shape,
}

/// A value that is said in short or at length.
#[derive(Debug)]
pub(crate) enum TextOrTable<'t> {
    /// In short.
    Text(Spanned<String>),
    /// At length.
    Table(Table<'t>),
}

impl Table<'_> {
    /// The example line of `key`.
    pub(super) fn example(&self, key: &str) -> Option<&'static str> {
        self.shape
            .known
            .iter()
            .find(|(known, _)| *known == key)
            .map(|(_, example)| *example)
    }

    /// `path.key`, as it would be written with dots.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    pub(super) fn place(&self) -> String {
        if self.path.is_empty() {
            "at the top".to_owned()
        } else {
            format!("in {}", quote(&self.path))
        }
    }
}
