//! Walks a TOML document and notes everything that is wrong with its shape. In: a text and the keys each table may hold.
//! Out: values with their places, and problems. Knows TOML and messages, not what the keys mean.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    problem::{Problem, Related, Source, Span, quote},
    suggest::nearest,
};

mod table;

pub(crate) use table::{Shape, Table, TextOrTable};

/// A text under its key; `None` is required and given elsewhere.
pub(crate) type Text = (Spanned<String>, Option<String>);

const TEXT: Shape = Shape {
    known: &[("required", "required = true")],
    later: &[(
        "secret",
        "grant the secret: `secrets = [{ name = \"NAME\" }]`",
    )],
};

/// Reads one source and gathers its problems.
#[derive(Debug)]
pub(crate) struct Reader<'s> {
    pub(crate) source: &'s Source,
    pub(crate) problems: Vec<Problem>,
}

impl<'s> Reader<'s> {
    pub(crate) fn new(source: &'s Source) -> Self {
        Self {
            source,
            problems: Vec::new(),
        }
    }

    /// Notes a problem at a place, or of the file as a whole.
    pub(crate) fn report(
        &mut self,
        rule: &'static str,
        span: impl Into<Option<Span>>,
        message: String,
        label: &str,
        fix: impl Into<String>,
    ) {
        let mut problem = Problem::of_file(&self.source.file, rule, message).fix(fix);
        problem.span = span.into();
        problem.label = label.to_owned();
        self.problems.push(problem);
    }

    /// Adds another place of the same file to the problem noted last.
    pub(crate) fn relate(&mut self, span: Span, label: &str) {
        if let Some(problem) = self.problems.last_mut() {
            problem.related.push(Related {
                file: self.source.file.clone(),
                span: Some(span),
                label: label.to_owned(),
            });
        }
    }

