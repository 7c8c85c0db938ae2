//! A plot as SVG. In: lines of points, and what the axes mean. Out: a figure in the colours of the page.

use std::fmt::Write as _;

use super::page::escaped;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 28.0;

pub(super) struct Plot {
    pub(super) title: String,
    /// Of the sides, for the legend.
    pub(super) names: Vec<&'static str>,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) lines: Vec<Line>,
}

/// One line; several may be of one side.
pub(super) struct Line {
    pub(super) side: usize,
    pub(super) points: Vec<(f64, f64)>,
}

/// What a number on it means.
#[derive(Clone, Copy)]
pub(super) enum Axis {
    /// From zero.
    Linear,
    /// A decade at a time.
    Logarithmic,
    /// The number of nines: 2 is p99.
    Percentiles,
}

impl Axis {
    fn scaled(self, value: f64) -> f64 {
        match self {
            // Nothing takes less than a microsecond here.
            Axis::Logarithmic => value.max(1e-3).log10(),
            Axis::Linear | Axis::Percentiles => value,
        }
    }

    /// The ends, for these numbers.
    fn ends(self, values: impl Iterator<Item = f64>) -> (f64, f64) {
        let scaled = values.filter(|value| value.is_finite());
        let scaled = scaled.map(|value| self.scaled(value));
        let (least, most) = scaled.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), value| {
            (a.min(value), b.max(value))
        });
        match self {
            _ if least > most => (0.0, 1.0),
            Axis::Linear => (0.0, if most > 0.0 { most * 1.05 } else { 1.0 }),
            Axis::Percentiles => (0.0, most.max(1.0)),
            Axis::Logarithmic => (least.floor(), most.ceil().max(least.floor() + 1.0)),
        }
    }

    /// Where lines of the grid are, scaled, and what stands beside them.
    fn ticks(self, (from, to): (f64, f64)) -> Vec<(f64, String)> {
        match self {
            Axis::Logarithmic => steps(from, to, 1.0)
                .map(|power| (power, format!("{}", 10f64.powf(power))))
                .collect(),
            Axis::Percentiles => steps(from, to, 1.0)
                .map(|nines| {
                    let label = match nines as u32 {
                        0 => "p0".into(),
                        1 => "p90".into(),
                        2 => "p99".into(),
                        more => format!("p99.{}", "9".repeat(more as usize - 2)),
                    };
                    (nines, label)
                })
                .collect(),
            Axis::Linear => {
                let step = round_step((to - from) / 5.0);
                steps(from, to, step)
                    .map(|value| (value, format!("{}", (value * 1e6).round() / 1e6)))
                    .collect()
            }
        }
    }
}

fn steps(from: f64, to: f64, step: f64) -> impl Iterator<Item = f64> {
    let all = (0..100).map(move |index| from + f64::from(index) * step);
    all.take_while(move |value| *value <= to + step * 1e-6)
}

/// 1, 2 or 5 of the same size.
fn round_step(step: f64) -> f64 {
    let size = 10f64.powf(step.log10().floor());
    let digit = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|digit| digit * size >= step * 0.999);
    digit.unwrap_or(10.0) * size
}

impl Plot {
    pub(super) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let x_ends = self.x.ends(points().map(|(x, _)| *x));
        let y_ends = self.y.ends(points().map(|(_, y)| *y));
        let share = |value: f64, (from, to): (f64, f64)| (value - from) / (to - from);
        let x_at = |scaled: f64| LEFT + share(scaled, x_ends) * (WIDTH - LEFT - RIGHT);
        let y_at = |scaled: f64| HEIGHT - BOTTOM - share(scaled, y_ends) * (HEIGHT - TOP - BOTTOM);
        let mut svg = String::new();
        for (at, label) in self.x.ticks(x_ends) {
            let x = x_at(at);
            let (top, bottom) = (TOP, HEIGHT - BOTTOM);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/><text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
                HEIGHT - BOTTOM + 18.0
            );
        }
        for (at, label) in self.y.ticks(y_ends) {
            let y = y_at(at);
            let (left, right) = (LEFT, WIDTH - RIGHT);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                LEFT - 8.0,
                y + 4.0
            );
        }
        for line in &self.lines {
            let drawn = line.points.iter().filter(|(_, y)| y.is_finite());
            let drawn: Vec<String> = drawn
                .map(|(x, y)| {
                    let (x, y) = (x_at(self.x.scaled(*x)), y_at(self.y.scaled(*y)));
                    format!("{x:.1},{y:.1}")
                })
                .collect();
            let _ = writeln!(
                svg,
                "<polyline class=\"l{}\" points=\"{}\"/>",
                line.side,
                drawn.join(" ")
            );
        }
        let title = escaped(&self.title);
        format!(
            "<figure><figcaption>{title}: {}</figcaption>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n{svg}</svg></figure>\n",
            self.legend()
        )
    }

    fn legend(&self) -> String {
        let is_there = |side: usize| self.lines.iter().any(|line| line.side == side);
        let names = self.names.iter().enumerate();
        let names = names.filter(|(side, _)| is_there(*side));
        let names: Vec<String> = names
            .map(|(side, name)| format!("<strong class=\"k{side}\">{name}</strong>"))
            .collect();
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_has_round_numbers() {
        let labels = |axis: Axis, ends| {
            let ticks = axis.ticks(ends);
            ticks
                .into_iter()
                .map(|(_, label)| label)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            labels(Axis::Linear, (0.0, 2.1)),
            ["0", "0.5", "1", "1.5", "2"]
        );
        assert_eq!(labels(Axis::Logarithmic, (-1.0, 1.0)), ["0.1", "1", "10"]);
        assert_eq!(
            labels(Axis::Percentiles, (0.0, 3.2)),
            ["p0", "p90", "p99", "p99.9"]
        );
    }

    #[test]
    fn every_point_is_inside() {
        let plot = Plot {
            title: "a < b".into(),
            names: vec!["this"],
            x: Axis::Linear,
            y: Axis::Logarithmic,
            lines: vec![Line {
                side: 0,
                points: vec![(0.0, 0.02), (3.0, 700.0), (2.0, f64::NAN)],
            }],
        };
        let svg = plot.svg();
        assert!(svg.contains("a &lt; b"));
        let points = svg
            .split("points=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        let points: Vec<&str> = points.split(' ').collect();
        assert_eq!(points.len(), 2, "what is no number is left out");
        for point in points {
            let (x, y) = point.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!((LEFT..=WIDTH - RIGHT).contains(&x), "{point}");
            assert!((TOP..=HEIGHT - BOTTOM).contains(&y), "{point}");
        }
    }

    #[test]
    fn nothing_measured_is_an_empty_plot() {
        let plot = Plot {
            title: "none".into(),
            names: vec!["this"],
            x: Axis::Linear,
            y: Axis::Linear,
            lines: Vec::new(),
        };
        assert!(!plot.svg().contains("NaN"));
    }
}
