//! Lengths of time as people type them, and how they are spread a little. Pure.

use std::time::Duration;

/// Longest interval: a year. Beyond it a typing error is likelier than a wish.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
/// How far an interval is moved to either side: a tenth. A thousand clients that were started by
/// the same power cut then do not ask Apple in the same second for ever.
const SPREAD: f64 = 0.1;

/// Reads `3600` (seconds), `45s`, `90m`, `1h` or `1d`; one second at least.
///
/// # Errors
/// A sentence for a person.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("it is a time such as 3600, 90m, 1h or 2d, not {text:?}");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_s = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let length = Duration::from_secs(number.checked_mul(unit_s).ok_or_else(wrong)?);
    if length.is_zero() || length > LONGEST {
        return Err(format!("it is between a second and a year, not {text:?}"));
    }
    Ok(length)
}

/// Moves an interval by up to a tenth to either side. `dice` is a number below one.
pub(crate) fn spread(interval: Duration, dice: f64) -> Duration {
    interval.mul_f64(1.0 - SPREAD + 2.0 * SPREAD * dice)
}

/// A random number below one. Where the system has no randomness the middle will do.
pub(crate) fn dice() -> f64 {
    let mut bytes = [0_u8; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_type_them_and_nothing_else_is() {
        for (text, seconds) in
            [("3600", 3600), ("45s", 45), ("90m", 5400), ("15min", 900), ("1h", 3600), ("2d", 172_800)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in [
            "",
            "0",
            "h",
            "1w",
            "-1",
            "1.5h",
            "1h30m",
            "1 h",
            "400d",
            "99999999999999999999",
            "9999999999999999d",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_interval_is_spread_by_a_tenth_and_never_more() {
        let hour = Duration::from_secs(3600);
        assert_eq!(spread(hour, 0.0), Duration::from_secs(3240));
        assert_eq!(spread(hour, 0.5), hour);
        assert!(spread(hour, 0.999) < Duration::from_secs(3960));
        assert!((0.0..1.0).contains(&dice()));
    }
}
