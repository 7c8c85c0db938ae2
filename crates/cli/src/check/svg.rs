//! The graph as a drawing: columns from left to right, each box as far right as its longest way from a route. In: an app. Out: SVG of
//! fixed sizes, the same for the same app; every text escaped.
//!
//! An arrow that skips a column goes through a bend in it, so that it passes between boxes and not through them.

use std::fmt::Write as _;

use coracle_manifest::App;

use super::drawing::{Arrow, Drawing, Kind};

const CHARACTER: usize = 8;
const BOX_HEIGHT: usize = 28;
const BEND_HEIGHT: usize = 10;
const GAP: usize = 18;
const MARGIN: usize = 24;
/// Room beside a label between two columns.
const BESIDE: usize = 56;
const LABEL_HEIGHT: usize = 15;
const SWEEPS: usize = 8;

pub(super) fn graph(app: &App) -> String {
    Layout::of(Drawing::of(app)).written(app.name.as_str())
}

/// A box, or a bend of an arrow that skips a column.
#[derive(Debug, Default)]
struct Cell {
    /// Into `Drawing::shapes`; a bend has none.
    shape: Option<usize>,
    column: usize,
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

/// A piece of an arrow between two columns.
struct Piece {
    from: usize,
    to: usize,
    arrow: usize,
    /// Where the arrow ends.
    last: bool,
}

struct Layout {
    drawing: Drawing,
    cells: Vec<Cell>,
    columns: Vec<Vec<usize>>,
    pieces: Vec<Piece>,
}

impl Layout {
    fn of(drawing: Drawing) -> Self {
        let columns = columns(&drawing);
        let mut layout = Self {
            cells: Vec::new(),
            columns: vec![Vec::new(); columns.iter().max().map_or(0, |last| last + 1)],
            pieces: Vec::new(),
            drawing,
        };
        for (shape, column) in columns.iter().enumerate() {
            let width = layout.drawing.shapes.get(shape);
            let width = width.map_or(0, |shape| (length(&shape.text) + 3) * CHARACTER);
            layout.cell(Some(shape), *column, width, BOX_HEIGHT);
        }
        layout.bend(&columns);
        layout.order();
        layout.place();
        layout
    }

    fn cell(&mut self, shape: Option<usize>, column: usize, width: usize, height: usize) -> usize {
        let cell = self.cells.len();
        self.cells.push(Cell {
            shape,
            column,
            width,
            height,
            ..Cell::default()
        });
        if let Some(column) = self.columns.get_mut(column) {
            column.push(cell);
        }
        cell
    }

    /// Cuts arrows into pieces of one column each. One that goes back stays whole.
    fn bend(&mut self, columns: &[usize]) {
        for arrow in 0..self.drawing.arrows.len() {
            let Some(Arrow { from, to, .. }) = self.drawing.arrows.get(arrow) else {
                continue;
            };
            let (mut at, to) = (*from, *to);
            let column = |shape: usize| columns.get(shape).copied().unwrap_or_default();
            for between in column(at) + 1..column(to) {
                let bend = self.cell(None, between, 0, BEND_HEIGHT);
                self.piece(at, bend, arrow, false);
                at = bend;
            }
            self.piece(at, to, arrow, true);
        }
    }

    fn piece(&mut self, from: usize, to: usize, arrow: usize, last: bool) {
        self.pieces.push(Piece {
            from,
            to,
            arrow,
            last,
        });
    }

    /// Puts each cell near the middle of those it is joined to, from the left and from the right in turn.
    fn order(&mut self) {
        for sweep in 0..SWEEPS {
            for n in 0..self.columns.len() {
                let forward = sweep % 2 == 0;
                let n = match forward {
                    true => n,
                    false => self.columns.len() - 1 - n,
                };
                let places = self.places();
                let Some(mut column) = self.columns.get(n).cloned() else {
                    continue;
                };
                // A stable sort: what is joined to nothing here keeps its place.
                column.sort_by_key(|cell| self.middle(*cell, forward, &places));
                if let Some(ordered) = self.columns.get_mut(n) {
                    *ordered = column;
                }
            }
        }
    }

