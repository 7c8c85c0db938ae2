//! `[component.NAME.limits]`, and the operator's. In: a table. Out: limits in bytes and durations, each in a range that can be meant.

use std::time::Duration;

use toml::Spanned;

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

/// Reads the table `key`, of the shape of limits; absent is no word on any.
pub(crate) fn limits(reader: &mut Reader<'_>, table: &Table<'_>, key: &str) -> Limits {
    let Some(table) = reader.table(table, key, &LIMITS) else {
        return Limits::default();
    };
    Limits {
        memory_bytes: memory(reader, &table),
        cpu: duration(reader, &table, "cpu", (1, 3_600_000), "1ms to 1h"),
        timeout: duration(reader, &table, "timeout", (1, 24 * 3_600_000), "1ms to 24h"),
        concurrency: concurrency(reader, &table),
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

fn concurrency(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<u32> {
    let number = reader.integer(table, "concurrency")?;
    let value = u32::try_from(*number.get_ref())
        .ok()
        .filter(|n| (1..=65_536).contains(n));
    if value.is_none() {
        let message = "`concurrency` is out of range".to_owned();
        reader.report(
            "out-of-range",
            number.span(),
            message,
            "",
            "choose from 1 to 65536",
        );
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
