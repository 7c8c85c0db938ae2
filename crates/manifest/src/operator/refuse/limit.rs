//! Limits above the operator's ceiling. In: a component. Out: a refusal for each, with the line of both files.

use super::Refusals;
use crate::{
    app::Component,
    operator::limits::beyond,
    problem::{Problem, quote},
};

pub(super) fn above_ceiling(refusals: &mut Refusals<'_>, component: &Component) {
    let (app, operator) = (refusals.app, refusals.operator);
    let max = operator.limits_for(&app.name).max;
    for beyond in beyond(&component.limits, &max) {
        let (key, name) = (beyond.key, component.name.as_str());
        let message = format!(
            "{} asks for more `{key}` than the host gives: at most `{}`",
            quote(name),
            beyond.max
        );
        let value = match key {
            "concurrency" => beyond.asked.clone(),
            _ => format!("\"{}\"", beyond.asked),
        };
        let fix = format!(
            "ask for less, or add to {}, below `[app.{}.limits.max]`: `{key} = {value}`",
            operator.file().display(),
            app.name
        );
        let mut problem = Problem::of_file(&app.manifest, "limit", message).fix(fix);
        problem.span = refusals.manifest.value(&["component", name, "limits", key]);
        let host = operator.shown();
        let ceiling = host
            .value(&["app", app.name.as_str(), "limits", "max", key])
            .or_else(|| host.value(&["limits", "max", key]));
        let related = refusals.in_host_file(ceiling, "the operator's ceiling");
        problem.related.push(related);
        refusals.problems.push(problem);
    }
}
