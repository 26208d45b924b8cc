//! The account as the set-up service describes it: who it is, and where its photos live.

use serde::{Deserialize, Serialize};

use reqwest::Url;

use crate::icloud::auth::Login;
use crate::icloud::error::SignInError;
use crate::icloud::http::Answer;
use crate::icloud::wire::{self, Lenient, Value};
use crate::model::secret::Secret;

/// A signed-in account.
#[derive(Clone, Debug)]
pub(in crate::icloud) struct Account {
    /// Apple's number for the account.
    pub(in crate::icloud) dsid: String,
    /// The root of its photo database.
    pub(in crate::icloud) photos: Url,
    /// Whether photos are given out only with cookies of their own ([`super::consent`]).
    pub(in crate::icloud) pcs_required: bool,
}

/// What the set-up service says to a session.
pub(super) enum Outcome {
    /// It is good.
    SignedIn(Account),
    /// It is good once a second factor was given.
    SecondFactor,
    /// It is not good.
    Rejected { status: u16, said: String },
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct AccountWire<'a> {
    #[serde(borrow)]
    ds_info: Lenient<DsInfoWire<'a>>,
    #[serde(borrow)]
    hsa_challenge_required: Value<'a>,
    #[serde(borrow)]
    hsa_trusted_browser: Value<'a>,
    #[serde(borrow)]
    webservices: Lenient<WebservicesWire<'a>>,
    #[serde(borrow)]
    domain_to_use: Value<'a>,
    #[serde(borrow)]
    terms_update_needed: Value<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct DsInfoWire<'a> {
    #[serde(borrow)]
    dsid: Value<'a>,
    #[serde(borrow)]
    hsa_version: Value<'a>,
    #[serde(borrow)]
    has_i_cloud_qualifying_device: Value<'a>,
    #[serde(borrow)]
    is_web_access_allowed: Value<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WebservicesWire<'a> {
    #[serde(borrow)]
    ckdatabasews: Lenient<ServiceWire<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ServiceWire<'a> {
    #[serde(borrow)]
    url: Value<'a>,
    #[serde(borrow)]
    pcs_required: Value<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccountLogin<'a> {
    account_country_code: &'a str,
    ds_web_auth_token: &'a str,
    #[serde(rename = "extended_login")]
    extended_login: bool,
    trust_token: &'a str,
}

impl Login {
    /// Asks whether the saved cookies are still good.
    pub(super) async fn validate(&self) -> Result<Outcome, SignInError> {
        let call = self.setup_call("validate", "null");
        self.outcome("validate", &self.patiently(&call).await?)
    }

    /// Trades the session token for cookies.
    pub(super) async fn account_login(&self) -> Result<Outcome, SignInError> {
        let tokens = self.http.session().tokens();
        let exposed = |secret: &'_ Option<Secret>| secret.as_ref().map_or("", Secret::expose).to_owned();
        let body = AccountLogin {
            account_country_code: tokens.country.as_deref().unwrap_or_default(),
            ds_web_auth_token: &exposed(&tokens.session_token),
            extended_login: true,
            trust_token: &exposed(&tokens.trust_token),
        };
        let body = serde_json::to_vec(&body).expect("plain text becomes JSON");
        let call = self.setup_call("accountLogin", body);
        self.outcome("accountLogin", &self.patiently(&call).await?)
    }

    fn outcome(&self, step: &'static str, answer: &Answer) -> Result<Outcome, SignInError> {
        let text = wire::text_of(&answer.body);
        let wire: Lenient<AccountWire<'_>> = serde_json::from_str(&text).unwrap_or_default();
        if let Some(domain) = wire.domain_to_use.name()
            && !self.http.endpoints().is_home_of(domain)
        {
            return Err(SignInError::WrongRegion { domain: domain.to_owned() });
        }
        match answer.status {
            200 => {}
            // A 500 is often a session that the service chokes on; the next proof will tell.
            400..=500 => return Ok(Outcome::Rejected { status: answer.status, said: answer.said() }),
            status => return Err(SignInError::Refused { step, status, said: answer.said() }),
        }
        let Some(dsid) = wire.ds_info.dsid.id() else {
            return Ok(Outcome::Rejected { status: answer.status, said: answer.said() });
        };
        if wire.needs_second_factor() {
            return Ok(Outcome::SecondFactor);
        }
        if wire.terms_update_needed.is_set() {
            return Err(SignInError::TermsNeeded);
        }
        if wire.ds_info.is_web_access_allowed == Value::Bool(false) {
            return Err(SignInError::AccessOff);
        }
        let malformed = |detail: String| SignInError::Malformed { step, detail };
        let service = &wire.webservices.ckdatabasews;
        let photos =
            service.url.name().ok_or_else(|| malformed("the account names no photo service".to_owned()))?;
        let photos = self.http.endpoints().permit(photos).map_err(|error| malformed(error.to_string()))?;
        let pcs_required = service.pcs_required.is_set();
        Ok(Outcome::SignedIn(Account { dsid, photos, pcs_required }))
    }
}

impl AccountWire<'_> {
    fn needs_second_factor(&self) -> bool {
        self.ds_info.hsa_version.number() == Some(2)
            && (self.hsa_challenge_required.is_set() || !self.hsa_trusted_browser.is_set())
            && self.ds_info.has_i_cloud_qualifying_device.is_set()
    }
}
