//! What is kept between runs: ids, tokens and cookies of one account.
//!
//! Every answer may change it, and every change is saved: the service rotates these values, and
//! an old one is worth nothing. Two processes on one session would break each other; the run
//! lock keeps them apart.

use std::borrow::Cow;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::header::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::icloud::auth::cookies::Jar;
use crate::icloud::auth::person::Phone;
use crate::icloud::auth::refusal::Refusal;
use crate::icloud::auth::standing::{Standing, trust_end};
use crate::icloud::error::SignInError;
use crate::icloud::http;
use crate::model::secret::Secret;

/// How long a code that was sent to a phone is waited for. Apple's own limit is not known; its
/// pages offer to send another one much sooner.
const CODE_LIFE_S: i64 = 30 * 60;

/// Where the session of one account is kept.
///
/// The bytes are as secret as a password: whoever has them reads the whole library. An
/// implementation keeps them from other users and replaces them in one step.
pub trait SessionStore: Send + Sync {
    /// Reads the saved session; `None` when there is none yet.
    /// # Errors
    /// When there is one that cannot be read.
    fn load(&self) -> io::Result<Option<Vec<u8>>>;

    /// Replaces the saved session.
    /// # Errors
    /// When it cannot be written; the old one then still stands.
    fn save(&self, bytes: &[u8]) -> io::Result<()>;
}

/// The ids and tokens, without the cookies.
#[derive(Clone, Debug)]
pub(in crate::icloud) struct Tokens {
    /// `auth-…`: made once, names this client for ever.
    pub(in crate::icloud) client_id: String,
    pub(in crate::icloud) scnt: Option<Secret>,
    pub(in crate::icloud) session_id: Option<Secret>,
    pub(in crate::icloud) session_token: Option<Secret>,
    pub(in crate::icloud) trust_token: Option<Secret>,
    pub(in crate::icloud) country: Option<String>,
    /// When the trust token came, in Unix seconds.
    trusted_at: Option<i64>,
    /// When a device's consent ends, in Unix seconds.
    consent_ends_at: Option<i64>,
    /// The phone that the last code was sent to, and when.
    code_phone: Option<CodePhone>,
    /// The password that Apple refused last.
    refusal: Option<Refusal>,
}

/// A code that is on its way to a phone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct CodePhone {
    id: u64,
    number: String,
    sent_at: i64,
}

/// The shape of the saved session.
#[derive(Serialize, Deserialize)]
pub(super) struct Saved<'a> {
    pub(super) username: Cow<'a, str>,
    pub(super) client_id: Cow<'a, str>,
    #[serde(default)]
    pub(super) scnt: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) session_id: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) session_token: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) trust_token: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) country: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) trusted_at: Option<i64>,
    #[serde(default)]
    pub(super) consent_ends_at: Option<i64>,
    #[serde(default)]
    pub(super) code_phone: Option<CodePhone>,
    #[serde(default)]
    pub(super) refusal: Option<Refusal>,
    /// The jar's own format.
    #[serde(borrow, default)]
    pub(super) cookies: Option<&'a RawValue>,
}

/// A live session: tokens, cookies, and the place where both are kept.
pub(in crate::icloud) struct Session {
    username: String,
    tokens: Mutex<State>,
    pub(in crate::icloud) jar: Arc<Jar>,
    store: Arc<dyn SessionStore>,
    /// One save at a time, in order.
    saving: tokio::sync::Mutex<()>,
}

struct State {
    tokens: Tokens,
    changed: bool,
}