    /// The place of each cell in its column, in thousandths.
    fn places(&self) -> Vec<usize> {
        let mut places = vec![0; self.cells.len()];
        for column in &self.columns {
            for (i, cell) in column.iter().enumerate() {
                if let Some(place) = places.get_mut(*cell) {
                    *place = (2 * i + 1) * 500 / column.len().max(1);
                }
            }
        }
        places
    }

    fn middle(&self, cell: usize, from_the_left: bool, places: &[usize]) -> usize {
        let joined = self.pieces.iter().filter_map(|piece| {
            match (from_the_left, piece.from == cell, piece.to == cell) {
                (true, _, true) => places.get(piece.from),
                (false, true, _) => places.get(piece.to),
                _ => None,
            }
        });
        let joined: Vec<usize> = joined.copied().collect();
        match joined.len() {
            0 => places.get(cell).copied().unwrap_or_default(),
            n => joined.iter().sum::<usize>() / n,
        }
    }

    /// Columns as wide as their boxes, as far apart as their labels are long, each in the middle of the height.
    fn place(&mut self) {
        let height = |layout: &Self, column: &[usize]| -> usize {
            let heights = column.iter().filter_map(|cell| layout.cells.get(*cell));
            heights.map(|cell| cell.height + GAP).sum()
        };
        let columns = self.columns.clone();
        let tallest = columns.iter().map(|c| height(self, c)).max();
        let tallest = tallest.unwrap_or_default();
        let mut x = MARGIN;
        for (n, column) in columns.iter().enumerate() {
            let widths = column.iter().filter_map(|cell| self.cells.get(*cell));
            let widest = widths.map(|cell| cell.width).max().unwrap_or_default();
            let mut y = MARGIN + (tallest - height(self, column)) / 2;
            for cell in column.iter() {
                if let Some(cell) = self.cells.get_mut(*cell) {
                    cell.x = x;
                    cell.y = y;
                    // Bends are as wide as their column, so that an arrow crosses it straight.
                    if cell.shape.is_none() {
                        cell.width = widest;
                    }
                    y += cell.height + GAP;
                }
            }
            x += widest + self.longest_label_after(n) * CHARACTER + BESIDE;
        }
    }

    fn longest_label_after(&self, column: usize) -> usize {
        let labels = self.pieces.iter().filter(|piece| {
            let from = self.cells.get(piece.from);
            piece.last && from.is_some_and(|cell| cell.column == column)
        });
        let lengths = labels.filter_map(|piece| self.drawing.arrows.get(piece.arrow));
        let lengths = lengths.flat_map(|arrow| arrow.texts.iter().map(|text| length(text)));
        lengths.max().unwrap_or_default()
    }

