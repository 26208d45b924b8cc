//! The identity service: who may sign in, with which proof, and which browser is trusted.
//!
//! Handshakes and sessions live in memory; what a client keeps (session token, trust token,
//! cookies) is signed, and stands until [`Identity::expire_sessions`] or [`Identity::revoke_trust`].

mod second_factor;
mod signin;

use crate::encode::base64url;
use crate::http::{Call, Reply};
use crate::setup;
use crate::sign::Signer;
use crate::srp::{Handshake, Verifier};
use crate::state::State;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// One sign-in under way, found by `X-Apple-ID-Session-Id`.
#[derive(Clone, Debug, Default)]
struct Session {
    /// The last `scnt` it was given; the next call must bring it.
    scnt: String,
    is_password_proven: bool,
    is_code_proven: bool,
}

/// Everything the identity service remembers.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    verifier: OnceLock<Verifier>,
    handshakes: Mutex<HashMap<String, Handshake>>,
    sessions: Mutex<HashMap<String, Session>>,
    /// Counts what must never repeat: handshakes, sessions, `scnt`.
    serial: AtomicU32,
    code_number: AtomicU32,
    /// Who was sent the last code: a phone, or the devices.
    code_sent_to: Mutex<Option<u64>>,
    codes_refused: AtomicU32,
    session_generation: AtomicU32,
    cookie_generation: AtomicU32,
    trust_generation: AtomicU32,
}

impl Identity {
    /// Voids every cookie issued until now; the session token stands.
    pub(crate) fn expire_cookies(&self) {
        self.cookie_generation.fetch_add(1, Ordering::Relaxed);
    }

