//! Sessions, trust and codes: what a client keeps, and how long it stands.
#![expect(unreachable_pub, dead_code, reason = "a test says what it claims by its name")]

mod client;

use client::Client;
use rollbook_sandbox::{Options, Protocol, Sandbox};
use serde_json::{Value, json};

fn wary() -> Sandbox {
    Sandbox::start(Options { two_factor: true, assets: 2, ..Options::default() })
}

/// Signs in with a code, and trusts the browser.
fn trusted(sandbox: &Sandbox) -> Client {
    let mut client = Client::new(sandbox);
    assert_eq!(client.prove(sandbox.password()).status, 409);
    let code = json!({"securityCode": {"code": sandbox.two_factor_code()}});
    assert_eq!(client.auth("POST", "/verify/trusteddevice/securitycode", &code).status, 204);
    assert_eq!(client.auth("GET", "/2sv/trust", &Value::Null).status, 204);
    assert_eq!(client.account_login().status, 200);
    client
}

fn zones_status(client: &mut Client) -> u16 {
    client.ck("zones/list", &json!({})).status
}

#[test]
fn both_protocols_and_a_salt_of_leading_zeros_sign_in() {
    for protocol in [Protocol::S2k, Protocol::S2kFo] {
        for salt in [vec![0; 16], vec![0, 0, 7, 8, 9], (1..17).collect()] {
            let sandbox = Sandbox::start(Options { protocol, salt, assets: 1, ..Options::default() });
            Client::signed_in(&sandbox);
        }
    }
}

#[test]
fn a_wrong_password_is_named_as_such() {
    let sandbox = Sandbox::start(Options::default());
    let mut client = Client::new(&sandbox);
    let answer = client.prove("wrong");
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json()["serviceErrors"][0]["code"], "-20101");
}

#[test]
fn without_a_code_nothing_is_read() {
    let sandbox = wary();
    let mut client = Client::new(&sandbox);
    assert_eq!(client.prove(sandbox.password()).status, 409);
    let account = client.account_login().json();
    assert_eq!(
        (&account["hsaChallengeRequired"], &account["hsaTrustedBrowser"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(zones_status(&mut client), 421);
    let wrong = client.auth(
        "POST",
        "/verify/trusteddevice/securitycode",
        &json!({"securityCode": {"code": "999999"}}),
    );
    assert_eq!((wrong.status, &wrong.json()["service_errors"][0]["code"]), (400, &json!("-21669")));
    assert_eq!(client.auth("GET", "/2sv/trust", &Value::Null).status, 401);
}

#[test]
fn a_new_push_voids_the_code_before_it() {
    let sandbox = wary();
    let mut client = Client::new(&sandbox);
    client.prove(sandbox.password());
    let old = sandbox.two_factor_code();
    assert_eq!(client.auth("PUT", "/verify/trusteddevice/securitycode", &Value::Null).status, 202);
    assert_ne!(sandbox.two_factor_code(), old);
    assert!(old.starts_with('0'));
    let late =
        client.auth("POST", "/verify/trusteddevice/securitycode", &json!({"securityCode": {"code": old}}));
    assert_eq!(late.status, 400);
}

#[test]
fn an_sms_code_signs_in_too() {
    let sandbox = wary();
    let mut client = Client::new(&sandbox);
    client.prove(sandbox.password());
    let page = String::from_utf8(client.auth("GET", "", &Value::Null).body).unwrap();
    let (_, rest) = page.split_once("class=\"boot_args\">").unwrap();
    let boot: Value = serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap();
    let phone = &boot["direct"]["twoSV"]["phoneNumberVerification"]["trustedPhoneNumbers"][0]["id"];
    assert_eq!(
        client.auth("PUT", "/verify/phone", &json!({"phoneNumber": {"id": phone}, "mode": "sms"})).status,
        200
    );
    let body = json!({"phoneNumber": {"id": phone}, "securityCode": {"code": sandbox.two_factor_code()}, "mode": "sms"});
    assert_eq!(client.auth("POST", "/verify/phone/securitycode", &body).status, 200);
    assert_eq!(client.auth("GET", "/2sv/trust", &Value::Null).status, 204);
    client.account_login();
    assert_eq!(zones_status(&mut client), 200);
}

#[test]
fn trust_outlives_sessions_and_the_process_until_it_is_revoked() {
    let sandbox = wary();
    let mut client = trusted(&sandbox);
    assert_eq!(zones_status(&mut client), 200);
    sandbox.expire_sessions();
    assert_eq!(zones_status(&mut client), 421);
    assert_eq!(client.account_login().status, 421);
    assert_eq!(client.prove(sandbox.password()).status, 200, "the trust token spares the code");
    client.account_login();
    assert_eq!(zones_status(&mut client), 200);

    let second = wary();
    let mut again = Client::new(&second);
    again.trust_token = client.trust_token.clone();
    assert_eq!(again.prove(second.password()).status, 200, "the same seed, another process");

    sandbox.revoke_trust();
    assert_eq!(client.prove(sandbox.password()).status, 409);
}

#[test]
fn validate_knows_a_live_session() {
    let sandbox = Sandbox::start(Options::default());
    let mut client = Client::signed_in(&sandbox);
    let url = format!("{}/setup/ws/1/validate", client.endpoint);
    assert_eq!(client.send("POST", &url, &[], b"null").unwrap().json()["dsInfo"]["hsaVersion"], 2);
    client.cookies.clear();
    let stranger = client.send("POST", &url, &[], b"null").unwrap();
    assert_eq!((stranger.status, &stranger.json()["dsInfo"]), (421, &Value::Null));
}