    fn written(&self, name: &str) -> String {
        let right = self.cells.iter().map(|cell| cell.x + cell.width).max();
        let bottom = self.cells.iter().map(|cell| cell.y + cell.height).max();
        let labels = self.labels();
        let lowest = labels.iter().map(|label| label.y + LABEL_HEIGHT).max();
        let (width, height) = (
            right.unwrap_or_default() + MARGIN,
            bottom.max(lowest).unwrap_or_default() + MARGIN,
        );
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"monospace\" font-size=\"13\">\n\
             <title>{}</title>\n\
             <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\">\
             <path d=\"M0 0L8 4L0 8z\" fill=\"#555\"/></marker></defs>\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n",
            escaped(name)
        );
        for piece in &self.pieces {
            self.write_piece(&mut svg, piece);
        }
        for cell in self.cells.iter().filter(|cell| cell.shape.is_none()) {
            let (y, end) = (cell.y + cell.height / 2, cell.x + cell.width);
            let _ = writeln!(
                svg,
                "<path d=\"M{} {y}H{end}\" fill=\"none\" stroke=\"#555\"/>",
                cell.x
            );
        }
        for cell in &self.cells {
            self.write_box(&mut svg, cell);
        }
        for label in &labels {
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" font-size=\"12\" fill=\"#234\" stroke=\"#fff\" stroke-width=\"4\" paint-order=\"stroke\">{}</text>",
                label.x,
                label.y,
                escaped(&label.text)
            );
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn write_piece(&self, svg: &mut String, piece: &Piece) {
        let (Some(from), Some(to)) = (self.cells.get(piece.from), self.cells.get(piece.to)) else {
            return;
        };
        let own = self.drawing.arrows.get(piece.arrow).is_some_and(|a| a.own);
        let (x1, y1) = (from.x + from.width, from.y + from.height / 2);
        let (x2, y2) = (to.x, to.y + to.height / 2);
        let middle = x1.midpoint(x2);
        let dashes = if own { " stroke-dasharray=\"6 4\"" } else { "" };
        let tip = if piece.last {
            " marker-end=\"url(#tip)\""
        } else {
            ""
        };
        let _ = writeln!(
            svg,
            "<path d=\"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}\" fill=\"none\" stroke=\"#555\"{dashes}{tip}/>"
        );
    }

    fn write_box(&self, svg: &mut String, cell: &Cell) {
        let Some(shape) = cell.shape.and_then(|shape| self.drawing.shapes.get(shape)) else {
            return;
        };
        let (round, fill, stroke) = match shape.kind {
            Kind::Route => (14, "#eef4ff", "#3465a4"),
            Kind::Component => (3, "#ffffff", "#222222"),
            Kind::Resource => (3, "#fff6e0", "#a0741a"),
        };
        let _ = writeln!(
            svg,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{round}\" fill=\"{fill}\" stroke=\"{stroke}\"/>",
            cell.x, cell.y, cell.width, cell.height
        );
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            cell.x + cell.width / 2,
            cell.y + cell.height / 2 + 5,
            escaped(&shape.text)
        );
    }

    /// Each in the middle of the piece that ends its arrow, and moved down until it covers no other between the same columns.
    fn labels(&self) -> Vec<Label> {
        let mut labels: Vec<Label> = Vec::new();
        for piece in self.pieces.iter().filter(|piece| piece.last) {
            let (Some(from), Some(to)) = (self.cells.get(piece.from), self.cells.get(piece.to))
            else {
                continue;
            };
            let y = (from.y + from.height / 2).midpoint(to.y + to.height / 2);
            let texts = self.drawing.arrows.get(piece.arrow);
            let texts = texts.map_or(&[][..], |arrow| &arrow.texts);
            let top = (y + 4).saturating_sub(texts.len().saturating_sub(1) * LABEL_HEIGHT / 2);
            for (i, text) in texts.iter().enumerate() {
                labels.push(Label {
                    column: from.column,
                    x: (from.x + from.width).midpoint(to.x),
                    y: top + i * LABEL_HEIGHT,
                    text: text.clone(),
                });
            }
        }
        labels.sort_by_key(|label| (label.column, label.y));
        let mut free = (usize::MAX, 0);
        for label in &mut labels {
            if free.0 == label.column {
                label.y = label.y.max(free.1);
            }
            free = (label.column, label.y + LABEL_HEIGHT);
        }
        labels
    }
}

struct Label {
    column: usize,
    x: usize,
    y: usize,
    text: String,
}

