//! What a saved session says about itself, without its secrets: for whoever looks after it.

use crate::icloud::auth::cookies::Jar;
use crate::icloud::auth::session::Saved;

/// The cookie that a trusted browser keeps. Its name may have a suffix.
const TRUST_COOKIE: &str = "X-APPLE-WEBAUTH-HSA-TRUST";
/// How long trust lasts where no cookie says so. Clients document two months; since 2026 some
/// users report one.
const TRUST_LIFE_S: i64 = 60 * 86_400;

/// How long a session is good for. Times in Unix seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// When Apple last trusted this client; `None` if it never did, which an account without a
    /// second factor does not need.
    pub trusted_at: Option<i64>,
    /// When that trust ends, as its cookie says, or about.
    pub trust_ends_at: Option<i64>,
    /// When a device's consent to web access ends (Advanced Data Protection).
    pub consent_ends_at: Option<i64>,
    /// When Apple refused the password; `None` when it was accepted since.
    pub password_refused_at: Option<i64>,
    /// Whether it was because the account is locked.
    pub locked: bool,
}

impl Standing {
    /// Reads the standing out of a saved session of `username`; `None` if it is no such thing.
    #[must_use]
    pub fn read(saved: &[u8], username: &str) -> Option<Self> {
        let saved: Saved<'_> = serde_json::from_slice(saved).ok()?;
        if saved.username != username {
            return None;
        }
        let jar = Jar::default();
        if let Some(cookies) = saved.cookies {
            jar.load(cookies);
        }
        Some(Self {
            trusted_at: saved.trusted_at,
            trust_ends_at: trust_end(saved.trusted_at, &jar),
            consent_ends_at: saved.consent_ends_at,
            password_refused_at: saved.refusal.as_ref().map(|refusal| refusal.at),
            locked: saved.refusal.is_some_and(|refusal| refusal.locked),
        })
    }
}

/// When trust ends that was given at `trusted_at`.
pub(super) fn trust_end(trusted_at: Option<i64>, jar: &Jar) -> Option<i64> {
    let trusted_at = trusted_at?;
    Some(jar.expiry(TRUST_COOKIE).unwrap_or(trusted_at.saturating_add(TRUST_LIFE_S)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::Url;
    use reqwest::cookie::CookieStore as _;

    #[test]
    fn trust_ends_as_its_cookie_says_and_else_after_two_months() {
        let jar = Jar::default();
        assert_eq!(trust_end(None, &jar), None);
        assert_eq!(trust_end(Some(1_000), &jar), Some(1_000 + 60 * 86_400));
        let url: Url = "https://setup.icloud.com/".parse().unwrap();
        let cookie = "X-APPLE-WEBAUTH-HSA-TRUST-K3Y=x; Max-Age=864000; Domain=.icloud.com; Path=/";
        jar.set_cookies(&mut [&cookie.parse().unwrap()].into_iter(), &url);
        let days = (trust_end(Some(1_000), &jar).unwrap() - crate::icloud::http::now() + 60) / 86_400;
        assert_eq!(days, 10);
    }
}
