//! What one version of an app may that another may not. In: both. Out: one line for each power gained or lost, first the routes, then
//! by component.
//!
//! A power counts as gained when the other version's powers do not cover it: a method added to a grant is one, a prefix made longer is
//! a loss. What a component may itself is told apart from what it can only have done by those it calls.

use std::{collections::BTreeSet, fmt};

use coracle_manifest::{App, name::ComponentName};

use super::{
    power::{Power, powers, sentences},
    reach::{Route, chains, reached},
};

/// Gained or lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Only the version at hand has it.
    Gained,
    /// Only the other version has it.
    Lost,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which way.
    pub change: Change,
    /// `orders may now send POST to https://tax.example.com/rates/*`
    pub sentence: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.change {
            Change::Gained => '+',
            Change::Lost => '-',
        };
        write!(f, "{sign} {}", self.sentence)
    }
}

/// What `app` gained and lost against `other`.
pub fn difference(app: &App, other: &App) -> Vec<Line> {
    let mut lines = routes(app, other);
    let names: BTreeSet<&ComponentName> = app
        .components
        .keys()
        .chain(other.components.keys())
        .collect();
    for name in names {
        let (now, before) = (Powers::of(app, name), Powers::of(other, name));
        add(&mut lines, Change::Lost, name, &before, &now);
        add(&mut lines, Change::Gained, name, &now, &before);
    }
    lines
}

/// The powers of one component: its own, and those of each component it can come to.
struct Powers {
    own: Vec<Power>,
    /// By the component that has them.
    through: Vec<(ComponentName, Vec<Power>)>,
}

impl Powers {
    fn of(app: &App, name: &ComponentName) -> Self {
        let of = |name: &ComponentName| {
            let component = app.components.get(name);
            component.map_or(Vec::new(), |component| powers(app, component))
        };
        let others = match app.components.contains_key(name) {
            true => reached(app, &chains(app, name)),
            false => Default::default(),
        };
        let others = others.into_keys().filter(|other| other != name);
        Self {
            own: of(name),
            through: others.map(|other| (other.clone(), of(&other))).collect(),
        }
    }

    fn has_itself(&self, power: &Power) -> bool {
        self.own.iter().any(|own| own.covers(power))
    }

    fn has_through(&self, power: &Power) -> bool {
        let mut through = self.through.iter().flat_map(|(_, powers)| powers);
        through.any(|other| other.covers(power))
    }
}

/// The powers of `here` that `there` lacks.
fn add(lines: &mut Vec<Line>, change: Change, name: &ComponentName, here: &Powers, there: &Powers) {
    let may = match change {
        Change::Gained => "may now",
        Change::Lost => "may no longer",
    };
    let (mediated, new): (Vec<&Power>, Vec<&Power>) = here
        .own
        .iter()
        .filter(|power| !there.has_itself(power))
        .partition(|power| there.has_through(power));
    for sentence in sentences(new) {
        let sentence = format!("{name} {may} {sentence}");
        lines.push(Line { change, sentence });
    }
    for sentence in sentences(mediated) {
        let sentence = format!("{name} {may} itself {sentence}");
        lines.push(Line { change, sentence });
    }
    let mut told: Vec<String> = Vec::new();
    for (other, powers) in &here.through {
        let lacking = powers.iter().filter(|power| {
            !there.has_itself(power) && !there.has_through(power) && !here.has_itself(power)
        });
        for sentence in sentences(lacking) {
            let sentence = format!("{name} {may} {sentence}, through {other}");
            if !told.contains(&sentence) {
                told.push(sentence.clone());
                lines.push(Line { change, sentence });
            }
        }
    }
}

/// Ways in, with everything that stands on them.
fn routes(app: &App, other: &App) -> Vec<Line> {
    let texts = |app: &App| -> BTreeSet<String> {
        let routes = app.routes.iter();
        let text = |route| {
            let stations: Vec<&str> = Route(route).stations().map(ComponentName::as_str).collect();
            format!("route {} → {}", Route(route).text(), stations.join(" → "))
        };
        routes.map(text).collect()
    };
    let (now, before) = (texts(app), texts(other));
    let line = |change, sentence: &String| Line {
        change,
        sentence: sentence.clone(),
    };
    let lost = before.difference(&now).map(|s| line(Change::Lost, s));
    let gained = now.difference(&before).map(|s| line(Change::Gained, s));
    lost.chain(gained).collect()
}
