//! The control surface under `/_sandbox/`: what the library API offers, for other processes.
//!
//! GET `truth`, `counters`, `log`, `faults`, `code`, `assets`; POST `faults` (one fault or a list),
//! `clear_faults`, `release`, `reset_counters`, `expire_urls`, `expire_cookies`, `expire_sessions`,
//! `end_sign_ins`, `revoke_trust`, `obstacle`, `approve_consent`, `lapse_consent`, `library`. Not counted, never faulted.

use crate::fault::Fault;
use crate::http::{Call, Reply};
use crate::library::Change;
use crate::state::State;
use serde_json::{Value, json};

/// Answers a call to the control surface.
pub(crate) fn answer(state: &State, call: &Call) -> Reply {
    let what = call.path.strip_prefix("/_sandbox/").unwrap_or_default();
    match (call.method.as_str(), what) {
        ("GET", "truth") => return Reply::json(200, &state.truth()),
        ("GET", "counters") => return Reply::json(200, &state.books.counters()),
        ("GET", "log") => return Reply::json(200, &state.books.log()),
        ("GET", "faults") => return Reply::json(200, &state.faults.waiting()),
        ("GET", "code") => return Reply::json(200, &json!({"code": state.identity.code(&state.signer)})),
        ("GET", "assets") => return Reply::json(200, &state.asset_names()),
        ("POST", "faults") => return add_faults(state, call),
        ("POST", "library") => return change(state, call),
        ("POST", "clear_faults") => state.faults.clear(),
        ("POST", "release") => state.faults.release(),
        ("POST", "reset_counters") => state.books.reset(),
        ("POST", "expire_urls") => state.expire_urls(),
        ("POST", "expire_cookies") => state.identity.expire_cookies(),
        ("POST", "end_sign_ins") => state.identity.end_sign_ins(),
        ("POST", "approve_consent") => return Reply::json(200, &json!({"done": state.account.approve()})),
        ("POST", "lapse_consent") => state.account.lapse(),
        ("POST", "obstacle") => match serde_json::from_slice(&call.body) {
            Ok(obstacle) => state.account.set_obstacle(obstacle),
            Err(error) => return unreadable(&error),
        },
        ("POST", "expire_sessions") => state.identity.expire_sessions(),
        ("POST", "revoke_trust") => state.identity.revoke_trust(),
        _ => return Reply::json(404, &json!({"error": "no such control"})),
    }
    done()
}

fn done() -> Reply {
    Reply::json(200, &json!({"done": true}))
}

/// Adds one fault, or a list of them.
fn add_faults(state: &State, call: &Call) -> Reply {
    let is_list = call.body.trim_ascii_start().starts_with(b"[");
    let faults: serde_json::Result<Vec<Fault>> = if is_list {
        serde_json::from_slice(&call.body)
    } else {
        serde_json::from_slice(&call.body).map(|fault| vec![fault])
    };
    match faults {
        Ok(faults) => faults.into_iter().for_each(|fault| state.faults.add(fault)),
        Err(error) => return unreadable(&error),
    }
    done()
}

fn change(state: &State, call: &Call) -> Reply {
    let change: Change = match serde_json::from_slice(&call.body) {
        Ok(change) => change,
        Err(error) => return unreadable(&error),
    };
    match state.apply(&change) {
        Some(record) => Reply::json(200, &json!({"done": true, "record": record})),
        None => Reply::json(404, &json!({"done": false})),
    }
}

fn unreadable(error: &serde_json::Error) -> Reply {
    Reply::json(400, &Value::from(error.to_string()))
}
