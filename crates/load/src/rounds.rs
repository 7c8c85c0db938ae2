//! Several measurements of one thing. In: one number a round. Out: the median and the range, which is what a table shows.

use std::fmt;

/// One number per round.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rounds(Vec<f64>);

impl Rounds {
    /// Another round.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The latest, or NaN.
    pub fn last(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    /// The middle one, or the mean of the two in the middle, or NaN.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        if sorted.len() % 2 == 1 {
            at(middle)
        } else {
            f64::midpoint(at(middle.wrapping_sub(1)), at(middle))
        }
    }

    /// The least, or NaN.
    pub fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::min)
    }

    /// The most, or NaN.
    pub fn max(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::max)
    }

    /// This beside another, round by round: what was measured next to each other is compared.
    #[must_use]
    pub fn with(&self, other: &Self, combine: impl Fn(f64, f64) -> f64) -> Self {
        let pairs = self.0.iter().zip(&other.0);
        pairs.map(|(a, b)| combine(*a, *b)).collect()
    }
}

impl FromIterator<f64> for Rounds {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// `34.1 (33.0–36.2)`, with the formatter's precision.
impl fmt::Display for Rounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(1);
        let (median, min, max) = (self.median(), self.min(), self.max());
        write!(f, "{median:.digits$} ({min:.digits$}–{max:.digits$})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_median_and_the_range() {
        let rounds: Rounds = [3.0, 1.0, 2.0].into_iter().collect();
        assert_eq!(format!("{rounds:.1}"), "2.0 (1.0–3.0)");
        let even: Rounds = [1.0, 2.0, 4.0, 3.0].into_iter().collect();
        assert_eq!(even.median(), 2.5);
    }

    #[test]
    fn compares_what_was_measured_in_the_same_round() {
        let ours: Rounds = [2.0, 40.0].into_iter().collect();
        let theirs: Rounds = [1.0, 20.0].into_iter().collect();
        assert_eq!(ours.with(&theirs, |a, b| a / b).max(), 2.0);
    }
}
