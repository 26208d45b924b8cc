//! The second factor: a code that trusted devices show, or that comes by text message.
//!
//! Since iOS 26.4 devices show a code only when asked (PUT), so we ask first; a person who has a
//! code in hand is not asked to get another, because a new one voids the old one. A sign-in ends
//! after some minutes: what a person brings later is kept, the password is proved anew, and then
//! it is used.

use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::icloud::auth::person::{CodeEntry, CodePrompt, News, Phone};
use crate::icloud::auth::{Login, identity, phones};
use crate::icloud::error::{Need, SignInError};
use crate::icloud::http::Answer;
use crate::icloud::wire::{self, Lenient, Value};
use crate::model::secret::Secret;

/// How many codes a person may try. Apple locks the account after some more.
const TRIES_MAX: u32 = 3;
/// How many codes may be sent in one sign-in. Apple sends about five, then none for hours.
const SENDS_MAX: u32 = 4;
/// Where devices are asked for a code, and where it is given.
const DEVICE_PATH: &str = "verify/trusteddevice/securitycode";
/// Where a text message is asked for.
const PHONE_PATH: &str = "verify/phone";
/// Where a code from a text message is given.
const PHONE_CODE_PATH: &str = "verify/phone/securitycode";

/// How far one second factor is. Outlives the sign-in that it began in.
#[derive(Debug, Default)]
pub(super) struct Factor {
    refused: u32,
    sent: u32,
    phones: Vec<Phone>,
    /// What a person brought when the sign-in had ended: a code, or a way to get one.
    unused: Option<CodeEntry>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proven {
    /// The code was right, and this client is trusted.
    Trusted,
    /// Apple no longer knows the sign-in: the password must be proved anew.
    SignInEnded,
}

/// What Apple says to a code.
enum Verdict {
    Right,
    Wrong,
    SignInEnded,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Given<'a> {
    #[serde(flatten)]
    by: Option<ByPhone>,
    security_code: GivenCode<'a>,
}

#[derive(Serialize)]
struct GivenCode<'a> {
    /// Text: a code may start with zeros.
    code: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ByPhone {
    phone_number: PhoneId,
    mode: &'static str,
}

#[derive(Serialize)]
struct PhoneId {
    id: u64,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Taken<'a> {
    #[serde(borrow)]
    security_code: Lenient<TakenCode<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct TakenCode<'a> {
    #[serde(borrow)]
    valid: Value<'a>,
    #[serde(borrow)]
    too_many_codes_sent: Value<'a>,
    #[serde(borrow)]
    too_many_codes_validated: Value<'a>,
    #[serde(borrow)]
    security_code_locked: Value<'a>,
}

impl Login {
    /// Asks for a code until one is right, then has this client trusted.
    pub(super) async fn second_factor(&self, factor: &mut Factor) -> Result<Proven, SignInError> {
        let nothing_sent = factor.sent == 0 && factor.unused.is_none();
        // A code by text message may still be on its way, from a process that has ended since.
        let by_phone = self.http.session().code_phone().is_some();
        if nothing_sent && !by_phone && !self.person.holds_code() && !self.push(factor).await? {
            return Ok(Proven::SignInEnded);
        }
        while factor.refused < TRIES_MAX {
            let entry = self.next_entry(factor).await?;
            let known = match &entry {
                CodeEntry::Push => self.push(factor).await?,
                CodeEntry::Sms(nth) => self.text_message(factor, *nth).await?,
                CodeEntry::Code(code) => match self.enter(code).await? {
                    Verdict::Right => {
                        self.person.tell(News::CodeAccepted);
                        return self.trust().await;
                    }
                    Verdict::Wrong => {
                        factor.refused += 1;
                        true
                    }
                    Verdict::SignInEnded => false,
                },
            };
            if !known {
                factor.unused = Some(entry);
                return Ok(Proven::SignInEnded);
            }
        }
        Err(SignInError::WrongCode)
    }

    async fn next_entry(&self, factor: &mut Factor) -> Result<CodeEntry, SignInError> {
        if let Some(entry) = factor.unused.take() {
            return Ok(entry);
        }
        let prompt = CodePrompt {
            refused: factor.refused,
            tries_max: TRIES_MAX,
            phone: self.http.session().code_phone(),
            phones: factor.phones.clone(),
        };
        let entry = self.ask(Need::Code, move |person| person.code(&prompt)).await?;
        entry.ok_or(match factor.refused {
            0 => SignInError::NeedsPerson(Need::Code),
            _ => SignInError::WrongCode,
        })
    }

