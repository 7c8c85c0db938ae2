//! Defaults and ceilings of limits. In: `[limits]` for every app, `[app.NAME.limits]` for one, and what a manifest asks. Out: the
//! limits of a component. That a manifest asks for too much is refused elsewhere (`refuse`).

use std::time::Duration;

use super::Operator;
use crate::{
    app::{App, Component, Limits},
    name::AppName,
    units,
};

/// What a component has when its manifest does not say, and the most it may ask for. `None` is no word of the operator.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostLimits {
    /// `[limits.default]`
    pub default: Limits,
    /// `[limits.max]`
    pub max: Limits,
    /// `reuse` in `[limits.max]`: the requests that one instance may answer; one is no reuse. There is no default beside it:
    /// whether two users may share an instance is for an app to ask, never for a host to decide.
    pub max_reuse: Option<u32>,
}

/// What the host gives when nobody says anything (DESIGN.md, "Instances"): a ceiling below counts all the same.
const BUILT_IN: (u64, Duration, Duration, u32) = (
    128 << 20,
    Duration::from_secs(1),
    Duration::from_secs(30),
    256,
);

impl Operator {
    /// Defaults and ceilings for every app.
    pub fn limits(&self) -> &HostLimits {
        &self.every.limits
    }

    /// The limits of `component`: its manifest's, else the default, never above the ceiling. `None` is the host's own default.
    pub fn limits_of(&self, app: &App, component: &Component) -> Limits {
        let host = self.limits_for(&app.name);
        let (asked, default, max) = (&component.limits, &host.default, &host.max);
        let (memory_bytes, cpu, timeout, concurrency) = BUILT_IN;
        Limits {
            memory_bytes: limit(
                asked.memory_bytes.or(default.memory_bytes),
                max.memory_bytes,
                memory_bytes,
            ),
            cpu: limit(asked.cpu.or(default.cpu), max.cpu, cpu),
            timeout: limit(asked.timeout.or(default.timeout), max.timeout, timeout),
            concurrency: limit(
                asked.concurrency.or(default.concurrency),
                max.concurrency,
                concurrency,
            ),
        }
    }

    /// Limit by limit, an app's own before every app's.
    pub(super) fn limits_for(&self, app: &AppName) -> HostLimits {
        let every = &self.every.limits;
        match self.apps.get(app).map(|own| &own.limits) {
            None => every.clone(),
            Some(own) => HostLimits {
                default: merged(&own.default, &every.default),
                max: merged(&own.max, &every.max),
                max_reuse: own.max_reuse.or(every.max_reuse),
            },
        }
    }
}

/// A limit that is above a ceiling, as a person would write both.
#[derive(Debug, PartialEq)]
pub(super) struct Beyond {
    pub(super) key: &'static str,
    pub(super) asked: String,
    pub(super) max: String,
}

/// The limits of `asked` that are above `max`.
pub(super) fn beyond(asked: &Limits, max: &Limits) -> Vec<Beyond> {
    fn above<T: Ord + Copy>(
        key: &'static str,
        asked: Option<T>,
        max: Option<T>,
        text: fn(T) -> String,
    ) -> Option<Beyond> {
        let (asked, max) = asked.zip(max).filter(|(asked, max)| asked > max)?;
        Some(Beyond {
            key,
            asked: text(asked),
            max: text(max),
        })
    }
    let (size, time) = (units::size_text, units::duration_text);
    let found = [
        above("memory", asked.memory_bytes, max.memory_bytes, size),
        above("cpu", asked.cpu, max.cpu, time),
        above("timeout", asked.timeout, max.timeout, time),
        above("concurrency", asked.concurrency, max.concurrency, |n| {
            n.to_string()
        }),
    ];
    found.into_iter().flatten().collect()
}

fn merged(own: &Limits, every: &Limits) -> Limits {
    Limits {
        memory_bytes: own.memory_bytes.or(every.memory_bytes),
        cpu: own.cpu.or(every.cpu),
        timeout: own.timeout.or(every.timeout),
        concurrency: own.concurrency.or(every.concurrency),
    }
}

fn limit<T: Ord>(wanted: Option<T>, max: Option<T>, built_in: T) -> Option<T> {
    match (wanted, max) {
        (Some(wanted), Some(max)) => Some(wanted.min(max)),
        (None, Some(max)) if max < built_in => Some(max),
        (wanted, _) => wanted,
    }
}