/// The column of each box: routes first, resources last, components by their longest way from a route.
fn columns(drawing: &Drawing) -> Vec<usize> {
    let kind = |shape: usize| drawing.shapes.get(shape).map(|shape| shape.kind);
    let mut columns: Vec<usize> = drawing
        .shapes
        .iter()
        .map(|shape| usize::from(shape.kind != Kind::Route))
        .collect();
    let calls: Vec<&Arrow> = drawing
        .arrows
        .iter()
        .filter(|arrow| kind(arrow.to) == Some(Kind::Component))
        .collect();
    // Two routes may have one component before and behind another: so many rounds are enough where that is not so.
    for _ in 0..drawing.shapes.len() {
        for arrow in &calls {
            let least = columns.get(arrow.from).map_or(0, |column| column + 1);
            if let Some(column) = columns.get_mut(arrow.to) {
                *column = (*column).max(least);
            }
        }
    }
    let last = columns.iter().max().map_or(0, |last| last + 1);
    for (column, shape) in columns.iter_mut().zip(&drawing.shapes) {
        if shape.kind == Kind::Resource {
            *column = last;
        }
    }
    // Columns that nothing is in are left out.
    let mut used = columns.clone();
    used.sort_unstable();
    used.dedup();
    let place = |column: &usize| used.binary_search(column).unwrap_or_default();
    columns.iter().map(place).collect()
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// Text of XML: no markup, and no character that XML 1.0 does not have (2.2).
fn escaped(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        match character {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '"' => shown.push_str("&quot;"),
            '\'' => shown.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => {}
            other if other.is_control() => {}
            other => shown.push(other),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::drawing::Shape;

    fn drawing(shapes: &[(Kind, &str)], arrows: &[(usize, usize)]) -> Drawing {
        let shape = |(kind, text): &(Kind, &str)| Shape {
            kind: *kind,
            text: (*text).to_owned(),
        };
        let arrow = |(from, to): &(usize, usize)| Arrow {
            from: *from,
            to: *to,
            texts: vec!["a label".into()],
            own: false,
        };
        Drawing {
            shapes: shapes.iter().map(shape).collect(),
            arrows: arrows.iter().map(arrow).collect(),
        }
    }

    #[test]
    fn no_text_is_markup() {
        assert_eq!(
            escaped("<a b=\"c\">&'\u{1b}\n</a>"),
            "&lt;a b=&quot;c&quot;&gt;&amp;&#39;&lt;/a&gt;"
        );
    }

    #[test]
    fn who_is_called_stands_to_the_right_and_no_two_boxes_or_labels_meet() {
        use Kind::{Component, Resource, Route};
        let shapes = [
            (Route, "/a"),
            (Route, "/b"),
            (Component, "one"),
            (Component, "two"),
            (Component, "three"),
            (Resource, "bucket b"),
            (Resource, "clocks"),
        ];
        let arrows = [
            (0, 2),
            (1, 3),
            (2, 3),
            (3, 4),
            (2, 4),
            (2, 5),
            (3, 5),
            (4, 5),
            (4, 6),
        ];
        let layout = Layout::of(drawing(&shapes, &arrows));
        let column = |shape: usize| layout.cells[shape].column;
        assert_eq!([0, 1, 2, 3, 4, 5, 6].map(column), [0, 0, 1, 2, 3, 4, 4]);
        for (i, a) in layout.cells.iter().enumerate() {
            for b in &layout.cells[i + 1..] {
                let apart = a.x + a.width <= b.x
                    || b.x + b.width <= a.x
                    || a.y + a.height <= b.y
                    || b.y + b.height <= a.y;
                assert!(apart, "{a:?} and {b:?}");
            }
        }
        let labels = layout.labels();
        assert_eq!(labels.len(), arrows.len());
        for (i, a) in labels.iter().enumerate() {
            for b in &labels[i + 1..] {
                assert!(a.column != b.column || a.y.abs_diff(b.y) >= LABEL_HEIGHT);
            }
        }
    }

    #[test]
    fn a_component_before_and_behind_another_on_two_routes_is_still_drawn() {
        use Kind::{Component, Route};
        let shapes = [
            (Route, "/a"),
            (Route, "/b"),
            (Component, "one"),
            (Component, "two"),
        ];
        let layout = Layout::of(drawing(&shapes, &[(0, 2), (2, 3), (1, 3), (3, 2)]));
        assert!(layout.written("a").ends_with("</svg>\n"));
        assert!(layout.columns.len() <= 3);
    }
}
