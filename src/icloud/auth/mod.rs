//! Signing in: from the cheapest proof to the dearest.
//!
//! 1. The saved cookies (`validate`).
//! 2. The saved token (`accountLogin`).
//! 3. The password (SRP), and a code if Apple wants one.
//!
//! Apple counts password sign-ins, about ten in a while, so a saved session is always tried
//! first. A wrong password is tried once: more lock the account.
//!
//! Who asks a person, and how, is left to [`Person`]; where the session is kept, to
//! [`SessionStore`].

mod account;
mod cookies;
mod identity;
pub(super) mod session;
mod srp;
mod two_factor;

use std::io;
use std::sync::Arc;

use reqwest::Method;
use reqwest::header::HeaderMap;

pub(super) use account::Account;
pub use session::SessionStore;

use crate::icloud::auth::account::Outcome;
use crate::icloud::error::{Need, SignInError};
use crate::icloud::http::{self, Answer, Call, Http, Unreachable};
use crate::model::backoff;
use crate::model::secret::Secret;

/// What a person is asked for a code with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodePrompt {
    /// How many codes were refused already, in this sign-in.
    pub refused: u32,
    /// How many may be tried in all.
    pub tries_max: u32,
}

/// How a sign-in asks a human. `None` means that nobody is there.
///
/// Called on a thread of its own, so it may block for as long as a person needs.
pub trait Person: Send + Sync {
    /// Asks for the account's password.
    /// # Errors
    /// When the question could not be put.
    fn password(&self) -> io::Result<Option<Secret>>;

    /// Asks for the code that a trusted device shows.
    /// # Errors
    /// When the question could not be put.
    fn code(&self, prompt: CodePrompt) -> io::Result<Option<Secret>>;

    /// Whether a code is in hand already. Then no new one is requested: a new one voids the old.
    fn holds_code(&self) -> bool {
        false
    }
}

/// Everything that signing in, and in again, takes.
pub(super) struct Login {
    http: Arc<Http>,
    person: Arc<dyn Person>,
}

impl Login {
    pub(super) fn new(http: Arc<Http>, person: Arc<dyn Person>) -> Self {
        Self { http, person }
    }

    /// Signs in, by the saved session if it is still good.
    pub(super) async fn sign_in(&self) -> Result<Account, SignInError> {
        if !self.http.session().jar.is_empty()
            && let Outcome::SignedIn(account) = self.validate().await?
        {
            self.http.session().save().await?;
            return Ok(account);
        }
        self.sign_in_again().await
    }

    /// Signs in without trust in the cookies: by the token, else by the password.
    pub(super) async fn sign_in_again(&self) -> Result<Account, SignInError> {
        let saved = self.http.session().tokens().session_token.is_some();
        let account = match if saved { Some(self.account_login().await?) } else { None } {
            Some(Outcome::SignedIn(account)) => account,
            _ => self.by_password().await?,
        };
        self.http.session().save().await?;
        Ok(account)
    }

    async fn by_password(&self) -> Result<Account, SignInError> {
        let Some(password) = self.ask(Need::Password, |person| person.password()).await? else {
            return Err(SignInError::NeedsPerson(Need::Password));
        };
        if self.prove_password(&password).await? == identity::Next::SecondFactor {
            self.second_factor().await?;
        }
        match self.account_login().await? {
            Outcome::SignedIn(account) => return Ok(account),
            Outcome::SecondFactor => self.second_factor().await?,
            Outcome::Rejected { status, said } => return Err(refused_after_sign_in(status, said)),
        }
        match self.account_login().await? {
            Outcome::SignedIn(account) => Ok(account),
            Outcome::SecondFactor => Err(refused_after_sign_in(409, "the browser is not trusted".to_owned())),
            Outcome::Rejected { status, said } => Err(refused_after_sign_in(status, said)),
        }
    }

