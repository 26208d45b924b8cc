//! A download URL as the content host hands it out: signed, and good for about an hour.
//!
//! It is a leased value: whoever holds it may fetch the bytes until it expires. So it is a
//! secret ([`fmt::Debug`] shows only the host), and its expiry travels with it. Its memory is not wiped: it lives
//! for an hour, stands in the journal meanwhile, and there are too many of them.

use std::fmt;

/// How long a URL without a believable expiry is taken to live, from receipt: one hour is what every
/// recorded URL had; half of it keeps a safe distance from the 410.
const UNSTATED_LIFE_S: i64 = 1800;
/// The life that every recorded URL had. A stated expiry farther away means that our clock is late.
const LIFE_S: i64 = 3600;
/// A fresh URL with less life than this means that our clock is early.
const LIFE_MIN_S: i64 = 300;

/// A signed URL and the Unix second at which it stops working.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedUrl {
    url: String,
    expires_at: i64,
}

impl SignedUrl {
    /// Reads the expiry from the `e=` parameter (Unix seconds) of `url`.
    ///
    /// A URL without one is given half an hour from `now`, and so is one that seems to be over
    /// already: it came just now, so it is our clock that is wrong. None is trusted for longer than
    /// an hour.
    #[must_use]
    pub fn issued(url: impl Into<String>, now: i64) -> Self {
        let url: String = url.into();
        let life_s = stated_expiry(&url).map(|at| at.saturating_sub(now)).filter(|life| *life >= LIFE_MIN_S);
        let expires_at = now.saturating_add(life_s.unwrap_or(UNSTATED_LIFE_S).min(LIFE_S));
        Self { url, expires_at }
    }

    /// Rebuilds a URL that the journal kept.
    #[must_use]
    pub fn kept(url: impl Into<String>, expires_at: i64) -> Self {
        Self { url: url.into(), expires_at }
    }

    /// The Unix second after which the host answers 410.
    #[must_use]
    pub fn expires_at(&self) -> i64 {
        self.expires_at
    }

    /// The URL itself, for the request that spends it and the journal that keeps it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.url
    }
}

impl fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.split('/').nth(2).unwrap_or("?");
        write!(f, "SignedUrl({host}/***, expires_at {})", self.expires_at)
    }
}

fn stated_expiry(url: &str) -> Option<i64> {
    let (_, query) = url.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix("e=")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expiry_is_read_and_the_signature_never_shown() {
        let issued =
            |now| SignedUrl::issued("https://cvws.example/B/abc/${f}?o=x&e=1700003600&s=SIGNATURE", now);
        assert_eq!(issued(1_700_000_000).expires_at(), 1_700_003_600);
        assert_eq!(issued(1_700_001_000).expires_at(), 1_700_003_600, "not longer than it says");
        assert_eq!(issued(1_699_990_000).expires_at(), 1_699_993_600, "our clock is late");
        assert_eq!(issued(1_700_009_000).expires_at(), 1_700_010_800, "our clock is early");
        assert!(!format!("{:?}", issued(0)).contains("SIGNATURE"));
        assert_eq!(SignedUrl::issued("https://cvws.example/B/abc", 5).expires_at(), 5 + UNSTATED_LIFE_S);
    }
}
