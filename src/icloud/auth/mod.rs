//! Signing in: from the cheapest proof to the dearest.
//!
//! 1. The saved cookies (`validate`).
//! 2. The saved token (`accountLogin`).
//! 3. The password (SRP), and a code if Apple wants one.
//! 4. The consent of a device, where Advanced Data Protection asks for it.
//!
//! Apple counts password sign-ins, about ten in a while, so a saved session is always tried
//! first. A wrong password is tried once, by this process and by those after it: more lock the
//! account.
//!
//! Who asks a person, and how, is left to [`Person`]; where the session is kept, to
//! [`SessionStore`].

mod account;
pub(super) mod consent;
mod cookies;
pub mod icloudpd;
mod identity;
mod person;
mod phones;
mod refusal;
pub(super) mod session;
mod srp;
mod standing;
mod two_factor;

use std::io;
use std::sync::Arc;

use reqwest::Method;
use reqwest::header::HeaderMap;

pub(super) use account::Account;
pub use person::{CodeEntry, CodePrompt, News, Person, Phone};
pub use session::SessionStore;
pub use standing::Standing;

use crate::fault;
use crate::icloud::auth::account::Outcome;
use crate::icloud::auth::consent::Patience;
use crate::icloud::auth::refusal::Refusal;
use crate::icloud::auth::two_factor::{Factor, Proven};
use crate::icloud::error::{Need, SignInError};
use crate::icloud::http::{self, Answer, Call, Http, Unreachable};
use crate::model::backoff;

/// Everything that signing in, and in again, takes.
pub(super) struct Login {
    http: Arc<Http>,
    person: Arc<dyn Person>,
    patience: Patience,
    /// Whether a person asked for this sign-in, so that a password is sent that was refused before.
    deliberate: bool,
}

impl Login {
    pub(super) fn new(
        http: Arc<Http>,
        person: Arc<dyn Person>,
        patience: Patience,
        deliberate: bool,
    ) -> Self {
        Self { http, person, patience, deliberate }
    }

    /// Signs in, by the saved session if it is still good.
    pub(super) async fn sign_in(&self) -> Result<Account, SignInError> {
        if !self.http.session().jar.is_empty()
            && let Outcome::SignedIn(account) = self.validate().await?
        {
            return self.finish(Ok(account)).await;
        }
        self.sign_in_again().await
    }

    /// Whether the cookies are still good.
    pub(super) async fn is_good(&self) -> Result<bool, SignInError> {
        Ok(matches!(self.validate().await?, Outcome::SignedIn(_)))
    }

    /// Signs in without trust in the cookies: by the token, else by the password.
    pub(super) async fn sign_in_again(&self) -> Result<Account, SignInError> {
        // Those of a protected account end before the others do, and nobody can see it of them.
        self.http.session().jar.forget(&consent::COOKIES);
        let proved = self.prove().await;
        self.finish(proved).await
    }

    /// Proves what has to be proved: by the token, else by the password and a code.
    async fn prove(&self) -> Result<Account, SignInError> {
        let mut factor = Factor::default();
        let tokens = self.http.session().tokens();
        if tokens.session_token.is_some() {
            match self.account_login().await? {
                Outcome::SignedIn(account) => return Ok(account),
                // An earlier process proved the password and ended before a code came.
                Outcome::SecondFactor if tokens.scnt.is_some() => {
                    if self.second_factor(&mut factor).await? == Proven::Trusted {
                        return self.open_account().await;
                    }
                }
                Outcome::SecondFactor | Outcome::Rejected { .. } => {}
            }
        }
        self.by_password(&mut factor).await
    }

    /// What every sign-in ends with.
    async fn finish(&self, proved: Result<Account, SignInError>) -> Result<Account, SignInError> {
        let done = match proved {
            Ok(account) => self.ensure_consent(&account).await.map(|()| account),
            Err(error) => Err(error),
        };
        // Whatever came of it: the next try goes on from here, perhaps without password and code.
        let saved = self.http.session().save().await;
        done.and_then(|account| saved.map(|()| account))
    }

