//! Slips of the finger that would pass in silence. In: an app and the bindings for this very app. Out: a refusal for each that
//! names no bucket of the app but nearly one: what was meant would stay embedded.
//!
//! Another name is no slip: an operator may bind what the next revision declares.

use super::Refusals;
use crate::{
    problem::{Problem, quote},
    suggest::nearest,
};

pub(super) fn buckets(refusals: &mut Refusals<'_>) {
    let (app, operator) = (refusals.app, refusals.operator);
    let Some(own) = operator.apps.get(&app.name) else {
        return;
    };
    let bound: Vec<&str> = own.buckets.keys().map(|name| name.as_str()).collect();
    let declared: Vec<&str> = app.buckets.keys().map(|name| name.as_str()).collect();
    let unbound: Vec<&str> = declared
        .iter()
        .copied()
        .filter(|name| !bound.contains(name))
        .collect();
    for name in bound.iter().filter(|name| !declared.contains(name)) {
        let Some(meant) = nearest(name, &unbound) else {
            continue;
        };
        let way = ["app", app.name.as_str(), "bucket", name];
        let message = format!("`{}` declares no bucket {}", app.name, quote(name));
        let fix = format!("did you mean {}?", quote(meant));
        let mut problem = Problem::of_file(operator.file(), "no-such-bucket", message).fix(fix);
        problem.span = operator.shown().value(&way);
        refusals.problems.push(problem);
    }
}
