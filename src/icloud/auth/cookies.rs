//! The cookie jar: shared by all requests, and part of the saved session.
//!
//! Session cookies are kept as well: Apple's web sign-in lives in cookies that a browser would
//! drop when it closes, and without them every run would have to sign in anew.

use std::sync::{Mutex, MutexGuard, PoisonError};

use reqwest::Url;
use reqwest::header::HeaderValue;
use serde_json::value::RawValue;

/// A jar that knows whether it changed since it was last saved.
#[derive(Debug, Default)]
pub(in crate::icloud) struct Jar(Mutex<Contents>);

#[derive(Default)]
struct Contents {
    cookies: cookie_store::CookieStore,
    changed: bool,
}

impl std::fmt::Debug for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contents").field("cookies", &"***").field("changed", &self.changed).finish()
    }
}

impl Jar {
    /// Fills the jar from a saved session, dropping expired cookies. Unreadable ones are no
    /// loss: the next sign-in brings new ones.
    pub(super) fn load(&self, saved: &RawValue) {
        if let Ok(cookies) = cookie_store::serde::json::load(saved.get().as_bytes()) {
            *self.contents() = Contents { cookies, changed: false };
        }
    }

    /// All cookies as JSON.
    pub(super) fn save(&self) -> Option<Box<RawValue>> {
        let mut bytes = Vec::new();
        let contents = self.contents();
        cookie_store::serde::json::save_incl_expired_and_nonpersistent(&contents.cookies, &mut bytes).ok()?;
        RawValue::from_string(String::from_utf8(bytes).ok()?).ok()
    }

    /// Whether it changed since the last call.
    pub(super) fn take_changed(&self) -> bool {
        std::mem::take(&mut self.contents().changed)
    }

    /// Whether there is any cookie at all.
    pub(super) fn is_empty(&self) -> bool {
        self.contents().cookies.iter_unexpired().next().is_none()
    }

    /// Whether a request to `url` would carry a cookie of this name.
    pub(super) fn has(&self, url: &Url, name: &str) -> bool {
        self.contents().cookies.get_request_values(url).any(|(known, _)| known == name)
    }

    /// When the cookie whose name begins so expires, in Unix seconds; `None` if there is none, or
    /// it does not say.
    pub(super) fn expiry(&self, prefix: &str) -> Option<i64> {
        let contents = self.contents();
        let named = contents.cookies.iter_unexpired().filter(|cookie| cookie.name().starts_with(prefix));
        let ends = named.filter_map(|cookie| match &cookie.expires {
            cookie_store::CookieExpiration::AtUtc(at) => Some(at.unix_timestamp()),
            cookie_store::CookieExpiration::SessionEnd => None,
        });
        ends.max()
    }

    /// Drops all cookies of these names.
    pub(super) fn forget(&self, names: &[&str]) {
        let mut contents = self.contents();
        let place = |cookie: &cookie_store::Cookie<'_>| {
            let domain = String::from(&cookie.domain);
            (domain, String::from(&cookie.path), cookie.name().to_owned())
        };
        let known: Vec<_> = contents.cookies.iter_any().map(place).collect();
        for (domain, path, name) in known.into_iter().filter(|(.., name)| names.contains(&name.as_str())) {
            contents.changed |= contents.cookies.remove(&domain, &path, &name).is_some();
        }
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        // Every change is one call into the store: a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl reqwest::cookie::CookieStore for Jar {
    fn set_cookies(&self, headers: &mut dyn Iterator<Item = &HeaderValue>, url: &Url) {
        let mut contents = self.contents();
        for header in headers {
            let Ok(text) = header.to_str() else { continue };
            let known = contents.cookies.matches(url).len();
            let before = value_of(&contents.cookies, text, url);
            if contents.cookies.parse(text, url).is_ok() {
                // Many answers repeat a cookie as it is: not worth a write to disk.
                let same = before.is_some() && before == value_of(&contents.cookies, text, url);
                contents.changed |= !same || known != contents.cookies.matches(url).len();
            }
        }
    }

    fn cookies(&self, url: &Url) -> Option<HeaderValue> {
        let contents = self.contents();
        let mut pairs = String::new();
        for (name, value) in contents.cookies.get_request_values(url) {
            let between = if pairs.is_empty() { "" } else { "; " };
            pairs.extend([between, name, "=", value]);
        }
        let mut header = HeaderValue::from_str(&pairs).ok().filter(|pairs| !pairs.is_empty())?;
        header.set_sensitive(true);
        Some(header)
    }
}

/// The value that the jar holds for the cookie named in a `Set-Cookie` header.
fn value_of(cookies: &cookie_store::CookieStore, header: &str, url: &Url) -> Option<String> {
    let name = header.split(['=', ';']).next()?.trim();
    cookies.get_request_values(url).find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}
