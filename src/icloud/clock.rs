//! The clock of this machine, held against Apple's.
//!
//! Signed URLs, cookies and certificates all live by the clock. One that is wrong makes good
//! things look expired, and the message then blames the wrong one.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use reqwest::header::{DATE, HeaderMap};

use crate::icloud::http;

/// A difference that cannot be the network's: an answer takes seconds, and the shortest life
/// that anything has here is an hour.
const AHEAD_MAX_S: i64 = 5 * 60;

/// What answers said about the time.
#[derive(Debug, Default)]
pub(super) struct Clock {
    ahead_s: AtomicI64,
    told: AtomicBool,
}

impl Clock {
    /// Takes over what an answer says about the time.
    pub(super) fn observe(&self, headers: &HeaderMap) {
        let date = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        let since = date.and_then(|date| date.duration_since(std::time::UNIX_EPOCH).ok());
        if let Some(apples) = since.and_then(|since| i64::try_from(since.as_secs()).ok()) {
            self.ahead_s.store(http::now().saturating_sub(apples), Ordering::Relaxed);
        }
    }

    /// Seconds by which ours is ahead; negative when it is behind.
    pub(super) fn ahead_s(&self) -> i64 {
        self.ahead_s.load(Ordering::Relaxed)
    }

    /// Seconds by which ours is ahead, if that is too many; says so once.
    pub(super) fn news(&self) -> Option<i64> {
        let ahead_s = self.ahead_s();
        let wrong = ahead_s.unsigned_abs() > AHEAD_MAX_S.unsigned_abs();
        (wrong && !self.told.swap(true, Ordering::Relaxed)).then_some(ahead_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: i64) -> Option<i64> {
        let clock = Clock::default();
        let now = u64::try_from(http::now() + seconds).unwrap();
        let date = std::time::UNIX_EPOCH + std::time::Duration::from_secs(now);
        let mut headers = HeaderMap::new();
        headers.insert(DATE, httpdate::fmt_http_date(date).parse().unwrap());
        clock.observe(&headers);
        let news = clock.news();
        assert_eq!(clock.news(), None, "said once");
        news
    }

    #[test]
    fn only_a_difference_that_matters_is_news() {
        assert_eq!((after(0), after(200), after(-200)), (None, None, None));
        assert!(after(-7200).is_some_and(|ahead| (7195..=7205).contains(&ahead)));
        assert!(after(7200).is_some_and(|ahead| (-7205..=-7195).contains(&ahead)));
        assert_eq!(Clock::default().news(), None);
    }
}
