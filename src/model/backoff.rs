//! How long to wait before the next try. The caller sleeps; this only counts.

use std::time::Duration;

use crate::model::failure::FailureKind;
use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// First wait between two tries of one request.
const WAIT_MIN: Duration = Duration::from_millis(500);
/// Longest wait between two tries of one request: past this, the next run will do.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Tries after the first one. With jitter they spread over half a minute, which outlives a
/// restarted router; what lasts longer is for the retry pass or the next run.
pub const RETRIES: usize = 5;
/// Longest wait that an answer can impose on us (`Retry-After`). An absurd number from a broken
/// proxy must not park a run for ever.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(6 * 3600);

/// Failures in a row after which a file is parked: it stays `failed` and named, and only a change
/// at Apple or an explicit request (`sync --retry-failed`) tries it again. A run makes at most two
/// attempts, so this is ten runs.
pub const ATTEMPTS_MAX: u32 = 20;
/// Wait after the first failed attempt, in seconds; doubles with each. The retry pass of the same
/// run does not wait for it.
const RETRY_FIRST_S: i64 = 600;
/// Longest wait between two runs' attempts, in seconds: a nightly run always finds the file due.
pub const RETRY_MAX_S: i64 = 20 * 3600;

/// The waits of one call to the service: jittered, doubling, [`RETRIES`] of them.
#[must_use]
pub fn waits() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(WAIT_MIN)
        .with_max_delay(WAIT_MAX)
        .with_max_times(RETRIES)
        .with_jitter()
        .build()
}

/// The waits between requests for one file that make no progress: shorter and fewer, because the
/// retry pass comes back to it with a fresh URL while other files go on meanwhile.
#[must_use]
pub fn quick_waits() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(WAIT_MIN / 2)
        .with_max_delay(WAIT_MAX)
        .with_max_times(RETRIES - 2)
        .with_jitter()
        .build()
}

/// The Unix second before which a file that failed `attempts` times is left alone, or `None` if
/// it is parked. What lies on our side or between, the disk and the network, never parks a file.
#[must_use]
pub fn retry_at(now: i64, attempts: u32, kind: FailureKind) -> Option<i64> {
    let ours = matches!(kind, FailureKind::Disk | FailureKind::Network | FailureKind::Stalled);
    if attempts >= ATTEMPTS_MAX && !ours {
        return None;
    }
    let doublings = attempts.saturating_sub(1).min(16);
    Some(now + (RETRY_FIRST_S << doublings).min(RETRY_MAX_S))
}

/// Reads a `Retry-After` value: seconds, or an HTTP date compared with `now` (Unix seconds).
///
/// Negative and past values are zero; the result never exceeds [`RETRY_AFTER_MAX`].
#[must_use]
pub fn retry_after(value: &str, now: i64) -> Option<Duration> {
    let value = value.trim();
    let seconds = match value.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() => seconds,
        Ok(_) => return None,
        Err(_) => {
            let date = httpdate::parse_http_date(value).ok()?;
            let at = date.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
            i64::try_from(at).ok()?.saturating_sub(now) as f64
        }
    };
    Some(Duration::from_secs_f64(seconds.clamp(0.0, RETRY_AFTER_MAX.as_secs_f64())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms_and_never_absurd() {
        assert_eq!(retry_after("120", 0), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("-5", 0), Some(Duration::ZERO));
        assert_eq!(retry_after("1e9", 0), Some(RETRY_AFTER_MAX));
        assert_eq!(retry_after("Thu, 01 Jan 1970 00:01:00 GMT", 20), Some(Duration::from_secs(40)));
        assert_eq!(retry_after("Thu, 01 Jan 1970 00:01:00 GMT", 90), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", 0), None);
        assert_eq!(retry_after("NaN", 0), None);
    }

    #[test]
    fn a_file_waits_longer_each_time_and_is_parked_at_the_cap() {
        let kind = FailureKind::WrongBytes;
        assert_eq!(retry_at(0, 1, kind), Some(600));
        assert_eq!(retry_at(0, 2, kind), Some(1200));
        assert_eq!(retry_at(0, 9, kind), Some(RETRY_MAX_S));
        assert_eq!(retry_at(0, ATTEMPTS_MAX, kind), None);
        assert_eq!(retry_at(0, ATTEMPTS_MAX, FailureKind::Disk), Some(RETRY_MAX_S));
    }
}
