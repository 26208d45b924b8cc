//! Sessions of icloudpd: its tokens serve us too, so that nobody has to type another code.
//!
//! icloudpd keeps two files for an account: cookies, and `NAME.session`, JSON with the tokens. The
//! tokens are enough: with them the account opens as after a sign-in, and the cookies come anew.

use std::borrow::Cow;

use serde::Deserialize;

use crate::icloud::auth::session::Saved;

/// The tokens as icloudpd writes them. Without a token nothing is gained.
#[derive(Deserialize)]
struct Theirs<'a> {
    #[serde(borrow)]
    client_id: Cow<'a, str>,
    #[serde(borrow)]
    session_token: Cow<'a, str>,
    #[serde(borrow, default)]
    trust_token: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    scnt: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    session_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    account_country: Option<Cow<'a, str>>,
}

/// The name of an account's session file in icloudpd's cookie directory: the letters, digits and
/// underscores of the account's name.
#[must_use]
pub fn session_file(username: &str) -> String {
    let plain: String = username.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    format!("{plain}.session")
}

/// Makes a saved session of ours out of icloudpd's `NAME.session`. `None`: it holds no tokens.
#[must_use]
pub fn convert(username: &str, theirs: &[u8]) -> Option<Vec<u8>> {
    let theirs: Theirs<'_> = serde_json::from_slice(theirs).ok()?;
    let saved = Saved {
        username: username.into(),
        client_id: theirs.client_id,
        scnt: theirs.scnt,
        session_id: theirs.session_id,
        session_token: Some(theirs.session_token),
        trust_token: theirs.trust_token,
        country: theirs.account_country,
        trusted_at: None,
        consent_ends_at: None,
        code_phone: None,
        refusal: None,
        cookies: None,
    };
    serde_json::to_vec(&saved).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_taken_over_and_anything_else_is_refused() {
        let theirs = br#"{"client_id":"auth-1","session_token":"s","trust_token":"t","scnt":"c","more":{}}"#;
        let ours = convert("a@b.c", theirs).expect("a session");
        let ours: serde_json::Value = serde_json::from_slice(&ours).expect("JSON");
        assert_eq!((&ours["username"], &ours["trust_token"]), (&"a@b.c".into(), &"t".into()));
        assert!(convert("a@b.c", br#"{"client_id":"auth-1"}"#).is_none() && convert("a", b"#LWP").is_none());
        assert_eq!(session_file("a.b_c@d-e.org"), "ab_cdeorg.session");
    }
}
