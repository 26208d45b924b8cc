//! Advanced Data Protection: photos are given out only with cookies that a device consents to.
//!
//! The account data says that cookies are required (`pcsRequired`); an ordinary account gets them
//! with its sign-in. A protected one gets them from `requestPCS` once its owner has approved web
//! access on a device. The consent ends by itself after about an hour, so every sign-in drops
//! the cookies it finds and asks for new ones: while the consent stands that needs nobody.
//!
//! Order and wording of the calls as two other clients have them (rclone's backend and pyicloud,
//! both of 2026); none of it is documented.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::icloud::auth::person::News;
use crate::icloud::auth::{Account, Login};
use crate::icloud::error::SignInError;
use crate::icloud::photos;
use crate::icloud::wire;

/// The cookies without which protected photos are not given out.
pub(super) const COOKIES: [&str; 2] = ["X-APPLE-WEBAUTH-PCS-Photos", "X-APPLE-WEBAUTH-PCS-Sharing"];
/// The name under which photos are asked for.
const APP: &str = "photos";

/// How a device is waited for.
#[derive(Clone, Copy, Debug)]
pub(in crate::icloud) struct Patience {
    /// Time between two questions.
    pub(in crate::icloud) poll: Duration,
    /// Time until we give up.
    pub(in crate::icloud) max: Duration,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WebAccessState {
    /// Advanced Data Protection is on: the recovery service that web access leans on is disabled.
    #[serde(rename = "isICDRSDisabled")]
    protected: bool,
    #[serde(rename = "isDeviceConsentedForPCS")]
    consented: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ConsentAsked {
    #[serde(rename = "isDeviceConsentNotificationSent")]
    sent: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CookiesAsked {
    status: String,
    message: String,
    #[serde(rename = "deviceConsentForPCSExpiry")]
    consent_ends: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AskConsent {
    app_name: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AskCookies {
    app_name: &'static str,
    derived_from_user_action: bool,
}

impl Login {
    /// Sees to it that the photos of a protected account can be read, if a person approves.
    pub(super) async fn ensure_consent(&self, account: &Account) -> Result<(), SignInError> {
        if !account.pcs_required || self.has_cookies(account) {
            return Ok(());
        }
        let state: WebAccessState = self.consent_call(account, "requestWebAccessState", &()).await?;
        if !state.protected {
            return Ok(());
        }
        let patience = self.patience;
        if !state.consented {
            let ask = AskConsent { app_name: APP };
            let asked: ConsentAsked = self.consent_call(account, "enableDeviceConsentForPCS", &ask).await?;
            if !asked.sent {
                return Err(SignInError::ConsentMissing { waited: Duration::ZERO });
            }
            self.person.tell(News::ApproveOnDevice { wait_s: patience.max.as_secs() });
        }
        let ends_at = self.wait_for_cookies(account, patience).await?;
        if !self.has_cookies(account) {
            let detail = "the request succeeded and brought no cookies".to_owned();
            return Err(SignInError::Malformed { step: "requestPCS", detail });
        }
        self.http.session().set_consent_end(ends_at);
        if !state.consented {
            self.person.tell(News::Approved);
        }
        Ok(())
    }

    /// Asks for the cookies until they come. Returns when the consent ends, in Unix seconds.
    async fn wait_for_cookies(
        &self,
        account: &Account,
        patience: Patience,
    ) -> Result<Option<i64>, SignInError> {
        let began = Instant::now();
        let mut ask = AskCookies { app_name: APP, derived_from_user_action: true };
        loop {
            let answer: CookiesAsked = self.consent_call(account, "requestPCS", &ask).await?;
            if answer.status == "success" {
                return Ok(answer.consent_ends.and_then(unix_seconds));
            }
            tracing::debug!(message = wire::shortened(&answer.message), "waiting for a device");
            if began.elapsed() + patience.poll > patience.max {
                return Err(SignInError::ConsentMissing { waited: patience.max });
            }
            sleep(patience.poll).await;
            ask.derived_from_user_action = false;
        }
    }

    fn has_cookies(&self, account: &Account) -> bool {
        COOKIES.iter().all(|name| self.http.session().jar.has(&account.photos, name))
    }

    async fn consent_call<T: DeserializeOwned + Default>(
        &self,
        account: &Account,
        path: &'static str,
        body: &impl Serialize,
    ) -> Result<T, SignInError> {
        let body = serde_json::to_vec(body).expect("plain text becomes JSON");
        let mut call = self.setup_call(path, body);
        photos::identify(&mut call.url, &self.http.session().tokens().client_id, &account.dsid);
        let answer = self.patiently(&call).await?;
        match answer.status {
            200..=299 => Ok(serde_json::from_str(&wire::text_of(&answer.body)).unwrap_or_default()),
            status => Err(SignInError::Refused { step: path, status, said: answer.said() }),
        }
    }
}

/// Apple counts milliseconds; zero and less mean that it does not say.
fn unix_seconds(stamp: i64) -> Option<i64> {
    /// As seconds this is the year 33658, as milliseconds it is 2001.
    const SURELY_MILLIS: i64 = 1_000_000_000_000;
    match stamp {
        ..=0 => None,
        SURELY_MILLIS.. => Some(stamp / 1000),
        _ => Some(stamp),
    }
}
