//! What was measured, told. In: rounds of one side or two. Out: a table for people, JSON for programs, a page with plots for a decision.

mod figures;
mod json;
mod page;
mod plot;
mod table;

use crate::{
    measure::{Measured, Plan},
    pace::Pace,
    rounds::Rounds,
};

use figures::Figure;

/// A measurement that is over, or was stopped.
#[derive(Debug)]
pub struct Report {
    plan: Plan,
    sides: Vec<Measured>,
    interrupted: bool,
}

/// A column, or a line of a plot.
const NAMES: [&str; 2] = ["this", "against"];
/// A load generator that is later than this with one in a hundred requests is busy itself.
const LATE_MS: f64 = 1.0;

impl Report {
    /// Of one side, or of two: what is measured, and what it is measured against.
    pub fn new(plan: Plan, sides: Vec<Measured>, interrupted: bool) -> Self {
        Self {
            plan,
            sides,
            interrupted,
        }
    }

    /// Whether any request was answered as expected.
    pub fn has_answers(&self) -> bool {
        let rounds = self.sides.iter().flat_map(|side| &side.rounds);
        rounds.map(|round| round.tally.succeeded()).sum::<u64>() > 0
    }

    fn named(&self) -> impl Iterator<Item = (&'static str, &Measured)> {
        NAMES.into_iter().zip(&self.sides)
    }

    /// This side over the other, round by round.
    fn ratio(&self, figure: &Figure) -> Option<Rounds> {
        let [this, against] = self.sides.as_slice() else {
            return None;
        };
        let ratio = (figure.of)(this).with(&(figure.of)(against), |a, b| a / b);
        (!ratio.is_empty()).then_some(ratio)
    }

    /// How the load was made, in one line.
    fn conditions(&self) -> String {
        let Plan { load, rounds, .. } = &self.plan;
        let streams = match load.streams {
            1 => String::new(),
            streams => format!(" with {streams} streams each"),
        };
        let rounds = match rounds {
            1 => String::new(),
            rounds => format!(", {rounds} rounds in turns"),
        };
        let connections = match load.connections {
            1 => "1 connection".into(),
            connections => format!("{connections} connections"),
        };
        format!(
            "{connections}{streams}; {}; {} s after {} s of warm-up{rounds}",
            load.pace,
            load.duration.as_secs_f64(),
            load.warm_up.as_secs_f64(),
        )
    }

    /// What a reader must know who trusts the figures.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.interrupted {
            notes.push(
                "Stopped before all rounds were over: this is what was measured so far.".into(),
            );
        }
        match self.plan.load.pace {
            Pace::Max => notes.push(
                "As fast as answers come, a service is saturated and latency says how long a request waits its turn; --rate N shows the latency at a rate.".into(),
            ),
            Pace::PerSecond(asked) => {
                for (name, side) in self.named() {
                    let got = figures::per_second(side).median();
                    if got < 0.99 * asked {
                        notes.push(format!(
                            "{name} did not keep up: {asked} requests / s were asked, {} answered as expected.",
                            figures::number(got)
                        ));
                    }
                }
            }
        }
        for (name, side) in self.named() {
            let late = figures::late_p99_ms(side).median();
            if late > LATE_MS {
                notes.push(format!(
                    "This program itself was late with the requests to {name}, one in a hundred by {} ms and more, which is in the latency: \
                     the machine is too busy to make this load.",
                    figures::number(late)
                ));
            }
        }
        notes
    }
}
