//! What was promised beside what was measured. In: a promise and its rounds. Out: a row that says plainly by how much one is missed.

use crate::statistics::Rounds;

/// One promise: a number that must be reached, and one that wins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Promise {
    pub(crate) what: &'static str,
    pub(crate) bound: Bound,
    pub(crate) must: f64,
    /// None when there is one number only.
    pub(crate) goal: Option<f64>,
    /// After every number: ` ×`, ` µs`.
    pub(crate) unit: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    AtMost,
    AtLeast,
}

pub(crate) const HEAD: &str =
    "| promise | must | goal | measured, median (range) | |\n|---|---|---|---|---|\n";

impl Promise {
    pub(crate) const fn at_most(
        what: &'static str,
        must: f64,
        goal: f64,
        unit: &'static str,
    ) -> Self {
        Self {
            what,
            bound: Bound::AtMost,
            must,
            goal: Some(goal),
            unit,
        }
    }

    pub(crate) const fn at_least(
        what: &'static str,
        must: f64,
        goal: f64,
        unit: &'static str,
    ) -> Self {
        Self {
            what,
            bound: Bound::AtLeast,
            must,
            goal: Some(goal),
            unit,
        }
    }

    /// With one number only.
    pub(crate) const fn must(mut self) -> Self {
        self.goal = None;
        self
    }

    /// A row of the table; without rounds it says so.
    pub(crate) fn row(&self, measured: Option<&Rounds>) -> String {
        let sign = match self.bound {
            Bound::AtMost => '≤',
            Bound::AtLeast => '≥',
        };
        let unit = self.unit;
        let (must, goal) = (
            format!("{sign} {}{unit}", self.must),
            self.goal
                .map_or("–".into(), |goal| format!("{sign} {goal}{unit}")),
        );
        let (figure, verdict) = match measured {
            Some(rounds) => (format!("{rounds:.2}{unit}"), self.verdict(rounds.median())),
            None => ("not measured".into(), String::new()),
        };
        format!(
            "| {} | {must} | {goal} | {figure} | {verdict} |\n",
            self.what
        )
    }

    fn verdict(&self, measured: f64) -> String {
        let missed = |limit: f64| match self.bound {
            Bound::AtMost => measured - limit,
            Bound::AtLeast => limit - measured,
        };
        let by = |limit: f64| {
            format!(
                "{:.2}{} ({:.0} %)",
                missed(limit),
                self.unit,
                100.0 * missed(limit) / limit
            )
        };
        match self.goal {
            _ if missed(self.must) > 0.0 => format!("**missed** by {}", by(self.must)),
            Some(goal) if missed(goal) > 0.0 => format!("reached; the goal missed by {}", by(goal)),
            Some(_) => "goal reached".into(),
            None => "reached".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_by_how_much_a_promise_is_missed() {
        let promise = Promise::at_most("x", 4.0, 2.5, " µs");
        assert_eq!(promise.verdict(2.0), "goal reached");
        assert_eq!(
            promise.verdict(3.0),
            "reached; the goal missed by 0.50 µs (20 %)"
        );
        assert_eq!(promise.verdict(5.0), "**missed** by 1.00 µs (25 %)");
        let rate = Promise::at_least("x", 1.0, 2.0, " ×").must();
        assert_eq!(rate.verdict(0.5), "**missed** by 0.50 × (50 %)");
        assert!(rate.row(None).contains("not measured"));
    }
}
