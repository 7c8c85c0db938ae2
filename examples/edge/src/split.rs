//! The A/B split. In: who visits and which share sees B. Out: a variant, the same one on every node and every day: nothing is stored,
//! the visitor's name decides.

use crate::validator::stable_hash;

/// What a visitor sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    A,
    B,
}

/// 0 to 100.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Percent(u8);

impl std::str::FromStr for Percent {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        text.parse()
            .ok()
            .filter(|percent| *percent <= 100)
            .map(Self)
            .ok_or(())
    }
}

impl Variant {
    /// The visitor's variant. Growing the share moves visitors from A to B and never one back.
    pub(crate) fn for_visitor(visitor: &str, share_of_b: Percent) -> Self {
        // The experiment's name keeps a second experiment from choosing the same people.
        let bucket = stable_hash(format!("offer:{visitor}").as_bytes()) % 100;
        if bucket < u64::from(share_of_b.0) {
            Self::B
        } else {
            Self::A
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(percent: u8) -> usize {
        (0..10_000)
            .filter(|n| {
                Variant::for_visitor(&format!("visitor-{n}"), Percent(percent)) == Variant::B
            })
            .count()
    }

    #[test]
    fn gives_b_its_share_within_a_percent() {
        assert_eq!((share(0), share(100)), (0, 10_000));
        for percent in [1, 20, 50] {
            let wanted = usize::from(percent) * 100;
            assert!(
                share(percent).abs_diff(wanted) < 100,
                "{percent} % gave {} of 10,000",
                share(percent)
            );
        }
    }

    #[test]
    fn keeps_a_visitor_in_b_while_the_share_grows() {
        for n in 0..1_000 {
            let visitor = format!("visitor-{n}");
            let variants: Vec<_> = (0..=100)
                .map(|percent| Variant::for_visitor(&visitor, Percent(percent)))
                .collect();
            assert!(
                variants.is_sorted_by_key(|variant| *variant == Variant::B),
                "{visitor} went back"
            );
        }
    }

    #[test]
    fn reads_only_a_percentage() {
        assert_eq!("20".parse(), Ok(Percent(20)));
        for wrong in ["101", "-1", "", "20%"] {
            assert_eq!(wrong.parse::<Percent>(), Err(()), "{wrong}");
        }
    }
}
