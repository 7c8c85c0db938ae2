//! The graph for Graphviz. In: an app. Out: a digraph; every text quoted, nothing in it is markup.

use std::fmt::Write as _;

use coracle_manifest::App;

use super::drawing::{Drawing, Kind};

pub(super) fn graph(app: &App) -> String {
    let drawing = Drawing::of(app);
    let mut text = format!("digraph {} {{\n  rankdir=LR;\n", quoted(app.name.as_str()));
    text.push_str(
        "  node [fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\", fontsize=10];\n",
    );
    for (i, shape) in drawing.shapes.iter().enumerate() {
        let form = match shape.kind {
            Kind::Route => "shape=box, style=rounded",
            Kind::Component => "shape=box, style=bold",
            Kind::Resource => "shape=note",
        };
        let _ = writeln!(text, "  n{i} [label={}, {form}];", quoted(&shape.text));
    }
    for arrow in &drawing.arrows {
        let label = quoted(&arrow.texts.join(", "));
        let own = if arrow.own { ", style=dashed" } else { "" };
        let _ = writeln!(
            text,
            "  n{} -> n{} [label={label}{own}];",
            arrow.from, arrow.to
        );
    }
    text.push_str("}\n");
    text
}

/// A quoted string of the DOT language; `\` begins an escape in labels.
fn quoted(text: &str) -> String {
    let shown: String = text.chars().filter(|c| !c.is_control()).collect();
    format!("\"{}\"", shown.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_its_quotes() {
        assert_eq!(quoted("a\"]; b\\"), r#""a\"]; b\\""#);
        assert_eq!(quoted("a\nb\u{1b}"), "\"ab\"");
    }
}