    /// Asks trusted devices to show a code. `false`: Apple no longer knows the sign-in.
    async fn push(&self, factor: &mut Factor) -> Result<bool, SignInError> {
        count_send(factor)?;
        // Its answer decides little: older systems show a code by themselves, and a person may
        // find one in the settings of a device.
        let answer = self.once(&self.identity_call(Method::PUT, DEVICE_PATH, None)).await?;
        if answer.status == 401 {
            return Ok(false);
        }
        check_limits(&answer)?;
        self.http.session().set_code_phone(None);
        self.person.tell(News::CodeSent { phone: None });
        Ok(true)
    }

    /// Sends a code to a phone, or learns which there are. `false`: Apple no longer knows the
    /// sign-in.
    async fn text_message(&self, factor: &mut Factor, nth: Option<usize>) -> Result<bool, SignInError> {
        if factor.phones.is_empty() {
            let answer = self.patiently(&self.identity_call(Method::GET, "", None)).await?;
            match answer.status {
                401 => return Ok(false),
                200 => factor.phones = phones::read(&answer),
                _ => return Err(identity::refused("auth", &answer)),
            }
        }
        let phone = match nth {
            None if factor.phones.len() == 1 => factor.phones.first(),
            None if !factor.phones.is_empty() => return Ok(true),
            None => None,
            Some(nth) => nth.checked_sub(1).and_then(|index| factor.phones.get(index)),
        };
        let Some(phone) = phone.cloned() else {
            return Err(SignInError::NoSuchPhone { phones: factor.phones.len() });
        };
        count_send(factor)?;
        let body = serde_json::to_vec(&by_phone(phone.id)).expect("plain text becomes JSON");
        let answer = self.once(&self.identity_call(Method::PUT, PHONE_PATH, Some(body))).await?;
        match answer.status {
            401 => return Ok(false),
            200..=299 => {}
            _ => {
                check_limits(&answer)?;
                return Err(identity::refused(PHONE_PATH, &answer));
            }
        }
        self.http.session().set_code_phone(Some(phone.clone()));
        self.person.tell(News::CodeSent { phone: Some(phone) });
        Ok(true)
    }

    /// Gives a code the way that it came.
    async fn enter(&self, code: &Secret) -> Result<Verdict, SignInError> {
        let phone = self.http.session().code_phone();
        let path = if phone.is_some() { PHONE_CODE_PATH } else { DEVICE_PATH };
        let security_code = GivenCode { code: code.expose().trim() };
        let given = Given { by: phone.map(|phone| by_phone(phone.id)), security_code };
        let body = serde_json::to_vec(&given).expect("plain text becomes JSON");
        let answer = self.once(&self.identity_call(Method::POST, path, Some(body))).await?;
        if is_accepted(&answer) {
            self.http.session().set_code_phone(None);
            return Ok(Verdict::Right);
        }
        check_limits(&answer)?;
        match identity::refused(path, &answer) {
            SignInError::WrongCode => Ok(Verdict::Wrong),
            _ if answer.status == 401 => Ok(Verdict::SignInEnded),
            error => Err(error),
        }
    }

    /// Asks Apple to trust this client, so that the next sign-in needs no code.
    async fn trust(&self) -> Result<Proven, SignInError> {
        let answer = self.patiently(&self.identity_call(Method::GET, "2sv/trust", None)).await?;
        match answer.status {
            200..=299 => Ok(Proven::Trusted),
            _ => Err(identity::refused("2sv/trust", &answer)),
        }
    }
}

fn by_phone(id: u64) -> ByPhone {
    ByPhone { phone_number: PhoneId { id }, mode: "sms" }
}

fn count_send(factor: &mut Factor) -> Result<(), SignInError> {
    if factor.sent >= SENDS_MAX {
        return Err(SignInError::TooManyCodes);
    }
    factor.sent += 1;
    Ok(())
}

/// A 409 that calls the code valid means that it was accepted.
fn is_accepted(answer: &Answer) -> bool {
    match answer.status {
        200..=299 => true,
        409 => taken(&wire::text_of(&answer.body)).security_code.valid.is_set(),
        _ => false,
    }
}

/// Apple sends and takes only so many codes, and says so in flags of their own.
fn check_limits(answer: &Answer) -> Result<(), SignInError> {
    let text = wire::text_of(&answer.body);
    let taken = taken(&text);
    let code = &taken.security_code;
    let flags = [&code.too_many_codes_sent, &code.too_many_codes_validated, &code.security_code_locked];
    match answer.status {
        400.. if flags.iter().any(|flag| flag.is_set()) => Err(SignInError::TooManyCodes),
        _ => Ok(()),
    }
}

fn taken(text: &str) -> Lenient<Taken<'_>> {
    serde_json::from_str(text).unwrap_or_default()
}
