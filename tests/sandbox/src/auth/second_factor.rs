//! The second factor: a code on a device or by SMS, and the trust that spares the next one.

use super::{Session, service_error};
use crate::http::{Call, Reply};
use crate::state::State;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// The first phone that can be sent an SMS. Apple does not count from 1.
const PHONE_ID_FIRST: u64 = 3;
/// Wrong codes after which no code is taken any more, until a right one would have come.
const CODES_REFUSED_MAX: u32 = 5;

/// The page that lists the phones, as HTML with JSON inside.
pub(super) fn boot_page(state: &State) -> Reply {
    let arguments = json!({"direct": {
        "authInitialRoute": "auth/verify/device",
        "hasTrustedDevices": true,
        "twoSV": {
            "authFactors": ["web_piggybacking", "trusteddevice", "phone"],
            "phoneNumberVerification": {"trustedPhoneNumbers": phones(state)},
        },
    }});
    let page = format!(
        "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>\n\
         <script type=\"application/json\" class=\"boot_args\">{arguments}</script>\n</body></html>\n"
    );
    Reply::new(200, "text/html;charset=UTF-8", page)
}

/// Pushes a new code to the devices.
pub(super) fn push(state: &State) -> Reply {
    state.identity.send_code(None);
    Reply::json(202, &json!({"trustedDeviceCount": 1, "securityCode": {"length": 6}}))
}

/// Sends a new code by SMS.
pub(super) fn send_sms(state: &State, call: &Call) -> Reply {
    let body = call.json().unwrap_or_default();
    let Some(phone) = phone_of(state, &body) else { return no_such_phone() };
    state.identity.send_code(Some(phone));
    let body = json!({"trustedPhoneNumbers": phones(state), "securityCode": {"length": 6}, "mode": "sms"});
    Reply::json(200, &body)
}

/// Takes the code a device showed.
pub(super) fn enter_code(state: &State, call: &Call, session: &mut Session) -> Reply {
    take(state, &call.json().unwrap_or_default(), None, session, Reply::empty(204))
}

/// Takes the code an SMS brought.
pub(super) fn enter_sms(state: &State, call: &Call, session: &mut Session) -> Reply {
    let body = call.json().unwrap_or_default();
    let Some(phone) = phone_of(state, &body) else { return no_such_phone() };
    let accepted = json!({"trustedPhoneNumbers": phones(state), "securityCode": {"valid": true}});
    take(state, &body, Some(phone), session, Reply::json(200, &accepted))
}

/// Trusts the browser that proved its code.
pub(super) fn trust(state: &State, session: &mut Session) -> Reply {
    if !session.is_code_proven {
        return service_error(401, "-20101", "A verification code is needed first.");
    }
    Reply::empty(204)
        .with("x-apple-twosv-trust-token", &state.identity.trust_token(&state.signer))
        .with("x-apple-session-token", &state.identity.session_token(&state.signer))
}

fn take(state: &State, body: &Value, phone: Option<u64>, session: &mut Session, accepted: Reply) -> Reply {
    if !session.is_password_proven {
        return service_error(401, "-20528", "Sign in first.");
    }
    let refused = &state.identity.codes_refused;
    if refused.load(Ordering::Relaxed) >= CODES_REFUSED_MAX {
        return too_many_codes();
    }
    if !state.identity.is_code(&state.signer, body["securityCode"]["code"].as_str(), phone) {
        refused.fetch_add(1, Ordering::Relaxed);
        return service_error(400, "-21669", "Incorrect verification code.");
    }
    refused.store(0, Ordering::Relaxed);
    session.is_code_proven = true;
    accepted
}

/// No more codes are taken for a while.
fn too_many_codes() -> Reply {
    let body = json!({
        "securityCode": {"length": 6, "tooManyCodesValidated": true, "securityCodeLocked": true},
        "service_errors": [{"code": "-22979", "message": "Too many verification codes were entered. Try again later."}],
        "hasError": true,
    });
    Reply::json(412, &body).with("x-apple-i-ercd", "-22979")
}

/// The phone that a body names, if it can be sent an SMS.
fn phone_of(state: &State, body: &Value) -> Option<u64> {
    let id = body["phoneNumber"]["id"].as_u64().filter(|_| body["mode"] == "sms")?;
    (PHONE_ID_FIRST..PHONE_ID_FIRST + u64::from(state.options.phones)).contains(&id).then_some(id)
}

fn no_such_phone() -> Reply {
    service_error(400, "-21670", "There is no such phone.")
}

fn phones(state: &State) -> Vec<Value> {
    let phone = |nth: u32| {
        let last = 42 + nth;
        json!({
            "id": PHONE_ID_FIRST + u64::from(nth),
            "obfuscatedNumber": format!("(•••) •••-••{last}"),
            "numberWithDialCode": format!("+1 (•••) •••-••{last}"),
            "pushMode": "sms",
            "lastTwoDigits": last.to_string(),
        })
    };
    (0..state.options.phones).map(phone).collect()
}
