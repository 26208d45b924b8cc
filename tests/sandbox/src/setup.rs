//! Account set-up: turns a session token into cookies, and says where the services live.

use crate::http::{Call, Reply};
use crate::state::{Facade, State};
use serde_json::{Value, json};

/// Answers a call to `/setup/ws/1/…`.
pub(crate) fn answer(state: &State, call: &Call) -> Reply {
    match call.path.strip_prefix("/setup/ws/1/").unwrap_or_default() {
        "validate" => validate(state, call),
        "accountLogin" => account_login(state, call),
        "requestWebAccessState" => {
            Reply::json(200, &json!({"isICDRSDisabled": false, "isICDRSConsentNeeded": false}))
        }
        "requestPCS" => request_pcs(state, call),
        "logout" => Reply::json(200, &json!({"success": true})),
        _ => Reply::json(404, &json!({"success": false, "error": "no such call"})),
    }
}

fn validate(state: &State, call: &Call) -> Reply {
    if state.identity.is_signed_in(&state.signer, call) {
        return Reply::json(200, &account_data(&state.facade(call), true));
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
    let facade = state.facade(call);
    let mut reply = Reply::json(200, &account_data(&facade, is_trusted));
    set_cookies(state, &facade, is_trusted, &mut reply);
    reply
}

fn request_pcs(state: &State, call: &Call) -> Reply {
    if !state.identity.is_signed_in(&state.signer, call) {
        return Reply::json(421, &json!({"success": false, "error": "Missing X-APPLE-WEBAUTH-TOKEN cookie"}));
    }
    Reply::json(200, &json!({"status": "success", "message": "Cookies attached."}))
}

fn account_data(facade: &Facade, is_trusted: bool) -> Value {
    json!({
        "dsInfo": {
            "dsid": "123456789",
            "hsaVersion": 2,
            "hasICloudQualifyingDevice": true,
            "isWebAccessAllowed": true,
            "fullName": "Sandbox User",
            "countryCode": "USA",
        },
        "hsaChallengeRequired": !is_trusted,
        "hsaTrustedBrowser": is_trusted,
        "iCDPEnabled": false,
        "termsUpdateNeeded": false,
        "webservices": {"ckdatabasews": {"url": facade.cloudkit, "status": "active", "pcsRequired": true}},
    })
}

fn set_cookies(state: &State, facade: &Facade, is_trusted: bool, reply: &mut Reply) {
    let web = state.identity.web_cookie(&state.signer, is_trusted);
    // `Secure` would keep a client from sending them back over plain HTTP.
    let scope = match facade.cookie_domain {
        Some(domain) => format!("Path=/; Domain={domain}; Secure; HttpOnly"),
        None => "Path=/; HttpOnly".to_owned(),
    };
    let fixed = |name: &str| crate::encode::base64url(&state.signer.mac("cookie", name.as_bytes())[..18]);
    for name in ["X-APPLE-WEBAUTH-USER", "X-APPLE-WEBAUTH-VALIDATE", "X-APPLE-DS-WEB-SESSION-TOKEN"] {
        reply.add_cookie(&format!("{name}=\"{}\"; {scope}", fixed(name)));
    }
    for name in ["X-APPLE-WEBAUTH-PCS-Photos", "X-APPLE-WEBAUTH-PCS-Sharing"] {
        reply.add_cookie(&format!("{name}=\"{}\"; {scope}", fixed(name)));
    }
    reply.add_cookie(&format!("X-APPLE-WEBAUTH-TOKEN=\"{web}\"; Max-Age=5184000; {scope}"));
}
