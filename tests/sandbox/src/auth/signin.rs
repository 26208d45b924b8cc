//! Sign-in by proof: `signin/init` opens a handshake, `signin/complete` closes it.

use super::{Session, service_error, turn};
use crate::account::Obstacle;
use crate::encode::{base64, from_base64, hex};
use crate::http::{Call, Reply};
use crate::srp::{Handshake, Verifier};
use crate::state::State;
use serde_json::{Value, json};
use std::sync::PoisonError;

/// Answers the client's public number with ours.
pub(super) fn init(state: &State, call: &Call) -> Reply {
    let options = &state.options;
    let Some(body) = call.json() else { return malformed() };
    let account = body["accountName"].as_str().unwrap_or_default();
    let a_public = body["a"].as_str().and_then(from_base64).unwrap_or_default();
    let is_offered =
        |name: &str| body["protocols"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    if account.is_empty() || !is_offered(options.protocol.name()) {
        return malformed();
    }
    let verifier = state.identity.verifier.get_or_init(|| {
        Verifier::new(&options.password, options.protocol, &options.salt, options.iterations)
    });
    let serial = state.identity.serial().to_be_bytes();
    let Some(handshake) = Handshake::open(account, &a_public, verifier, &state.signer.mac("b", &serial))
    else {
        return malformed();
    };
    let c = format!("d-123-{}:MSA", hex(&state.signer.mac("c", &serial)[..16]));
    let body = json!({
        "iteration": options.iterations,
        "salt": base64(&verifier.salt),
        "protocol": options.protocol.name(),
        "version": 1,
        "b": base64(&handshake.b_public()),
        "c": c,
    });
    state.identity.handshakes.lock().unwrap_or_else(PoisonError::into_inner).insert(c, handshake);
    let mut reply = Reply::json(200, &body);
    // The service says so, although it is JSON.
    reply.set("content-type", "text/html;charset=UTF-8");
    open_session(state, Session::default(), &mut reply);
    reply
}

/// Checks both proofs, then asks for a second factor if one is needed.
pub(super) fn complete(state: &State, call: &Call) -> Reply {
    let Some(body) = call.json() else { return malformed() };
    let proof = |name: &str| body[name].as_str().and_then(from_base64);
    let (Some(m1), Some(m2), Some(c)) = (proof("m1"), proof("m2"), body["c"].as_str()) else {
        return malformed();
    };
    // Taken out: a handshake is good for one try.
    let handshake = state.identity.handshakes.lock().unwrap_or_else(PoisonError::into_inner).remove(c);
    let Some(handshake) = handshake else { return malformed() };
    let proofs = handshake.proofs();
    let is_owner = body["accountName"].as_str() == Some(&state.options.username);
    if !is_owner || m1 != proofs.m1 || m2 != proofs.m2 {
        return service_error(401, "-20101", "Check the account information you entered and try again.");
    }

    match state.account.obstacle() {
        Obstacle::Locked => {
            let said = "This Apple Account has been locked for security reasons.";
            return service_error(403, "-20209", said);
        }
        Obstacle::SecurityKey => return security_key(state),
        Obstacle::Repair | Obstacle::RepairOnWeb => return notice(state),
        _ => {}
    }
    let is_trusted = !state.options.two_factor
        || trust_tokens(&body).any(|token| state.identity.is_trust_token(&state.signer, token));
    let answer = if is_trusted { json!({"authType": "sa"}) } else { json!({"authType": "hsa2"}) };
    let mut reply = Reply::json(if is_trusted { 200 } else { 409 }, &answer);
    reply.set("x-apple-session-token", &state.identity.session_token(&state.signer));
    if !is_trusted {
        reply.set("x-apple-i-rscd", "409");
    }
    open_session(
        state,
        Session { is_password_proven: true, is_code_proven: is_trusted, ..Session::default() },
        &mut reply,
    );
    reply
}

/// Puts a waiting notice away, if it is one that this call can put away.
pub(super) fn repair(state: &State) -> Reply {
    match state.account.obstacle() {
        Obstacle::RepairOnWeb => service_error(403, "-20751", "Sign in on the web to continue."),
        Obstacle::Repair => {
            state.account.set_obstacle(Obstacle::None);
            Reply::empty(200)
        }
        _ => Reply::empty(200),
    }
}

/// Asks for a hardware key, which only a browser can ask.
fn security_key(state: &State) -> Reply {
    let challenge = base64(&state.signer.mac("key", &state.identity.serial().to_be_bytes()));
    let body = json!({
        "authType": "hsa2",
        "fsaChallenge": {"challenge": challenge, "keyHandles": ["a2V5"], "rpId": "apple.com"},
        "keyNames": ["The blue key"],
    });
    let mut reply = Reply::json(409, &body).with("x-apple-i-rscd", "409");
    open_session(state, Session { is_password_proven: true, ..Session::default() }, &mut reply);
    reply
}

/// The password is right, and a notice waits.
fn notice(state: &State) -> Reply {
    let mut reply = Reply::json(412, &json!({"authType": "sa"})).with("x-apple-i-rscd", "412");
    reply.set("x-apple-session-token", &state.identity.session_token(&state.signer));
    let session = Session { is_password_proven: true, is_code_proven: true, ..Session::default() };
    open_session(state, session, &mut reply);
    reply
}

fn trust_tokens(body: &Value) -> impl Iterator<Item = &str> {
    body["trustTokens"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn open_session(state: &State, mut session: Session, reply: &mut Reply) {
    let id = hex(&state.signer.mac("session id", &state.identity.serial().to_be_bytes())[..16]);
    turn(state, &mut session, &id, reply);
    state.identity.sessions.lock().unwrap_or_else(PoisonError::into_inner).insert(id, session);
}

fn malformed() -> Reply {
    service_error(400, "-20001", "The request could not be read.")
}
