//! Amounts of bytes and days as people type them. Pure.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// Reads `50GB`, `500 MB`, `1.5TB`, `64MiB` or a plain number of bytes; one byte at least.
///
/// # Errors
/// A sentence for a person.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("it is an amount such as 50GB, 500MB or 64MiB, not {text:?}");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = match text[digits.len()..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1_u64,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(wrong()),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number: f64 = digits.parse().ok().filter(|_| plain).ok_or_else(wrong)?;
    let amount = number * unit as f64;
    // Beyond 2^53 a float no longer counts bytes, and no disk does either.
    if (1.0..9.0e15).contains(&amount) { Ok(amount as u64) } else { Err(wrong()) }
}

/// A day or a moment, as the first and the last second that it means. UTC, as everywhere here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Day {
    /// Unix seconds.
    pub(crate) first: i64,
    /// Unix seconds.
    pub(crate) last: i64,
}

/// Reads `2026-11-24` (the whole day) or `2026-11-24T14:05`, in UTC.
///
/// # Errors
/// A sentence for a person.
pub(crate) fn day(text: &str) -> Result<Day, String> {
    let at = |moment: DateTime| moment.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp().as_second());
    let wrong =
        |_| format!("it is a day or a moment in UTC, such as 2026-11-24 or 2026-11-24T14:05, not {text:?}");
    if let Ok(date) = text.parse::<Date>()
        && text.len() == 10
    {
        let first = at(date.at(0, 0, 0, 0)).map_err(wrong)?;
        return Ok(Day { first, last: first + 86_399 });
    }
    let moment = text.trim_end_matches('Z').parse::<DateTime>().map_err(wrong)?;
    let first = at(moment).map_err(wrong)?;
    // Without seconds the whole minute is meant.
    let length = if moment.second() == 0 { 59 } else { 0 };
    Ok(Day { first, last: first + length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_type_them_and_nothing_else_is() {
        for (text, number) in [
            ("1", 1),
            ("50GB", 50_000_000_000),
            ("500 MB", 500_000_000),
            ("1.5tb", 1_500_000_000_000),
            ("64MiB", 67_108_864),
            ("2k", 2000),
        ] {
            assert_eq!(bytes(text), Ok(number), "{text}");
        }
        for wrong in ["", "0", "GB", "-5GB", "5 apples", "inf", "1e9", "99999999TB", "1..5GB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_day_is_all_of_it_and_a_moment_is_a_minute() {
        let day_of = |text| day(text).map(|day| (day.first, day.last - day.first));
        assert_eq!(day_of("1970-01-02"), Ok((86_400, 86_399)));
        assert_eq!(day_of("1970-01-01T00:01"), Ok((60, 59)));
        assert_eq!(day_of("1970-01-01T00:01:30Z"), Ok((90, 0)));
        for wrong in ["", "yesterday", "2026-13-01", "24.11.2026", "2026-11-24T25:00"] {
            assert!(day(wrong).is_err(), "{wrong}");
        }
    }
}
