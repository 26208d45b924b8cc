//! A password that Apple refused is not sent again.
//!
//! Apple locks an account after a few wrong passwords, and a scheduler would send the same one
//! every hour. So the saved session keeps a fingerprint of it: slow to compute and salted, since
//! a refused password is often a right one of somewhere else, or right but for one letter.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::icloud::error::SignInError;
use crate::icloud::http;
use crate::model::secret::Secret;

/// Rounds of PBKDF2. A tenth of a second here, once in a run that has a refusal to compare with;
/// a year of guessing for whoever finds the file.
const ROUNDS: u32 = 100_000;

/// What Apple said to a password, and which one it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refusal {
    salt: String,
    fingerprint: String,
    /// Whether the account was locked, rather than the password wrong.
    pub(super) locked: bool,
    /// When, in Unix seconds.
    pub(super) at: i64,
}

impl Refusal {
    /// Notes a refusal, if `error` is one that concerns the password. Takes a tenth of a second.
    pub(super) fn of(password: &Secret, error: &SignInError) -> io::Result<Option<Self>> {
        let locked = match error {
            SignInError::WrongPassword => false,
            SignInError::Locked(_) => true,
            _ => return Ok(None),
        };
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(io::Error::other)?;
        let (salt, fingerprint) = (BASE64.encode(salt), fingerprint(password, &salt));
        Ok(Some(Self { salt, fingerprint, locked, at: http::now() }))
    }

    /// Why this password is not worth another try, if it is the one that was refused. Takes a
    /// tenth of a second.
    pub(super) fn concerns(&self, password: &Secret) -> Option<SignInError> {
        let salt = BASE64.decode(&self.salt).ok()?;
        let same = fingerprint(password, &salt) == self.fingerprint;
        same.then_some(SignInError::RefusedBefore { at: self.at, locked: self.locked })
    }
}

fn fingerprint(password: &Secret, salt: &[u8]) -> String {
    let mut bytes = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(password.expose().as_bytes(), salt, ROUNDS, &mut bytes);
    BASE64.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_refused_password_is_recognised_and_nothing_of_it_is_kept() {
        let refused = Secret::new("hunter2");
        let refusal = Refusal::of(&refused, &SignInError::WrongPassword).unwrap().unwrap();
        let known = refusal.concerns(&refused);
        assert!(matches!(known, Some(SignInError::RefusedBefore { locked: false, .. })), "{known:?}");
        assert!(refusal.concerns(&Secret::new("hunter3")).is_none());
        let saved = serde_json::to_string(&refusal).unwrap();
        assert!(!saved.contains("hunter2"));
        assert_eq!(Refusal::of(&refused, &SignInError::TermsNeeded).unwrap(), None);
    }
}