    /// Puts a question on a thread where it may block.
    async fn ask<T: Send + 'static>(
        &self,
        need: Need,
        question: impl FnOnce(&dyn Person) -> io::Result<T> + Send + 'static,
    ) -> Result<T, SignInError> {
        // What was learnt so far outlives a person who walks away.
        self.http.session().save().await?;
        let person = Arc::clone(&self.person);
        let asked = tokio::task::spawn_blocking(move || question(person.as_ref())).await;
        let asked = asked.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        asked.map_err(|source| SignInError::Person { need, source: Arc::new(source) })
    }

    /// Sends a call once. For what must not be repeated: each try counts.
    async fn once(&self, call: &Call) -> Result<Answer, SignInError> {
        let answer = self.http.send(call).await?;
        if answer.is_throttled() {
            return Err(SignInError::Throttled { retry_after: answer.retry_after() });
        }
        Ok(answer)
    }

    /// Sends a call until an answer comes that is not a passing fault.
    async fn patiently(&self, call: &Call) -> Result<Answer, SignInError> {
        for wait in backoff::waits() {
            match self.http.send(call).await {
                Err(unreachable) if unreachable.passing => {}
                Ok(answer) if answer.is_server_fault() => {}
                Err(unreachable) => return Err(unreachable.into()),
                Ok(answer) if answer.is_throttled() => {
                    return Err(SignInError::Throttled { retry_after: answer.retry_after() });
                }
                Ok(answer) => return Ok(answer),
            }
            tokio::time::sleep(wait).await;
        }
        self.once(call).await
    }

    /// A call to the account set-up service.
    fn setup_call(&self, path: &str, body: impl Into<bytes::Bytes>) -> Call {
        let home = self.http.endpoints().home_origin();
        let headers = http::headers([
            ("accept", "*/*"),
            ("content-type", "text/plain"),
            ("origin", &home),
            ("referer", &format!("{home}/")),
        ]);
        let url = self.http.endpoints().setup(path);
        Call { method: Method::POST, url, headers, body: Some(body.into()) }
    }

    /// A call to the identity service.
    fn identity_call(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Call {
        let url = self.http.endpoints().auth(path);
        Call { method, url, headers: self.identity_headers(), body: body.map(Into::into) }
    }

    fn identity_headers(&self) -> HeaderMap {
        /// The public key of the sign-in widget on icloud.com.
        const WIDGET_KEY: &str = "d39ba9916b7251055b22c7f910e2ea796ee65e98b2ddecea8f5dde8d9d1a815d";
        let tokens = self.http.session().tokens();
        let endpoints = self.http.endpoints();
        let (origin, home) = (endpoints.auth_origin(), endpoints.home_origin());
        let mut headers = http::headers([
            ("accept", "application/json, text/javascript"),
            ("content-type", "application/json"),
            ("origin", &origin),
            ("referer", &format!("{origin}/")),
            ("x-apple-oauth-client-id", WIDGET_KEY),
            ("x-apple-widget-key", WIDGET_KEY),
            ("x-apple-oauth-client-type", "firstPartyAuth"),
            ("x-apple-oauth-redirect-uri", &home),
            ("x-apple-oauth-require-grant-code", "true"),
            ("x-apple-oauth-response-mode", "web_message"),
            ("x-apple-oauth-response-type", "code"),
            ("x-apple-oauth-state", &tokens.client_id),
        ]);
        let secrets = [("scnt", tokens.scnt), ("x-apple-id-session-id", tokens.session_id)];
        for (name, secret) in secrets {
            let Some(secret) = secret else { continue };
            headers.extend(http::headers([(name, secret.expose())]));
        }
        headers
    }
}

/// A sign-in that succeeded, and an account that still does not open.
fn refused_after_sign_in(status: u16, said: String) -> SignInError {
    match status {
        // What stays a 421 after a whole sign-in is the account's own setting.
        421 => SignInError::AccessOff,
        _ => SignInError::Refused { step: "accountLogin", status, said },
    }
}

impl From<Unreachable> for SignInError {
    fn from(Unreachable { host, detail, .. }: Unreachable) -> Self {
        Self::Offline { host, detail }
    }
}
