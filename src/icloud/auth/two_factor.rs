//! The second factor: a code that a trusted device shows.

use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::icloud::auth::{CodePrompt, Login, identity};
use crate::icloud::error::{Need, SignInError};
use crate::icloud::http::Answer;
use crate::icloud::wire::{self, Lenient, Value};

/// How many codes a person may try. Apple locks the account after some more.
const TRIES_MAX: u32 = 3;
/// Where codes are asked for and given.
const CODE_PATH: &str = "verify/trusteddevice/securitycode";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Given<'a> {
    security_code: GivenCode<'a>,
}

#[derive(Serialize)]
struct GivenCode<'a> {
    /// Text: a code may start with zeros.
    code: &'a str,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Taken<'a> {
    #[serde(borrow)]
    security_code: Lenient<TakenCode<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct TakenCode<'a> {
    #[serde(borrow)]
    valid: Value<'a>,
}

impl Login {
    /// Asks for a code until one is right, then has this client trusted.
    pub(super) async fn second_factor(&self) -> Result<(), SignInError> {
        if !self.person.holds_code() {
            // Its answer decides nothing: older systems show a code by themselves, and a person
            // may find one in the settings of a device.
            self.once(&self.identity_call(Method::PUT, CODE_PATH, None)).await?;
        }
        for refused in 0..TRIES_MAX {
            let prompt = CodePrompt { refused, tries_max: TRIES_MAX };
            let Some(code) = self.ask(Need::Code, move |person| person.code(prompt)).await? else {
                return Err(SignInError::NeedsPerson(Need::Code));
            };
            let given = Given { security_code: GivenCode { code: code.expose().trim() } };
            let body = serde_json::to_vec(&given).expect("plain text becomes JSON");
            let answer = self.once(&self.identity_call(Method::POST, CODE_PATH, Some(body))).await?;
            if is_accepted(&answer) {
                return self.trust().await;
            }
            match identity::refused(CODE_PATH, &answer) {
                SignInError::WrongCode => {}
                error => return Err(error),
            }
        }
        Err(SignInError::WrongCode)
    }

    /// Asks Apple to trust this client, so that the next sign-in needs no code.
    async fn trust(&self) -> Result<(), SignInError> {
        let answer = self.patiently(&self.identity_call(Method::GET, "2sv/trust", None)).await?;
        match answer.status {
            200..=299 => Ok(()),
            _ => Err(identity::refused("2sv/trust", &answer)),
        }
    }
}

/// A 409 that calls the code valid means that it was accepted.
fn is_accepted(answer: &Answer) -> bool {
    let text = wire::text_of(&answer.body);
    let taken: Lenient<Taken<'_>> = serde_json::from_str(&text).unwrap_or_default();
    match answer.status {
        200..=299 => true,
        409 => taken.security_code.valid.is_set(),
        _ => false,
    }
}
