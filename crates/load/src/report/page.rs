//! The page for a decision. In: a report. Out: one HTML file with everything in it: no script, nothing that is loaded.

use std::fmt::Write as _;

use super::{
    NAMES, Report,
    figures::{megabytes, total},
    plot::{Axis, Line, Plot},
};
use crate::{
    measure::Round,
    tally::{SLOT, Tally},
};

const STYLE: &str = "\
:root { --ink: #1b1f24; --paper: #fff; --faint: #d8dde3; --s0: #0b62c4; --s1: #c2410c }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --paper: #15181c; --faint: #3a4048; --s0: #6cb0ff; --s1: #ff9a6b } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums } td, th { text-align: left; padding: .2rem 1.2rem .2rem 0; border-bottom: 1px solid var(--faint) }
td:first-child { white-space: pre } .k0 { color: var(--s0) } .k1 { color: var(--s1) } figure { margin: 2rem 0 } svg { width: 100%; height: auto }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif } svg .grid { stroke: var(--faint) } svg .l0 { stroke: var(--s0) } svg .l1 { stroke: var(--s1); stroke-dasharray: 6 3 }
svg polyline { fill: none; stroke-width: 1.8; opacity: .85 } pre { overflow-x: auto }";

impl Report {
    /// One self-contained page.
    pub fn page(&self) -> String {
        let mut body = String::new();
        for (index, (name, side)) in self.named().enumerate() {
            let _ = writeln!(
                body,
                "<p><strong class=\"k{index}\">{name}</strong> {}</p>",
                escaped(&side.target.title())
            );
        }
        let _ = writeln!(body, "<p>{}</p>", escaped(&self.conditions()));
        body.push_str(&table(&self.rows()));
        for note in self.notes() {
            let _ = writeln!(body, "<p>{}</p>", escaped(&note));
        }
        for plot in self.plots() {
            body.push_str(&plot.svg());
        }
        let json = serde_json::to_string_pretty(&self.json()).unwrap_or_default();
        let title = match self.sides.as_slice() {
            [this, against] => format!("{} against {}", this.target.url, against.target.url),
            sides => sides.iter().map(|side| side.target.url.clone()).collect(),
        };
        let title = escaped(&title);
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{title}</title>\n<style>\n{STYLE}\n</style></head>\n<body>\n<h1>{title}</h1>\n{body}\
             <details><summary>All figures, as JSON</summary><pre>{}</pre></details>\n</body></html>\n",
            escaped(&json)
        )
    }

    fn plots(&self) -> Vec<Plot> {
        let mut plots = vec![self.latency(), self.rate()];
        let measured = self.sides.iter().flat_map(|side| &side.rounds);
        if measured.clone().any(|round| !round.memory.is_empty()) {
            plots.push(self.memory());
        }
        plots
    }

    fn latency(&self) -> Plot {
        let lines = self.sides.iter().map(total);
        Plot {
            title: "Latency in ms by percentile, all rounds".into(),
            names: NAMES.to_vec(),
            x: Axis::Percentiles,
            y: Axis::Logarithmic,
            lines: lines
                .enumerate()
                .map(|(side, tally)| quantiles(side, &tally))
                .collect(),
        }
    }

    fn rate(&self) -> Plot {
        self.over_time("Answers per second over the seconds of each round", answers)
    }

    fn memory(&self) -> Plot {
        self.over_time(
            "Memory in MB over the seconds of each round, warm-up included",
            |round| {
                let seen = round.memory.iter();
                seen.map(|(at, bytes)| (at.as_secs_f64(), megabytes(*bytes)))
                    .collect()
            },
        )
    }

    fn over_time(&self, title: &str, points: impl Fn(&Round) -> Vec<(f64, f64)>) -> Plot {
        let sides = self.sides.iter().enumerate();
        let lines = sides.flat_map(|(side, measured)| {
            let rounds = measured.rounds.iter();
            rounds.map(move |round| (side, round))
        });
        Plot {
            title: title.into(),
            names: NAMES.to_vec(),
            x: Axis::Linear,
            y: Axis::Linear,
            lines: lines
                .map(|(side, round)| Line {
                    side,
                    points: points(round),
                })
                .collect(),
        }
    }
}

/// As far to the right as there are answers: of 1,000, the last point is p99.9. A step is a tenth of the way to the next nine.
fn quantiles(side: usize, tally: &Tally) -> Line {
    let nines = (tally.succeeded().max(1) as f64).log10();
    let steps = (0..=50).map(|tenth| f64::from(tenth) / 10.0);
    let points = steps.take_while(|nine| *nine <= nines && tally.succeeded() > 0);
    Line {
        side,
        points: points
            .map(|nine| (nine, tally.latency_ms(1.0 - 10f64.powf(-nine))))
            .collect(),
    }
}

fn answers(round: &Round) -> Vec<(f64, f64)> {
    // Whole slots, and not more points than a screen shows.
    let slots = &round.tally.answered;
    let whole = (round.tally.window.as_nanos() / SLOT.as_nanos()).max(1);
    let slots = slots
        .get(..usize::try_from(whole).unwrap_or(usize::MAX))
        .unwrap_or(slots);
    let group = slots.len().div_ceil(150).max(1);
    let seconds = SLOT.as_secs_f64();
    slots
        .chunks(group)
        .enumerate()
        .map(|(index, chunk)| {
            let at = index as f64 * group as f64 * seconds;
            (
                at,
                chunk.iter().sum::<u64>() as f64 / (chunk.len() as f64 * seconds),
            )
        })
        .collect()
}

fn table(rows: &[Vec<String>]) -> String {
    let mut text = String::from("<table>\n");
    for (index, row) in rows.iter().enumerate() {
        let cell = if index == 0 { "th" } else { "td" };
        text.push_str("<tr>");
        for word in row {
            let _ = write!(text, "<{cell}>{}</{cell}>", escaped(word));
        }
        text.push_str("</tr>\n");
    }
    text + "</table>\n"
}

/// Text that is no markup.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_never_markup() {
        assert_eq!(escaped("<a b=\"&\">"), "&lt;a b=&quot;&amp;&quot;&gt;");
    }
}
