//! Sizes and durations as a person writes them. In: `64MiB`, `50ms`. Out: bytes, a `Duration`.
//!
//! A whole number and a unit, nothing else: `1.5GiB` is `1536MiB`. Binary units are `KiB`, `MiB`, `GiB` (1024), decimal ones are
//! `kB` or `KB`, `MB`, `GB` (1000), because people mean both and the letters tell which.

use std::time::Duration;

/// Bytes, from `512KiB`, `64MiB`, `1GiB`, `64MB`. `None` when it is not a size.
pub(crate) fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let bytes: u64 = match unit {
        "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(bytes)
}

/// A duration, from `50ms`, `5s`, `1m`, `2h`. `None` when it is not one.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

/// Nanoseconds since 1970, from `2026-01-01T00:00:00Z`: RFC 3339 in UTC, to the second. `None` when it is not such a time, or after 2500.
pub(crate) fn instant_ns(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let days_of = |month: u64| match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap(year) => 29,
        2 => 28,
        _ => 31,
    };
    let valid = (1970..=2500).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_of(month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !valid {
        return None;
    }
    let years: u64 = (1970..year).map(|year| 365 + u64::from(leap(year))).sum();
    let months: u64 = (1..month).map(days_of).sum();
    let days = years + months + day - 1;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000_000)
}

/// Three numbers of so many digits.
fn numbers(text: &str, between: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(between);
    let mut next = |digits: usize| {
        let part = parts.next()?;
        let fits = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|_| fits)
    };
    let [a, b, c] = digits;
    let numbers = [next(a)?, next(b)?, next(c)?];
    parts.next().is_none().then_some(numbers)
}

/// A size as a person would write it: `64MiB`.
pub(crate) fn size_text(bytes: u64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let exact = units.iter().find(|(_, unit)| bytes.is_multiple_of(*unit));
    match exact {
        Some((name, unit)) if bytes > 0 => format!("{}{name}", bytes / unit),
        _ => format!("{bytes}B"),
    }
}

/// A duration as a person would write it: `50ms`.
pub(crate) fn duration_text(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let units = [("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let exact = units
        .iter()
        .find(|(_, unit)| milliseconds.is_multiple_of(*unit));
    match exact {
        Some((name, unit)) if milliseconds > 0 => format!("{}{name}", milliseconds / unit),
        _ => format!("{milliseconds}ms"),
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_and_decimal_units_differ() {
        assert_eq!(size("64MiB"), Some(64 << 20));
        assert_eq!(size("64 MB"), Some(64_000_000));
        assert_eq!(size("0KiB"), Some(0));
        for bad in [
            "",
            "64",
            "MiB",
            "-1MiB",
            "1.5GiB",
            "64mib",
            "99999999999999999999GiB",
            "18446744073709551615GiB",
            "１MiB",
        ] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_shown_can_be_written() {
        for text in ["64MiB", "1GiB", "1536MiB", "3KiB", "7B", "0B"] {
            assert_eq!(size_text(size(text).unwrap()), text);
        }
        for text in ["50ms", "1500ms", "90s", "5m", "24h", "0ms"] {
            assert_eq!(duration_text(duration(text).unwrap()), text);
        }
    }

    #[test]
    fn a_duration_has_one_unit() {
        assert_eq!(duration("50ms"), Some(Duration::from_millis(50)));
        assert_eq!(duration("1m"), Some(Duration::from_secs(60)));
        for bad in ["", "5", "1m30s", "5 sec", "-1s", "18446744073709551615h"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn reads_a_time_and_refuses_days_that_do_not_exist() {
        let seconds = |text| instant_ns(text).map(|time| time / 1_000_000_000);
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2026-01-01T00:00:00Z"), Some(1_767_225_600));
        assert_eq!(seconds("2024-02-29T23:59:59Z"), Some(1_709_251_199));
        for wrong in [
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00+01:00",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-1-1T0:0:0Z",
            "now",
        ] {
            assert_eq!(instant_ns(wrong), None, "{wrong}");
        }
    }
}