    /// The document as a table.
    pub(crate) fn root<'t>(&mut self, keys: &'t DeTable<'t>, shape: &'static Shape) -> Table<'t> {
        self.checked(Table {
            keys,
            span: 0..0,
            path: String::new(),
            shape,
        })
    }

    /// Notes that a key has to be there.
    pub(crate) fn missing(&mut self, table: &Table<'_>, key: &str) {
        let message = format!("{} is missing {}", quote(key), table.place());
        let fix = table.example(key).unwrap_or(key);
        let span = Some(table.span.clone()).filter(|_| !table.path.is_empty());
        self.report("missing-key", span, message, "", format!("add `{fix}`"));
    }

    /// A text.
    pub(crate) fn string(&mut self, table: &Table<'_>, key: &str) -> Option<Spanned<String>> {
        let value = table.keys.get(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(Spanned::new(value.span(), text.to_string())),
            _ => self.wrong_type(table, key, value, "a string"),
        }
    }

    /// A text that has to be there.
    pub(crate) fn required(&mut self, table: &Table<'_>, key: &str) -> Option<Spanned<String>> {
        if !table.keys.contains_key(key) {
            self.missing(table, key);
        }
        self.string(table, key)
    }

    /// `true` or `false`; absent is `false`.
    pub(crate) fn flag(&mut self, table: &Table<'_>, key: &str) -> bool {
        let Some(value) = table.keys.get(key) else {
            return false;
        };
        let flag = value.get_ref().as_bool();
        flag.or_else(|| self.wrong_type(table, key, value, "true or false"))
            .unwrap_or_default()
    }

    /// A whole number; one too large for 64 bits becomes the largest.
    pub(crate) fn integer(&mut self, table: &Table<'_>, key: &str) -> Option<Spanned<i64>> {
        let value = table.keys.get(key)?;
        match value.get_ref() {
            DeValue::Integer(n) => {
                let number = i64::from_str_radix(n.as_str(), n.radix()).unwrap_or(i64::MAX);
                Some(Spanned::new(value.span(), number))
            }
            _ => self.wrong_type(table, key, value, "a whole number"),
        }
    }

    /// A list of texts; the list's own place is that of the key's value.
    pub(crate) fn strings(
        &mut self,
        table: &Table<'_>,
        key: &str,
    ) -> Option<Spanned<Vec<Spanned<String>>>> {
        let value = table.keys.get(key)?;
        let DeValue::Array(items) = value.get_ref() else {
            return self.wrong_type(table, key, value, "a list of strings");
        };
        let mut strings = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::String(text) => strings.push(Spanned::new(item.span(), text.to_string())),
                _ => drop(self.wrong_type::<()>(table, key, item, "a list of strings")),
            }
        }
        Some(Spanned::new(value.span(), strings))
    }

    /// A table of texts under any keys; `None` is one that has to be given elsewhere: `{ required = true }`.
    pub(crate) fn texts(&mut self, table: &Table<'_>, key: &str) -> Vec<Text> {
        let mut texts = Vec::new();
        let Some(value) = table.keys.get(key) else {
            return texts;
        };
        let DeValue::Table(entries) = value.get_ref() else {
            self.wrong_type::<()>(table, key, value, "a table of strings");
            return texts;
        };
        for (name, value) in in_order(entries) {
            let named = || Spanned::new(name.span(), name.get_ref().to_string());
            match value.get_ref() {
                DeValue::String(text) => texts.push((named(), Some(text.to_string()))),
                DeValue::Table(keys) => {
                    let entry = self.checked(Table {
                        keys,
                        span: value.span(),
                        path: table.path_of(&format!("{key}.{}", name.get_ref())),
                        shape: &TEXT,
                    });
                    if !entry.keys.contains_key("required") {
                        self.missing(&entry, "required");
                    }
                    if self.flag(&entry, "required") {
                        texts.push((named(), None));
                    }
                }
                other => {
                    let path = table.path_of(&format!("{key}.{}", name.get_ref()));
                    let message = format!("{} is {}, not a string", quote(&path), described(other));
                    let fix = "put the value in quotes; the component reads text";
                    self.report("wrong-type", value.span(), message, "", fix);
                }
            }
        }
        texts
    }

    /// A table with known keys.
    pub(crate) fn table<'t>(
        &mut self,
        table: &Table<'t>,
        key: &str,
        shape: &'static Shape,
    ) -> Option<Table<'t>> {
        let value = table.keys.get(key)?;
        match value.get_ref() {
            DeValue::Table(keys) => Some(self.checked(Table {
                keys,
                span: value.span(),
                path: table.path_of(key),
                shape,
            })),
            _ => self.wrong_type(table, key, value, "a table"),
        }
    }

    /// A list of tables with known keys.
    pub(crate) fn tables<'t>(
        &mut self,
        table: &Table<'t>,
        key: &str,
        shape: &'static Shape,
    ) -> Vec<Table<'t>> {
        let mut tables = Vec::new();
        let Some(value) = table.keys.get(key) else {
            return tables;
        };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type::<()>(table, key, value, "a list of tables");
            return tables;
        };
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(keys) => {
                    let item = Table {
                        keys,
                        span: item.span(),
                        path: table.path_of(key),
                        shape,
                    };
                    tables.push(self.checked(item));
                }
                _ => drop(self.wrong_type::<()>(table, key, item, "a list of tables")),
            }
        }
        tables
    }

    /// Tables under names the writer chose, in the order of the file.
    pub(crate) fn named<'t>(
        &mut self,
        table: &Table<'t>,
        key: &str,
        shape: &'static Shape,
    ) -> Vec<(Spanned<String>, Table<'t>)> {
        self.entries(table, key, shape, |path, _| {
            format!("begin it with {}", quote(&format!("[{path}]")))
        })
    }

    /// As `named`, with its own word on what to write in place of an entry that is no table: of its path and its name.
    pub(crate) fn entries<'t>(
        &mut self,
        table: &Table<'t>,
        key: &str,
        shape: &'static Shape,
        instead: fn(&str, &str) -> String,
    ) -> Vec<(Spanned<String>, Table<'t>)> {
        let mut named = Vec::new();
        let Some(value) = table.keys.get(key) else {
            return named;
        };
        let DeValue::Table(entries) = value.get_ref() else {
            self.wrong_type::<()>(table, key, value, "a table");
            return named;
        };
        for (name, value) in in_order(entries) {
            let path = table.path_of(&format!("{key}.{}", name.get_ref()));
            let DeValue::Table(keys) = value.get_ref() else {
                let message = format!(
                    "{} is {}, not a table",
                    quote(&path),
                    described(value.get_ref())
                );
                let fix = instead(&path, name.get_ref());
                self.report("wrong-type", value.span(), message, "", fix);
                continue;
            };
            let name = Spanned::new(name.span(), name.get_ref().to_string());
            let entry = Table {
                keys,
                span: value.span(),
                path,
                shape,
            };
            named.push((name, self.checked(entry)));
        }
        named
    }

    /// Texts, or tables with known keys, under names the writer chose, in the order of the file.
    pub(crate) fn texts_or_tables<'t>(
        &mut self,
        table: &Table<'t>,
        key: &str,
        shape: &'static Shape,
    ) -> Vec<(Spanned<String>, TextOrTable<'t>)> {
        let mut found = Vec::new();
        let Some(value) = table.keys.get(key) else {
            return found;
        };
        let DeValue::Table(entries) = value.get_ref() else {
            self.wrong_type::<()>(table, key, value, "a table");
            return found;
        };
        for (name, value) in in_order(entries) {
            let read = match value.get_ref() {
                DeValue::String(text) => {
                    TextOrTable::Text(Spanned::new(value.span(), text.to_string()))
                }
                DeValue::Table(keys) => TextOrTable::Table(self.checked(Table {
                    keys,
                    span: value.span(),
                    path: table.path_of(&format!("{key}.{}", name.get_ref())),
                    shape,
                })),
                _ => {
                    self.wrong_type::<()>(table, key, value, "a table of strings and tables");
                    continue;
                }
            };
            found.push((Spanned::new(name.span(), name.get_ref().to_string()), read));
        }
        found
    }

    /// Notes the keys that do not belong.
    fn checked<'t>(&mut self, table: Table<'t>) -> Table<'t> {
        for (name, _) in in_order(table.keys) {
            let key: &str = name.get_ref();
            if table.example(key).is_some() {
                continue;
            }
            if let Some((_, until)) = table.shape.later.iter().find(|(later, _)| *later == key) {
                self.not_in_this_version(
                    name.span(),
                    &format!("{} {}", quote(key), table.place()),
                    until,
                );
                continue;
            }
            // One without an example is known only so that its reader can refuse it with a reason.
            let offered = table
                .shape
                .known
                .iter()
                .filter(|(_, example)| !example.is_empty());
            let known: Vec<&str> = offered.map(|(known, _)| *known).collect();
            let fix = match nearest(key, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => "leave it out: this table holds no keys".to_owned(),
                None => format!("keys here: {}", known.join(", ")),
            };
            let message = format!("unknown key {} {}", quote(key), table.place());
            self.report("unknown-key", name.span(), message, "not a key here", fix);
        }
        table
    }

    /// Refuses what the design has and this version has not. Never parsed and ignored.
    pub(crate) fn not_in_this_version(&mut self, span: Span, what: &str, until: &str) {
        self.report(
            "not-in-this-version",
            span,
            format!("{what} is not in this version"),
            "not yet",
            until,
        );
    }

    fn wrong_type<T>(
        &mut self,
        table: &Table<'_>,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        wanted: &str,
    ) -> Option<T> {
        let found = described(value.get_ref());
        let path = table.path_of(key);
        // A value inside a list is at fault, not the list.
        let item = table
            .keys
            .get(key)
            .is_some_and(|whole| whole.span() != value.span());
        let message = match item {
            true => format!("{} is {wanted}, and this is {found}", quote(&path)),
            false => format!("{} is {found}, not {wanted}", quote(&path)),
        };
        let fix = match table.example(key) {
            Some(example) => format!("for example `{example}`"),
            None => format!("write {wanted}"),
        };
        self.report("wrong-type", value.span(), message, "", fix);
        None
    }
}

/// A table's entries as the file has them; the parser sorts them by name.
fn in_order<'t>(
    table: &'t DeTable<'t>,
) -> Vec<(
    &'t Spanned<std::borrow::Cow<'t, str>>,
    &'t Spanned<DeValue<'t>>,
)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

fn described(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
