//! The identity service: proving the password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::icloud::auth::Login;
use crate::icloud::auth::srp::{Challenge, Exchange, Protocol};
use crate::icloud::error::SignInError;
use crate::icloud::http::Answer;
use crate::icloud::wire::{self, Lenient, List, Value};
use crate::model::secret::Secret;

/// How often a new exchange is begun: for a session that the service forgot, or a public value
/// of the server that starts with a zero byte (1 in 256), of which nobody knows how Apple hashes it.
const EXCHANGES_MAX: usize = 4;
/// Length of a public value without a leading zero byte.
const PUBLIC_BYTES: usize = 256;

/// What is left to do after the password was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: the session has its token.
    AccountLogin,
    /// A code.
    SecondFactor,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Init<'a> {
    a: String,
    account_name: &'a str,
    protocols: [&'static str; 2],
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct InitAnswer<'a> {
    #[serde(borrow)]
    iteration: Value<'a>,
    #[serde(borrow)]
    salt: Value<'a>,
    #[serde(borrow)]
    protocol: Value<'a>,
    #[serde(borrow)]
    b: Value<'a>,
    #[serde(borrow)]
    c: Value<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Complete<'a> {
    account_name: &'a str,
    c: &'a str,
    m1: String,
    m2: String,
    remember_me: bool,
    trust_tokens: Vec<&'a str>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CompleteAnswer<'a> {
    #[serde(borrow)]
    m2: Value<'a>,
}

/// A challenge of the server, as bytes.
struct Posed {
    exchange: Exchange,
    salt: Vec<u8>,
    public: Vec<u8>,
    rounds: u32,
    protocol: Protocol,
    ticket: String,
}

impl Login {
    /// Proves the password. One try: a refusal is final.
    pub(super) async fn prove_password(&self, password: &Secret) -> Result<Next, SignInError> {
        let posed = self.begin_exchange().await?;
        let challenge = Challenge {
            salt: &posed.salt,
            rounds: posed.rounds,
            protocol: posed.protocol,
            public: &posed.public,
        };
        let username = self.http.session().username();
        let proofs = posed
            .exchange
            .prove(username, password, &challenge)
            .map_err(|error| malformed("signin/init", error))?;
        let trust = self.http.session().tokens().trust_token;
        let body = Complete {
            account_name: username,
            c: &posed.ticket,
            m1: BASE64.encode(proofs.m1),
            m2: BASE64.encode(proofs.m2),
            remember_me: true,
            trust_tokens: trust.iter().map(Secret::expose).collect(),
        };
        let body = serde_json::to_vec(&body).expect("plain text becomes JSON");
        let path = "signin/complete?isRememberMeEnabled=true";
        let answer = self.once(&self.identity_call(Method::POST, path, Some(body))).await?;
        check_server_proof(&answer, &proofs.m2)?;
        self.after_complete(&answer).await
    }

    async fn begin_exchange(&self) -> Result<Posed, SignInError> {
        let mut posed = None;
        for _ in 0..EXCHANGES_MAX {
            let exchange = Exchange::begin().map_err(SignInError::store)?;
            let body = Init {
                a: BASE64.encode(exchange.public()),
                account_name: self.http.session().username(),
                protocols: ["s2k", "s2k_fo"],
            };
            let body = serde_json::to_vec(&body).expect("plain text becomes JSON");
            let call = self.identity_call(Method::POST, "signin/init", Some(body));
            let answer = self.patiently(&call).await?;
            match answer.status {
                200 => {}
                // Not the password, which nobody has sent: the saved session is stale.
                401 => {
                    self.http.session().forget_identity();
                    continue;
                }
                _ => return Err(refused("signin/init", &answer)),
            }
            let challenge = read_challenge(&answer, exchange)?;
            let whole = challenge.public.len() == PUBLIC_BYTES && challenge.public[0] != 0;
            posed = Some(challenge);
            if whole {
                break;
            }
        }
        posed.ok_or_else(|| SignInError::Refused {
            step: "signin/init",
            status: 401,
            said: "no exchange was begun".to_owned(),
        })
    }

    async fn after_complete(&self, answer: &Answer) -> Result<Next, SignInError> {
        match answer.status {
            200 | 204 => Ok(Next::AccountLogin),
            409 => {
                let text = wire::text_of(&answer.body);
                if text.contains("\"fsaChallenge\"") || text.contains("\"keyNames\"") {
                    return Err(SignInError::SecurityKeyNeeded);
                }
                Ok(Next::SecondFactor)
            }
            412 => {
                let call = self.identity_call(Method::POST, "repair/complete", Some(b"{}".to_vec()));
                let answer = self.once(&call).await?;
                match answer.status {
                    200 | 204 => Ok(Next::AccountLogin),
                    _ => Err(SignInError::RepairNeeded(told(&answer))),
                }
            }
            _ => Err(refused("signin/complete", answer)),
        }
    }
}

fn read_challenge(answer: &Answer, exchange: Exchange) -> Result<Posed, SignInError> {
    // The answer may call itself text/html and still be JSON.
    let text = wire::text_of(&answer.body);
    let wire: Lenient<InitAnswer<'_>> =
        serde_json::from_str(&text).map_err(|error| malformed("signin/init", error))?;
    let bytes = |value: &Value<'_>, name: &str| {
        let text = value.name().ok_or_else(|| malformed("signin/init", format!("no {name}")))?;
        BASE64.decode(text).map_err(|error| malformed("signin/init", error))
    };
    let protocol = wire.protocol.text().and_then(Protocol::parse);
    Ok(Posed {
        exchange,
        salt: bytes(&wire.salt, "salt")?,
        public: bytes(&wire.b, "b")?,
        rounds: wire.iteration.number().and_then(|rounds| u32::try_from(rounds).ok()).unwrap_or(0),
        protocol: protocol.ok_or_else(|| malformed("signin/init", "an unknown protocol"))?,
        ticket: wire.c.text().unwrap_or_default().to_owned(),
    })
}