    /// Forgets every sign-in under way.
    pub(crate) fn end_sign_ins(&self) {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Voids every session token and cookie issued until now.
    pub(crate) fn expire_sessions(&self) {
        self.session_generation.fetch_add(1, Ordering::Relaxed);
    }

    /// Voids every trust token issued until now, and the sessions with them.
    pub(crate) fn revoke_trust(&self) {
        self.trust_generation.fetch_add(1, Ordering::Relaxed);
        self.expire_sessions();
    }

    /// The six digits a device would show now.
    pub(crate) fn code(&self, signer: &Signer) -> String {
        let mac = signer.mac("code", &self.code_number.load(Ordering::Relaxed).to_be_bytes());
        let number = u32::from_be_bytes([0, mac[0], mac[1], mac[2]]) % 100_000;
        // The leading zero is on purpose: a code is a string.
        format!("{number:06}")
    }

    /// Sends a new code, to a phone or to the devices; the old one is void.
    fn send_code(&self, phone: Option<u64>) {
        self.code_number.fetch_add(1, Ordering::Relaxed);
        *self.code_sent_to.lock().unwrap_or_else(PoisonError::into_inner) = phone;
    }

    /// Whether this is the code that was last sent, and it came this way.
    fn is_code(&self, signer: &Signer, code: Option<&str>, phone: Option<u64>) -> bool {
        let sent_to = *self.code_sent_to.lock().unwrap_or_else(PoisonError::into_inner);
        code == Some(self.code(signer).as_str()) && sent_to == phone
    }

    pub(crate) fn serial(&self) -> u32 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn session_token(&self, signer: &Signer) -> String {
        signer.seal("session", &self.session_generation.load(Ordering::Relaxed).to_be_bytes())
    }

    pub(crate) fn is_session_token(&self, signer: &Signer, token: &str) -> bool {
        signer
            .open("session", token)
            .is_some_and(|payload| payload == self.session_generation.load(Ordering::Relaxed).to_be_bytes())
    }

    fn trust_token(&self, signer: &Signer) -> String {
        signer.seal("trust", &self.trust_generation.load(Ordering::Relaxed).to_be_bytes())
    }

    pub(crate) fn is_trust_token(&self, signer: &Signer, token: &str) -> bool {
        signer
            .open("trust", token)
            .is_some_and(|payload| payload == self.trust_generation.load(Ordering::Relaxed).to_be_bytes())
    }

    /// The value of the cookie that account set-up gives out.
    pub(crate) fn web_cookie(&self, signer: &Signer, is_trusted: bool) -> String {
        signer.seal("web", &self.web_payload(is_trusted))
    }

    fn web_payload(&self, is_trusted: bool) -> Vec<u8> {
        let generation = |of: &AtomicU32| of.load(Ordering::Relaxed).to_be_bytes();
        let generations = [generation(&self.session_generation), generation(&self.cookie_generation)];
        [&generations.concat()[..], &[u8::from(is_trusted)]].concat()
    }

    /// Whether a request carries the cookie of a live session that may read photos.
    pub(crate) fn is_signed_in(&self, signer: &Signer, call: &Call) -> bool {
        let payload = call.cookie("X-APPLE-WEBAUTH-TOKEN").and_then(|value| signer.open("web", value));
        payload.is_some_and(|payload| payload == self.web_payload(true))
    }

    /// Whether a request may read what Advanced Data Protection protects, if it is on.
    pub(crate) fn may_read_protected(&self, state: &State, call: &Call) -> bool {
        !state.options.advanced_data_protection
            || setup::PROTECTED_COOKIES.iter().all(|name| {
                let payload = call.cookie(name).and_then(|value| state.signer.open("pcs", value));
                payload.is_some_and(|payload| payload == state.account.consent_generation())
            })
    }
}

/// Answers a call to `/appleauth/auth…`.
pub(crate) fn answer(state: &State, call: &Call) -> Reply {
    let path = call.path.strip_prefix("/appleauth/auth").unwrap_or_default();
    match (call.method.as_str(), path) {
        ("POST", "/signin/init") => signin::init(state, call),
        ("POST", "/signin/complete") => signin::complete(state, call),
        ("POST", "/repair/complete") => with_session(state, call, |_| signin::repair(state)),
        ("GET", "" | "/") => with_session(state, call, |_| second_factor::boot_page(state)),
        ("PUT", "/verify/trusteddevice/securitycode") => {
            with_session(state, call, |_| second_factor::push(state))
        }
        ("POST", "/verify/trusteddevice/securitycode") => {
            with_session(state, call, |session| second_factor::enter_code(state, call, session))
        }
        ("PUT", "/verify/phone") => with_session(state, call, |_| second_factor::send_sms(state, call)),
        ("POST", "/verify/phone/securitycode") => {
            with_session(state, call, |session| second_factor::enter_sms(state, call, session))
        }
        ("GET", "/2sv/trust") => with_session(state, call, |session| second_factor::trust(state, session)),
        _ => Reply::json(
            404,
            &serde_json::json!({"serviceErrors": [{"code": "-20000", "message": "no such call"}]}),
        ),
    }
}

/// Runs a call inside the sign-in it belongs to, and turns its `scnt` over.
fn with_session(state: &State, call: &Call, run: impl FnOnce(&mut Session) -> Reply) -> Reply {
    let id = call.header("x-apple-id-session-id").unwrap_or_default();
    let mut sessions = state.identity.sessions.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(session) =
        sessions.get_mut(id).filter(|session| Some(session.scnt.as_str()) == call.header("scnt"))
    else {
        return service_error(401, "-20528", "Your session has ended. Sign in again.");
    };
    let mut reply = run(session);
    turn(state, session, id, &mut reply);
    reply
}

/// Gives a session its next `scnt`, and the reply both headers.
fn turn(state: &State, session: &mut Session, id: &str, reply: &mut Reply) {
    session.scnt = base64url(&state.signer.mac("scnt", &state.identity.serial().to_be_bytes()));
    reply.set("scnt", &session.scnt);
    reply.set("x-apple-id-session-id", id);
    reply.set("x-apple-id-account-country", "USA");
}

fn service_error(status: u16, code: &str, message: &str) -> Reply {
    let error = serde_json::json!([{"code": code, "title": "Sign-in failed", "message": message}]);
    // Old and new parts of the service spell the list differently; clients read both.
    let body = serde_json::json!({"serviceErrors": error, "service_errors": error, "hasError": true});
    Reply::json(status, &body).with("x-apple-i-ercd", code)
}
