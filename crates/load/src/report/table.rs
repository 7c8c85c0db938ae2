//! The table. In: a report. Out: lines for a terminal, columns padded.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{
    Report,
    figures::{FIGURES, spread, total},
};
use crate::tally::{Failure, Tally};

impl Report {
    /// A table for people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for (name, side) in self.named() {
            let _ = writeln!(text, "{name:<9}{}", side.target.title());
        }
        let _ = writeln!(text, "{}\n", self.conditions());
        text.push_str(&padded(&self.rows()));
        for note in self.notes() {
            let _ = writeln!(text, "\n{note}");
        }
        text
    }

    /// The head, the figures, the requests, the errors by kind.
    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let two = self.sides.len() == 2;
        let mut head = vec![String::new()];
        head.extend(self.named().map(|(name, _)| name.to_owned()));
        if two {
            head.push("this ÷ against".into());
        }
        let mut rows = vec![head];
        for figure in FIGURES {
            let mut row = vec![figure.label.to_owned()];
            row.extend(
                self.sides
                    .iter()
                    .map(|side| spread(&(figure.of)(side), figure.unit)),
            );
            if two {
                let ratio = self.ratio(figure);
                row.push(ratio.map_or_else(String::new, |ratio| spread(&ratio, "×")));
            }
            rows.push(row);
        }
        let totals: Vec<Tally> = self.sides.iter().map(total).collect();
        let counted = |label: &str, count: &dyn Fn(&Tally) -> u64| {
            let counts = totals.iter().map(|tally| count(tally).to_string());
            [label.to_owned()].into_iter().chain(counts).collect()
        };
        rows.push(counted("requests", &|tally| {
            tally.succeeded() + tally.failed()
        }));
        rows.push(counted("errors", &Tally::failed));
        let kinds: BTreeSet<Failure> = totals
            .iter()
            .flat_map(|tally| tally.failures().keys().copied())
            .collect();
        for kind in kinds {
            rows.push(counted(&format!("  {kind}"), &|tally| {
                tally.failures().get(&kind).copied().unwrap_or(0)
            }));
        }
        rows
    }
}

fn padded(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths);
        let line: String = cells
            .map(|(cell, width)| format!("{cell:<width$}  "))
            .collect();
        line.trim_end().to_owned() + "\n"
    });
    lines.collect()
}
