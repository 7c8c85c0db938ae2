//! `reuse` of a component. In: a table. Out: how long one instance may serve, each number in a range that stays bounded.

use crate::{
    app::Reuse,
    reader::{Reader, Shape, Table},
};

use super::limits::{duration, number};

/// An instance grows with what its guest forgets to free: after so many requests it has to end.
pub(super) const MAX_REQUESTS: u32 = 10_000;
const MAX_CONCURRENT: u32 = 128;

const REUSE: Shape = Shape {
    known: &[
        ("requests", "requests = 128"),
        ("idle", "idle = \"10s\""),
        ("concurrent", "concurrent = 16"),
    ],
    later: &[],
};

/// Reads `reuse`; absent is a fresh instance for every request.
pub(super) fn reuse(reader: &mut Reader<'_>, component: &Table<'_>) -> Option<Reuse> {
    let table = reader.table(component, "reuse", &REUSE)?;
    if !table.keys.contains_key("requests") {
        reader.missing(&table, "requests");
    }
    // One request an instance is what there is without the line.
    let requests = number(reader, &table, "requests", (2, MAX_REQUESTS));
    let idle = duration(reader, &table, "idle", (1, 5 * 60_000), "1ms to 5m");
    let concurrent = number(reader, &table, "concurrent", (1, MAX_CONCURRENT));
    Some(Reuse {
        requests: requests?,
        idle,
        concurrent,
    })
}
