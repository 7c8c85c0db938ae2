//! `[component.NAME.limits]`, and the operator's. In: a table. Out: limits in bytes and durations, each in a range that can be meant.

use std::time::Duration;

use toml::Spanned;

use super::reuse::MAX_REQUESTS;
use crate::{
    app::Limits,
    problem::quote,
    reader::{Reader, Shape, Table},
    units,
};

const LIMITS: Shape = Shape {
    known: &[
        ("memory", "memory = \"64MiB\""),
        ("cpu", "cpu = \"50ms\""),
        ("timeout", "timeout = \"5s\""),
        ("concurrency", "concurrency = 200"),
    ],
    later: &[
        ("queue", "an app's queue has 256 places for now"),
        ("rate-limit", "limit `concurrency` for now"),
    ],
};

/// The operator's ceilings: those of the limits, and of what is no limit of an invocation.
const CEILINGS: Shape = Shape {
    known: &[
        ("memory", "memory = \"64MiB\""),
        ("cpu", "cpu = \"50ms\""),
        ("timeout", "timeout = \"5s\""),
        ("concurrency", "concurrency = 200"),
        ("reuse", "reuse = 128"),
    ],
    later: LIMITS.later,
};

/// Reads the table `key`, of the shape of limits; absent is no word on any.
pub(crate) fn limits(reader: &mut Reader<'_>, table: &Table<'_>, key: &str) -> Limits {
    match reader.table(table, key, &LIMITS) {
        Some(table) => each(reader, &table),
        None => Limits::default(),
    }
}

/// Reads the operator's ceilings under `key`: limits, and the requests that one instance may answer.
pub(crate) fn ceilings(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    key: &str,
) -> (Limits, Option<u32>) {
    match reader.table(table, key, &CEILINGS) {
        Some(table) => (
            each(reader, &table),
            number(reader, &table, "reuse", (1, MAX_REQUESTS)),
        ),
        None => (Limits::default(), None),
    }
}

fn each(reader: &mut Reader<'_>, table: &Table<'_>) -> Limits {
    Limits {
        memory_bytes: memory(reader, table),
        cpu: duration(reader, table, "cpu", (1, 3_600_000), "1ms to 1h"),
        timeout: duration(reader, table, "timeout", (1, 24 * 3_600_000), "1ms to 24h"),
        concurrency: number(reader, table, "concurrency", (1, 65_536)),
    }
}

fn memory(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<u64> {
    let text = reader.string(table, "memory")?;
    let Some(bytes) = units::size(text.get_ref()) else {
        let message = format!("{} is not a size", quote(text.get_ref()));
        let fix = "write a whole number and a unit: KiB, MiB, GiB (1024) or KB, MB, GB (1000), as in `64MiB`";
        reader.report("size", text.span(), message, "", fix);
        return None;
    };
    // The least is one page of a linear memory, the most what a 32-bit memory can address.
    if !(64 << 10..=4 << 30).contains(&bytes) {
        out_of_range(reader, &text, "64KiB to 4GiB");
    }
    Some(bytes)
}

/// A duration of at least and at most so many milliseconds; `range` says so to a person.
pub(crate) fn duration(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    key: &str,
    (least_ms, most_ms): (u64, u64),
    range: &str,
) -> Option<Duration> {
    let text = reader.string(table, key)?;
    let Some(duration) = units::duration(text.get_ref()) else {
        let message = format!("{} is not a duration", quote(text.get_ref()));
        reader.report(
            "duration",
            text.span(),
            message,
            "",
            "write a whole number and a unit: ms, s, m or h, as in `50ms`",
        );
        return None;
    };
    if duration < Duration::from_millis(least_ms) || duration > Duration::from_millis(most_ms) {
        out_of_range(reader, &text, range);
    }
    Some(duration)
}

/// A whole number of at least and at most so much.
pub(super) fn number(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    key: &str,
    (least, most): (u32, u32),
) -> Option<u32> {
    let number = reader.integer(table, key)?;
    let value = u32::try_from(*number.get_ref())
        .ok()
        .filter(|n| (least..=most).contains(n));
    if value.is_none() {
        let message = format!("{} is out of range", quote(key));
        let fix = format!("choose from {least} to {most}");
        reader.report("out-of-range", number.span(), message, "", fix);
    }
    value
}

fn out_of_range(reader: &mut Reader<'_>, text: &Spanned<String>, range: &str) {
    let message = format!("{} is out of range", quote(text.get_ref()));
    reader.report(
        "out-of-range",
        text.span(),
        message,
        "",
        format!("choose from {range}"),
    );
}
