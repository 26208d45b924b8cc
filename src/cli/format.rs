//! Numbers for people: bytes, durations, moments and counts. Pure.

use std::time::Duration;

use jiff::Timestamp;

/// Files that are named; the others are counted.
const NAMED_MAX: usize = 20;

/// Bytes with a decimal unit and three digits: `14.2 MB`, as Apple and disk makers count.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    // Beyond 999.5 the next unit is what three digits would round to.
    while value >= 999.5 {
        value /= 1000.0;
        unit += 1;
    }
    let digits = match value {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// A length of time with at most two units: `0.4 s`, `42 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`.
pub(crate) fn duration(duration: Duration) -> String {
    // Tenths are cut, not rounded, so that 9.96 s is never `10.0 s`.
    if duration < Duration::from_secs(10) {
        let tenths = duration.as_millis() / 100;
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    let seconds = duration.as_secs();
    let (big, big_unit, small, small_unit) = match seconds {
        0..60 => return format!("{seconds} s"),
        60..3600 => (seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => (seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => (seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    };
    if small == 0 { format!("{big} {big_unit}") } else { format!("{big} {big_unit} {small} {small_unit}") }
}

/// A length of time ahead, to the second: `2 s`, `3 min 5 s`.
pub(crate) fn wait(seconds: u64) -> String {
    if seconds < 10 { format!("{seconds} s") } else { duration(Duration::from_secs(seconds)) }
}

/// A moment in Unix seconds: `2026-05-17 14:05 UTC`.
pub(crate) fn moment(at: i64) -> String {
    match Timestamp::from_second(at) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => format!("{at} s"),
    }
}

/// The first of many names, and how many more there are.
pub(crate) fn named(names: &[String]) -> String {
    let shown = names.iter().take(NAMED_MAX).map(String::as_str);
    let more = names.len().saturating_sub(NAMED_MAX);
    let more = (more > 0).then(|| format!("and {more} more"));
    shown.chain(more.as_deref()).collect::<Vec<_>>().join(", ")
}

/// A number with its thousands apart: `12,345`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number and its noun: `1 file`, `2 files`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_digits_and_never_round_up_to_a_thousand() {
        for (number, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (9_994, "9.99 kB"),
            (9_996, "10.0 kB"),
            (14_200_000, "14.2 MB"),
            (999_499, "999 kB"),
            (999_500, "1.00 MB"),
            (123_456_789_012, "123 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn durations_have_at_most_two_units() {
        for (millis, text) in [
            (0, "0.0 s"),
            (3_149, "3.1 s"),
            (9_999, "9.9 s"),
            (59_999, "59 s"),
            (185_000, "3 min 5 s"),
            (3_600_000, "1 h"),
            (7_859_000, "2 h 10 min"),
            (273_600_000, "3 d 4 h"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn counts_and_moments_read_well() {
        assert_eq!((count(0), count(999), count(1_234_567)), ("0".into(), "999".into(), "1,234,567".into()));
        assert_eq!((counted(1, "file"), counted(1000, "file")), ("1 file".into(), "1,000 files".into()));
        assert_eq!(moment(1_715_954_700), "2024-05-17 14:05 UTC");
        assert_eq!(moment(i64::MAX), "9223372036854775807 s");
    }
}