impl Session {
    /// Opens the saved session of `username`, or begins an empty one.
    ///
    /// A session that cannot be understood, or is of another account, is begun anew: signing in
    /// again is the cure for both.
    /// # Errors
    /// [`SignInError::Store`] when the store cannot be read, or there is no randomness.
    pub(in crate::icloud) fn open(username: &str, store: Box<dyn SessionStore>) -> Result<Self, SignInError> {
        let store: Arc<dyn SessionStore> = store.into();
        let jar = Arc::new(Jar::default());
        let bytes = store.load().map_err(SignInError::store)?.map(Zeroizing::new);
        let saved = bytes.as_ref().and_then(|bytes| serde_json::from_slice::<Saved<'_>>(bytes).ok());
        let tokens = match saved.filter(|saved| saved.username == username) {
            Some(saved) => {
                if let Some(cookies) = saved.cookies {
                    jar.load(cookies);
                }
                Tokens::from(&saved)
            }
            None => Tokens::begin().map_err(SignInError::store)?,
        };
        let tokens = Mutex::new(State { tokens, changed: false });
        let saving = tokio::sync::Mutex::new(());
        Ok(Self { username: username.to_owned(), tokens, jar, store, saving })
    }

    /// The account's name, exactly as sent.
    pub(in crate::icloud) fn username(&self) -> &str {
        &self.username
    }

    /// The tokens as they are now.
    pub(in crate::icloud) fn tokens(&self) -> Tokens {
        self.state().tokens.clone()
    }

    /// Takes over what an answer says about the session.
    pub(in crate::icloud) fn absorb(&self, headers: &HeaderMap) {
        let mut state = self.state();
        let State { tokens, changed } = &mut *state;
        for (slot, header) in [
            (&mut tokens.scnt, "scnt"),
            (&mut tokens.session_id, "x-apple-id-session-id"),
            (&mut tokens.session_token, "x-apple-session-token"),
            (&mut tokens.trust_token, "x-apple-twosv-trust-token"),
        ] {
            let Some(value) = text(headers, header) else { continue };
            if slot.as_ref().is_none_or(|known| known.expose() != value) {
                *slot = Some(Secret::new(value));
                *changed = true;
            }
        }
        if text(headers, "x-apple-twosv-trust-token").is_some() {
            tokens.trusted_at = Some(http::now());
            *changed = true;
        }
        if let Some(country) = text(headers, "x-apple-id-account-country")
            && tokens.country.as_deref() != Some(country)
        {
            tokens.country = Some(country.to_owned());
            *changed = true;
        }
    }

    /// Forgets the ids of an identity session that the service no longer knows.
    pub(in crate::icloud) fn forget_identity(&self) {
        self.change(|tokens| (tokens.scnt, tokens.session_id) = (None, None));
    }

    /// The phone that a code was sent to a short while ago.
    pub(super) fn code_phone(&self) -> Option<Phone> {
        let sent = self.state().tokens.code_phone.clone()?;
        let fresh = http::now().saturating_sub(sent.sent_at) < CODE_LIFE_S;
        fresh.then_some(Phone { id: sent.id, number: sent.number })
    }

    /// Notes where the last code was sent; `None` for the trusted devices.
    pub(super) fn set_code_phone(&self, phone: Option<Phone>) {
        let sent_at = http::now();
        let sent = phone.map(|Phone { id, number }| CodePhone { id, number, sent_at });
        self.change(|tokens| tokens.code_phone = sent);
    }

    /// Notes when a device's consent ends.
    pub(super) fn set_consent_end(&self, at: Option<i64>) {
        self.change(|tokens| tokens.consent_ends_at = at);
    }

    /// The password that Apple refused last, unless one was accepted since.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.state().tokens.refusal.clone()
    }

    /// Notes a refused password, or with `None` that one was accepted.
    pub(super) fn set_refusal(&self, refusal: Option<Refusal>) {
        if refusal.is_some() || self.refusal().is_some() {
            self.change(|tokens| tokens.refusal = refusal);
        }
    }

    /// What the session says about itself.
    pub(in crate::icloud) fn standing(&self) -> Standing {
        let tokens = self.tokens();
        Standing {
            trusted_at: tokens.trusted_at,
            trust_ends_at: trust_end(tokens.trusted_at, &self.jar),
            consent_ends_at: tokens.consent_ends_at,
            password_refused_at: tokens.refusal.as_ref().map(|refusal| refusal.at),
            locked: tokens.refusal.is_some_and(|refusal| refusal.locked),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Tokens)) {
        let mut state = self.state();
        change(&mut state.tokens);
        state.changed = true;
    }

