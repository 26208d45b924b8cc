//! The second factor: a code on a device or by SMS, and the trust that spares the next one.

use super::{Session, service_error};
use crate::http::{Call, Reply};
use crate::state::State;
use serde_json::{Value, json};

/// The one phone that can be sent an SMS.
const PHONE_ID: u64 = 3;

/// The page that lists the phones, as HTML with JSON inside.
pub(super) fn boot_page() -> Reply {
    let arguments = json!({"direct": {
        "authInitialRoute": "auth/verify/device",
        "hasTrustedDevices": true,
        "twoSV": {
            "authFactors": ["web_piggybacking", "trusteddevice", "phone"],
            "phoneNumberVerification": {"trustedPhoneNumbers": [phone()]},
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
    state.identity.push_code();
    Reply::json(202, &json!({"trustedDeviceCount": 1, "securityCode": {"length": 6}}))
}

/// Sends a new code by SMS.
pub(super) fn send_sms(state: &State, call: &Call) -> Reply {
    let body = call.json().unwrap_or_default();
    if body["phoneNumber"]["id"] != PHONE_ID || body["mode"] != "sms" {
        return service_error(400, "-21670", "There is no such phone.");
    }
    state.identity.push_code();
    Reply::json(200, &json!({"trustedPhoneNumbers": [phone()], "securityCode": {"length": 6}, "mode": "sms"}))
}

/// Takes the code a device showed.
pub(super) fn enter_code(state: &State, call: &Call, session: &mut Session) -> Reply {
    take(state, &call.json().unwrap_or_default(), session, Reply::empty(204))
}

/// Takes the code an SMS brought.
pub(super) fn enter_sms(state: &State, call: &Call, session: &mut Session) -> Reply {
    let body = call.json().unwrap_or_default();
    if body["phoneNumber"]["id"] != PHONE_ID || body["mode"] != "sms" {
        return service_error(400, "-21670", "There is no such phone.");
    }
    let accepted = json!({"trustedPhoneNumbers": [phone()], "securityCode": {"valid": true}});
    take(state, &body, session, Reply::json(200, &accepted))
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

fn take(state: &State, body: &Value, session: &mut Session, accepted: Reply) -> Reply {
    let is_right = body["securityCode"]["code"].as_str() == Some(state.identity.code(&state.signer).as_str());
    if !session.is_password_proven {
        return service_error(401, "-20528", "Sign in first.");
    }
    if !is_right {
        return service_error(400, "-21669", "Incorrect verification code.");
    }
    session.is_code_proven = true;
    accepted
}

fn phone() -> Value {
    json!({
        "id": PHONE_ID,
        "obfuscatedNumber": "(•••) •••-••42",
        "numberWithDialCode": "+1 (•••) •••-••42",
        "pushMode": "sms",
        "lastTwoDigits": "42",
    })
}
