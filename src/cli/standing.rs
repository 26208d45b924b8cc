//! How an account's sign-in stands: how long it is good for, and whether a person is waited for.
//!
//! Read from the data directory alone: Apple is not asked.

use serde::Serialize;

use crate::cli::problem::Problem;
use crate::cli::{explain, format, handover};
use crate::disk::DataDir;
use crate::icloud::Standing;

/// Days of trust left from which on a run warns. A week has a weekend in it.
const WARN_DAYS: i64 = 7;

/// How a sign-in stands, for a program too. The keys are a contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct SignIn {
    /// The account.
    pub(crate) username: String,
    /// Unix seconds when Apple last trusted this client; null if it never did.
    pub(crate) trusted_at: Option<i64>,
    /// Unix seconds when that ends, about; then a code is needed again.
    pub(crate) trust_ends_at: Option<i64>,
    /// Whole days until then.
    pub(crate) trust_days_left: Option<i64>,
    /// Unix seconds until when a device lets web clients in (Advanced Data Protection).
    pub(crate) consent_ends_at: Option<i64>,
    /// Unix seconds when Apple refused the password; null when it was accepted since.
    pub(crate) password_refused_at: Option<i64>,
    /// Whether that was because the account is locked.
    pub(crate) locked: bool,
    /// Unix seconds since when a run waits for a code; null when none does.
    pub(crate) waiting_since: Option<i64>,
    /// Unix seconds until when it does; null at a terminal.
    pub(crate) waiting_until: Option<i64>,
}

impl SignIn {
    /// Reads how the sign-in of `username` stands; `None` before the first one.
    ///
    /// # Errors
    /// A problem when the data directory cannot be read.
    pub(crate) fn read(data_dir: &DataDir, username: &str, now: i64) -> Result<Option<Self>, Problem> {
        let saved = data_dir.session(username).load();
        let saved = saved.map_err(|error| explain::system("cannot read the session", &error))?;
        let standing = saved.and_then(|saved| Standing::read(&saved, username));
        let waiting = handover::waiting(&data_dir.desk(username))?;
        if standing.is_none() && waiting.is_none() {
            return Ok(None);
        }
        let standing = standing.unwrap_or_default();
        Ok(Some(Self {
            username: username.to_owned(),
            trusted_at: standing.trusted_at,
            trust_ends_at: standing.trust_ends_at,
            trust_days_left: days_left(&standing, now),
            consent_ends_at: standing.consent_ends_at,
            password_refused_at: standing.password_refused_at,
            locked: standing.locked,
            waiting_since: waiting.as_ref().map(|notice| notice.since),
            waiting_until: waiting.and_then(|notice| notice.until),
        }))
    }

    /// What a person reads: a label and a text each.
    pub(crate) fn lines(&self, now: i64) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        if let Some(since) = self.waiting_since {
            let since = format::moment(since);
            lines.push((
                "sign-in",
                format!("waiting for a code since {since}: run \"rollbook login --code 123456\""),
            ));
        } else if let Some(at) = self.password_refused_at {
            let at = format::moment(at);
            let what = if self.locked {
                format!("the account was locked on {at}: unlock it at https://iforgot.apple.com, then run")
            } else {
                format!("Apple refused the password on {at}: run")
            };
            lines.push(("sign-in", format!("{what} \"rollbook login\"")));
        }
        if let (Some(days), Some(ends_at)) = (self.trust_days_left, self.trust_ends_at) {
            lines.push(("trust", trust(days, ends_at)));
        }
        if let Some(ends_at) = self.consent_ends_at {
            let verb = if ends_at > now { "ends" } else { "ended" };
            lines.push((
                "consent",
                format!("of a device to web access {verb} on {}", format::moment(ends_at)),
            ));
        }
        lines
    }
}

/// Whole days of trust left; negative after its end.
fn days_left(standing: &Standing, now: i64) -> Option<i64> {
    Some(standing.trust_ends_at?.saturating_sub(now).div_euclid(86_400))
}

fn trust(days: i64, ends_at: i64) -> String {
    match days {
        ..0 => format!("ended about {}", format::moment(ends_at)),
        days => format!(
            "about {} left, until {}; then a code is needed again",
            format::counted(days.unsigned_abs(), "day"),
            format::moment(ends_at)
        ),
    }
}

/// Warns while there is time to do something: a code is asked for when nobody watches, else.
pub(crate) fn warning(standing: &Standing, now: i64) -> Option<String> {
    let days = days_left(standing, now).filter(|days| *days < WARN_DAYS)?;
    let ends = trust(days, standing.trust_ends_at?);
    Some(format!("warning: Apple's trust in this client: {ends}; have a trusted device at hand"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_comes_in_the_last_week_and_not_before() {
        let ends = |day: i64| Standing { trust_ends_at: Some(day * 86_400 + 60), ..Standing::default() };
        assert_eq!(warning(&ends(7), 0), None);
        assert_eq!(warning(&Standing::default(), 0), None, "an account without a second factor");
        let text = warning(&ends(6), 0).unwrap();
        assert!(text.contains("about 6 days left, until 1970-01-07 00:01 UTC"), "{text}");
        assert!(warning(&ends(-3), 0).unwrap().contains("ended about"));
    }
}
