//! Account set-up: turns a session token into cookies, and says where the services live.

use crate::account::Obstacle;
use crate::encode::base64url;
use crate::http::{Call, Reply};
use crate::state::{Facade, State};
use serde_json::{Value, json};

/// Cookies without which protected photos are not given out.
pub(crate) const PROTECTED_COOKIES: [&str; 2] = ["X-APPLE-WEBAUTH-PCS-Photos", "X-APPLE-WEBAUTH-PCS-Sharing"];
/// Life of a device's consent, as users report it.
const CONSENT_LIFE_S: u64 = 3_600;

/// Answers a call to `/setup/ws/1/…`.
pub(crate) fn answer(state: &State, call: &Call) -> Reply {
    match call.path.strip_prefix("/setup/ws/1/").unwrap_or_default() {
        "validate" => validate(state, call),
        "accountLogin" => account_login(state, call),
        "requestWebAccessState" => signed_in(state, call, web_access_state),
        "enableDeviceConsentForPCS" => signed_in(state, call, ask_consent),
        "requestPCS" => signed_in(state, call, request_pcs),
        "logout" => Reply::json(200, &json!({"success": true})),
        _ => Reply::json(404, &json!({"success": false, "error": "no such call"})),
    }
}

fn validate(state: &State, call: &Call) -> Reply {
    if state.identity.is_signed_in(&state.signer, call) {
        return Reply::json(200, &account_data(state, &state.facade(call), true));
    }
    let body = json!({"success": false, "error": "Missing X-APPLE-WEBAUTH-TOKEN cookie", "trustTokens": []});
    Reply::json(421, &body).with("x-apple-i-rscd", "421")
}

fn account_login(state: &State, call: &Call) -> Reply {
    let body = call.json().unwrap_or_default();
    let token = body["dsWebAuthToken"].as_str().unwrap_or_default();
    if !state.identity.is_session_token(&state.signer, token) {
        let body = json!({"success": false, "error": "Invalid Session Token"});
        return Reply::json(421, &body).with("x-apple-i-rscd", "421");
    }
    let trust = body["trustToken"].as_str().unwrap_or_default();
    let is_trusted = !state.options.two_factor || state.identity.is_trust_token(&state.signer, trust);
    if state.account.obstacle() == Obstacle::OtherRegion {
        return Reply::json(200, &json!({"domainToUse": "iCloud.com.cn"}));
    }
    let facade = state.facade(call);
    let mut reply = Reply::json(200, &account_data(state, &facade, is_trusted));
    set_cookies(state, &facade, is_trusted, &mut reply);
    reply
}

fn signed_in(state: &State, call: &Call, answer: fn(&State, &Call) -> Reply) -> Reply {
    if !state.identity.is_signed_in(&state.signer, call) {
        return Reply::json(421, &json!({"success": false, "error": "Missing X-APPLE-WEBAUTH-TOKEN cookie"}));
    }
    answer(state, call)
}

/// Whether the recovery service is off, which is what Advanced Data Protection does, and whether a
/// device has consented all the same.
fn web_access_state(state: &State, _: &Call) -> Reply {
    let is_protected = state.options.advanced_data_protection;
    let body = json!({
        "isICDRSDisabled": is_protected,
        "isDeviceConsentedForPCS": !is_protected || state.account.is_consented(),
    });
    Reply::json(200, &body)
}

fn ask_consent(state: &State, _: &Call) -> Reply {
    state.account.ask_consent();
    Reply::json(200, &json!({"isDeviceConsentNotificationSent": true}))
}

fn request_pcs(state: &State, call: &Call) -> Reply {
    if state.options.advanced_data_protection && !state.account.is_consented() {
        let message = "Requested the device to upload cookies.";
        return Reply::json(200, &json!({"status": "pending", "message": message}));
    }
    let body = json!({
        "isWebAccessAllowed": true,
        "isDeviceConsentedForPCS": true,
        "deviceConsentForPCSExpiry": (state.now_s() + CONSENT_LIFE_S) * 1000,
        "status": "success",
        "message": "Cookies attached.",
    });
    let mut reply = Reply::json(200, &body);
    set_protected_cookies(state, &state.facade(call), &mut reply);
    reply
}

fn account_data(state: &State, facade: &Facade, is_trusted: bool) -> Value {
    let obstacle = state.account.obstacle();
    json!({
        "dsInfo": {
            "dsid": "123456789",
            "hsaVersion": 2,
            "hasICloudQualifyingDevice": true,
            "isWebAccessAllowed": obstacle != Obstacle::WebAccessOff,
            "fullName": "Sandbox User",
            "countryCode": "USA",
        },
        "hsaChallengeRequired": !is_trusted,
        "hsaTrustedBrowser": is_trusted,
        "iCDPEnabled": false,
        "termsUpdateNeeded": obstacle == Obstacle::Terms,
        "webservices": {"ckdatabasews": {"url": facade.cloudkit, "status": "active", "pcsRequired": true}},
    })
}

fn set_cookies(state: &State, facade: &Facade, is_trusted: bool, reply: &mut Reply) {
    let scope = scope(facade);
    let web = state.identity.web_cookie(&state.signer, is_trusted);
    let fixed = |name: &str| base64url(&state.signer.mac("cookie", name.as_bytes())[..18]);
    for name in ["X-APPLE-WEBAUTH-USER", "X-APPLE-WEBAUTH-VALIDATE", "X-APPLE-DS-WEB-SESSION-TOKEN"] {
        reply.add_cookie(&format!("{name}=\"{}\"; {scope}", fixed(name)));
    }
    if !state.options.advanced_data_protection {
        set_protected_cookies(state, facade, reply);
    }
    if let Some(days) = state.options.trust_days.filter(|_| is_trusted && state.options.two_factor) {
        let name = "X-APPLE-WEBAUTH-HSA-TRUST";
        let seconds = days * 86_400;
        reply.add_cookie(&format!("{name}=\"{}\"; Max-Age={seconds}; {scope}", fixed(name)));
    }
    reply.add_cookie(&format!("X-APPLE-WEBAUTH-TOKEN=\"{web}\"; Max-Age=5184000; {scope}"));
}

fn set_protected_cookies(state: &State, facade: &Facade, reply: &mut Reply) {
    let value = state.signer.seal("pcs", &state.account.consent_generation());
    for name in PROTECTED_COOKIES {
        reply.add_cookie(&format!("{name}=\"{value}\"; {}", scope(facade)));
    }
}

fn scope(facade: &Facade) -> String {
    // `Secure` would keep a client from sending them back over plain HTTP.
    match facade.cookie_domain {
        Some(domain) => format!("Path=/; Domain={domain}; Secure; HttpOnly"),
        None => "Path=/; HttpOnly".to_owned(),
    }
}
