//! Limits and reuse above the operator's ceiling. In: a component. Out: a refusal for each, with the line of both files.

use super::Refusals;
use crate::{
    app::Component,
    operator::limits::beyond,
    problem::{Problem, quote},
};

pub(super) fn above_ceiling(refusals: &mut Refusals<'_>, component: &Component) {
    let (app, operator) = (refusals.app, refusals.operator);
    let name = component.name.as_str();
    let host = operator.limits_for(&app.name);
    for beyond in beyond(&component.limits, &host.max) {
        let key = beyond.key;
        let message = format!(
            "{} asks for more `{key}` than the host gives: at most `{}`",
            quote(name),
            beyond.max
        );
        let value = match key {
            "concurrency" => beyond.asked.clone(),
            _ => format!("\"{}\"", beyond.asked),
        };
        let asked = ["component", name, "limits", key];
        above(refusals, message, key, &value, &asked);
    }
    if let (Some(reuse), Some(max)) = (&component.reuse, host.max_reuse)
        && reuse.requests > max
    {
        let message = match max {
            1 => format!(
                "{} asks for `reuse`, and the host gives every request a fresh instance",
                quote(name)
            ),
            max => format!(
                "{} asks to answer more requests with one instance than the host allows: at most `{max}`",
                quote(name)
            ),
        };
        let asked = ["component", name, "reuse", "requests"];
        let value = reuse.requests.to_string();
        above(refusals, message, "reuse", &value, &asked);
    }
}

/// `value` is what the operator would have to write below `key`, `asked` where the manifest asks for it.
fn above(refusals: &mut Refusals<'_>, message: String, key: &str, value: &str, asked: &[&str]) {
    let (app, operator) = (refusals.app, refusals.operator);
    let fix = format!(
        "ask for less, or add to {}, below `[app.{}.limits.max]`: `{key} = {value}`",
        operator.file().display(),
        app.name
    );
    let mut problem = Problem::of_file(&app.manifest, "limit", message).fix(fix);
    problem.span = refusals.manifest.value(asked);
    let host = operator.shown();
    let ceiling = host
        .value(&["app", app.name.as_str(), "limits", "max", key])
        .or_else(|| host.value(&["limits", "max", key]));
    let related = refusals.in_host_file(ceiling, "the operator's ceiling");
    problem.related.push(related);
    refusals.problems.push(problem);
}