/// A server that gives its proof must give the right one.
fn check_server_proof(answer: &Answer, m2: &[u8; 32]) -> Result<(), SignInError> {
    let text = wire::text_of(&answer.body);
    let wire: Lenient<CompleteAnswer<'_>> = serde_json::from_str(&text).unwrap_or_default();
    match wire.m2.name() {
        Some(proof) if BASE64.decode(proof).ok().as_deref() != Some(m2.as_slice()) => {
            Err(malformed("signin/complete", "the server cannot prove that it knows the account"))
        }
        _ => Ok(()),
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal<'a> {
    #[serde(borrow, rename = "serviceErrors")]
    service_errors: List<Lenient<ServiceError<'a>>>,
    /// The same, as older parts of the service spell it; some answers have both.
    #[serde(borrow, rename = "service_errors")]
    older_errors: List<Lenient<ServiceError<'a>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ServiceError<'a> {
    #[serde(borrow)]
    code: Value<'a>,
    #[serde(borrow)]
    title: Value<'a>,
    #[serde(borrow)]
    message: Value<'a>,
}

/// Turns what the identity service refused into an error, keeping Apple's own words.
pub(super) fn refused(step: &'static str, answer: &Answer) -> SignInError {
    let (code, said) = code_and_words(answer);
    match (answer.status, code.as_str()) {
        (_, "-20101") => SignInError::WrongPassword,
        (_, "-21669") => SignInError::WrongCode,
        (_, "-20209") | (403, _) => SignInError::Locked(said),
        (status, code) => {
            SignInError::Refused { step, status, said: format!("{code} {said}").trim().to_owned() }
        }
    }
}

/// Apple's own words.
fn told(answer: &Answer) -> String {
    code_and_words(answer).1
}

fn code_and_words(answer: &Answer) -> (String, String) {
    let text = wire::text_of(&answer.body);
    let refusal: Lenient<Refusal<'_>> = serde_json::from_str(&text).unwrap_or_default();
    let first = refusal.service_errors.items().first().or(refusal.older_errors.items().first());
    let code = first.and_then(|error| error.code.id()).unwrap_or_default();
    let said = first
        .and_then(|error| error.message.name().or(error.title.name()))
        .map_or_else(|| answer.said(), wire::shortened);
    (code, said)
}

fn malformed(step: &'static str, detail: impl ToString) -> SignInError {
    SignInError::Malformed { step, detail: detail.to_string() }
}
