//! Moments as text. Pure, and always UTC.

use jiff::Timestamp;

/// A moment in Unix seconds: `2026-05-17 14:05 UTC`.
#[must_use]
pub fn moment(at: i64) -> String {
    match Timestamp::from_second(at) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => format!("{at} s"),
    }
}

/// The day of a moment in Unix seconds: `2026-05-17`.
#[must_use]
pub fn date(at: i64) -> String {
    Timestamp::from_second(at).map_or_else(|_| at.to_string(), |at| at.strftime("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_moment_has_a_day_whatever_it_is() {
        assert_eq!(super::date(1_715_954_700), "2024-05-17");
        assert_eq!(super::date(i64::MAX), i64::MAX.to_string());
    }
}