    async fn by_password(&self, factor: &mut Factor) -> Result<Account, SignInError> {
        if self.prove_any_password().await? == identity::Next::SecondFactor {
            self.prove_factor(factor).await?;
        }
        match self.account_login().await? {
            Outcome::SignedIn(account) => Ok(account),
            Outcome::SecondFactor => {
                self.prove_factor(factor).await?;
                self.open_account().await
            }
            Outcome::Rejected { status, said } => Err(refused_after_sign_in(status, said)),
        }
    }

    /// Asks for a password and proves it, unless Apple has refused that one before.
    async fn prove_any_password(&self) -> Result<identity::Next, SignInError> {
        let Some(password) = self.ask(Need::Password, |person| person.password()).await? else {
            return Err(SignInError::NeedsPerson(Need::Password));
        };
        if let Some(refusal) = self.http.session().refusal().filter(|_| !self.deliberate) {
            let password = password.clone();
            if let Some(known) = off_thread(move || refusal.concerns(&password)).await? {
                return Err(known);
            }
        }
        let proved = self.prove_password(&password).await;
        let refusal = match &proved {
            Ok(_) => None,
            Err(error) => {
                let error = error.clone();
                let noted = off_thread(move || Refusal::of(&password, &error)).await?;
                match noted.map_err(SignInError::store)? {
                    Some(refusal) => Some(refusal),
                    None => return proved,
                }
            }
        };
        self.http.session().set_refusal(refusal);
        self.http.session().save().await?;
        proved
    }

    /// The second factor of a sign-in that has just begun.
    async fn prove_factor(&self, factor: &mut Factor) -> Result<(), SignInError> {
        match self.second_factor(factor).await? {
            Proven::Trusted => return Ok(()),
            Proven::SignInEnded => {}
        }
        // Whoever waits for a person for hours finds the sign-in gone when the code comes.
        if self.prove_any_password().await? == identity::Next::AccountLogin {
            return Ok(());
        }
        match self.second_factor(factor).await? {
            Proven::Trusted => Ok(()),
            Proven::SignInEnded => {
                Err(refused_after_sign_in(401, "the sign-in ended before its code came".to_owned()))
            }
        }
    }

    /// Opens the account after everything was proved.
    async fn open_account(&self) -> Result<Account, SignInError> {
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
        off_thread(move || question(person.as_ref()))
            .await?
            .map_err(|source| SignInError::Person { need, source: Arc::new(source) })
    }

    /// Sends a call once. For what must not be repeated: each try counts.
    async fn once(&self, call: &Call) -> Result<Answer, SignInError> {
        let answer = self.http.send(call).await?;
        self.tell_the_time();
        if answer.is_throttled() {
            return Err(SignInError::Throttled { retry_after: answer.retry_after() });
        }
        Ok(answer)
    }

    /// Sends a call until an answer comes that is not a passing fault.
    async fn patiently(&self, call: &Call) -> Result<Answer, SignInError> {
        for wait in backoff::waits() {
            let answer = self.http.send(call).await;
            self.tell_the_time();
            match answer {
                Err(unreachable) if unreachable.passing => {}
                Ok(answer) if answer.is_server_fault() => {}
                Err(unreachable) => return Err(unreachable.into()),
                Ok(answer) if answer.is_throttled() => {
                    return Err(SignInError::Throttled { retry_after: answer.retry_after() });
                }
                Ok(answer) => return Ok(answer),
            }
            tokio::time::sleep(fault::haste(wait)).await;
        }
        self.once(call).await
    }

    fn tell_the_time(&self) {
        if let Some(ahead_s) = self.http.clock().news() {
            self.person.tell(News::ClockIsWrong { ahead_s });
        }
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

/// Runs what blocks on a thread where it may.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, SignInError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|panic| SignInError::store(io::Error::other(panic)))
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