    /// Saves what changed since the last save, if anything did.
    /// # Errors
    /// [`SignInError::Store`]; the change stays marked, so that the next save tries again.
    pub(in crate::icloud) async fn save(&self) -> Result<(), SignInError> {
        let _one_at_a_time = self.saving.lock().await;
        let cookies_changed = self.jar.take_changed();
        let tokens_changed = std::mem::take(&mut self.state().changed);
        if !(cookies_changed || tokens_changed) {
            return Ok(());
        }
        let bytes = self.to_bytes();
        let store = Arc::clone(&self.store);
        // The store may sync a file: not on a thread that serves requests.
        let saved = tokio::task::spawn_blocking(move || store.save(&bytes)).await;
        saved.unwrap_or_else(|panic| Err(io::Error::other(panic))).map_err(|error| {
            self.state().changed = true;
            SignInError::store(error)
        })
    }

    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let tokens = self.tokens();
        let cookies = self.jar.save();
        let saved = Saved {
            username: Cow::from(&self.username),
            client_id: Cow::from(&tokens.client_id),
            scnt: exposed(&tokens.scnt),
            session_id: exposed(&tokens.session_id),
            session_token: exposed(&tokens.session_token),
            trust_token: exposed(&tokens.trust_token),
            country: tokens.country.as_deref().map(Cow::from),
            trusted_at: tokens.trusted_at,
            consent_ends_at: tokens.consent_ends_at,
            code_phone: tokens.code_phone,
            refusal: tokens.refusal,
            cookies: cookies.as_deref(),
        };
        Zeroizing::new(serde_json::to_vec(&saved).expect("a session is plain JSON"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Fields are replaced one by one and each is whole: a panic elsewhere breaks nothing.
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tokens {
    fn begin() -> io::Result<Self> {
        Ok(Self {
            client_id: format!("auth-{}", random_uuid()?),
            scnt: None,
            session_id: None,
            session_token: None,
            trust_token: None,
            country: None,
            trusted_at: None,
            consent_ends_at: None,
            code_phone: None,
            refusal: None,
        })
    }
}

impl From<&Saved<'_>> for Tokens {
    fn from(saved: &Saved<'_>) -> Self {
        Self {
            client_id: saved.client_id.clone().into_owned(),
            scnt: saved.scnt.as_deref().map(Secret::new),
            session_id: saved.session_id.as_deref().map(Secret::new),
            session_token: saved.session_token.as_deref().map(Secret::new),
            trust_token: saved.trust_token.as_deref().map(Secret::new),
            country: saved.country.as_deref().map(str::to_owned),
            trusted_at: saved.trusted_at,
            consent_ends_at: saved.consent_ends_at,
            code_phone: saved.code_phone.clone(),
            refusal: saved.refusal.clone(),
        }
    }
}

fn exposed(secret: &Option<Secret>) -> Option<Cow<'_, str>> {
    secret.as_ref().map(|secret| Cow::from(secret.expose()))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().filter(|value| !value.is_empty())
}

/// A random UUID (version 4), as a web client would make one.
fn random_uuid() -> io::Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

/// Opens what stands in a session file of the account `u`, and gives what would be saved, for fuzzing.
#[cfg(feature = "faults")]
pub(in crate::icloud) fn reopened(bytes: &[u8]) -> Vec<u8> {
    use reqwest::cookie::CookieStore as _;
    struct Held(Vec<u8>);
    impl SessionStore for Held {
        fn load(&self) -> io::Result<Option<Vec<u8>>> {
            Ok(Some(self.0.clone()))
        }
        fn save(&self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }
    }
    let session = Session::open("u", Box::new(Held(bytes.to_vec()))).expect("a store that answers");
    for url in ["https://setup.icloud.com/setup/ws/1", "https://p61-ckdatabasews.icloud.com/database"] {
        let _ = session.jar.cookies(&url.parse().expect("a URL"));
    }
    let _ = (session.standing(), session.code_phone());
    session.to_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Option<Vec<u8>>>>);

    impl SessionStore for Memory {
        fn load(&self) -> io::Result<Option<Vec<u8>>> {
            Ok(self.0.lock().expect("a quiet lock").clone())
        }
        fn save(&self, bytes: &[u8]) -> io::Result<()> {
            *self.0.lock().expect("a quiet lock") = Some(bytes.to_vec());
            Ok(())
        }
    }

    fn open(memory: &Memory, username: &str) -> Session {
        Session::open(username, Box::new(memory.clone())).expect("a session")
    }

    #[tokio::test]
    async fn tokens_and_session_cookies_outlive_the_process() {
        use reqwest::cookie::CookieStore as _;
        let memory = Memory::default();
        let session = open(&memory, "a@example.org");
        let url = "https://setup.icloud.com/setup".parse().expect("a URL");
        let mut headers = HeaderMap::new();
        headers.insert("scnt", "s1\"\\".parse().expect("a header"));
        session.absorb(&headers);
        let cookie = "T=\"v=1:t=x\"; Domain=.icloud.com; Path=/; Secure".parse().expect("a header");
        session.jar.set_cookies(&mut [&cookie].into_iter(), &url);
        session.save().await.expect("saved");

        let again = open(&memory, "a@example.org");
        assert_eq!(again.tokens().client_id, session.tokens().client_id);
        assert_eq!(again.tokens().scnt.expect("scnt").expose(), "s1\"\\");
        let ck = "https://p61-ckdatabasews.icloud.com/x".parse().expect("a URL");
        assert_eq!(again.jar.cookies(&ck).expect("a cookie"), "T=\"v=1:t=x\"");

        assert_ne!(open(&memory, "b@example.org").tokens().client_id, session.tokens().client_id);
        *memory.0.lock().expect("a quiet lock") = Some(b"{\"username\":".to_vec());
        assert!(open(&memory, "a@example.org").tokens().scnt.is_none());
    }

    #[tokio::test]
    async fn an_answer_that_changes_nothing_is_not_saved() {
        let memory = Memory::default();
        let session = open(&memory, "a@example.org");
        session.save().await.expect("nothing to save");
        assert!(memory.load().expect("memory").is_none());
    }
}
