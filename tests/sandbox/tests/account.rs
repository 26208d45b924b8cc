//! What stands between an owner and the photos, and what takes it away.
#![expect(unreachable_pub, dead_code, reason = "a test says what it claims by its name")]

mod client;

use client::Client;
use rollbook_sandbox::{Obstacle, Options, Sandbox};
use serde_json::{Value, json};

fn sandbox(obstacle: Obstacle) -> Sandbox {
    Sandbox::start(Options { obstacle, assets: 1, ..Options::default() })
}

fn setup(client: &mut Client, call: &str, body: &Value) -> Value {
    let url = format!("{}/setup/ws/1/{call}", client.endpoint);
    client.send("POST", &url, &[], body.to_string().as_bytes()).unwrap().json()
}

#[test]
fn each_obstacle_has_its_answer_at_the_password_and_goes_when_it_is_taken_away() {
    for (obstacle, status) in [
        (Obstacle::Locked, 403),
        (Obstacle::SecurityKey, 409),
        (Obstacle::Repair, 412),
        (Obstacle::RepairOnWeb, 412),
    ] {
        let sandbox = sandbox(obstacle);
        let mut client = Client::new(&sandbox);
        assert_eq!(client.prove(sandbox.password()).status, status, "{obstacle:?}");
        sandbox.set_obstacle(Obstacle::None);
        Client::signed_in(&sandbox);
    }
}

#[test]
fn a_notice_is_put_away_by_repair_unless_it_wants_the_web() {
    let sandbox = sandbox(Obstacle::Repair);
    let mut client = Client::new(&sandbox);
    client.prove(sandbox.password());
    assert_eq!(client.auth("POST", "/repair/complete", &json!({})).status, 200);
    assert_eq!(client.account_login().status, 200);
    sandbox.set_obstacle(Obstacle::RepairOnWeb);
    client.prove(sandbox.password());
    assert_eq!(client.auth("POST", "/repair/complete", &json!({})).status, 403);
}

#[test]
fn terms_region_and_web_access_stand_in_the_account_data() {
    for (obstacle, pointer, value) in [
        (Obstacle::Terms, "/termsUpdateNeeded", json!(true)),
        (Obstacle::OtherRegion, "/domainToUse", json!("iCloud.com.cn")),
        (Obstacle::WebAccessOff, "/dsInfo/isWebAccessAllowed", json!(false)),
    ] {
        let sandbox = sandbox(obstacle);
        let mut client = Client::new(&sandbox);
        client.prove(sandbox.password());
        assert_eq!(client.account_login().json().pointer(pointer), Some(&value), "{obstacle:?}");
    }
}

#[test]
fn protected_photos_are_given_out_with_consent_only() {
    let sandbox = Sandbox::start(Options { advanced_data_protection: true, assets: 1, ..Options::default() });
    let mut client = Client::signed_in(&sandbox);
    let photos = json!({"appName": "photos", "derivedFromUserAction": true});
    assert_eq!(client.ck("zones/list", &json!({})).status, 423);
    assert_eq!(setup(&mut client, "requestWebAccessState", &Value::Null)["isDeviceConsentedForPCS"], false);
    assert!(!sandbox.approve_consent(), "no device was asked");
    assert_ne!(setup(&mut client, "requestPCS", &photos)["status"], "success");
    setup(&mut client, "enableDeviceConsentForPCS", &json!({"appName": "photos"}));
    assert!(sandbox.approve_consent());
    assert_eq!(setup(&mut client, "requestPCS", &photos)["status"], "success");
    assert_eq!(client.ck("zones/list", &json!({})).status, 200);
    sandbox.lapse_consent_cookies();
    assert_eq!(client.ck("zones/list", &json!({})).status, 423);
    assert_eq!(setup(&mut client, "requestPCS", &photos)["status"], "success", "the consent stands");
    sandbox.lapse_consent();
    assert_ne!(setup(&mut client, "requestPCS", &photos)["status"], "success");
}

#[test]
fn after_five_wrong_codes_none_is_taken() {
    let sandbox = Sandbox::start(Options { two_factor: true, assets: 1, ..Options::default() });
    let mut client = Client::new(&sandbox);
    client.prove(sandbox.password());
    let mut enter = |code: &str| {
        let body = json!({"securityCode": {"code": code}});
        client.auth("POST", "/verify/trusteddevice/securitycode", &body).status
    };
    assert_eq!([0; 5].map(|_| enter("999999")), [400; 5]);
    assert_eq!(enter(&sandbox.two_factor_code()), 412);
}

#[test]
fn a_code_that_was_sent_to_a_phone_is_good_for_that_phone_only() {
    let sandbox = Sandbox::start(Options { two_factor: true, phones: 2, assets: 1, ..Options::default() });
    let mut client = Client::new(&sandbox);
    client.prove(sandbox.password());
    let phone = |id: u32| json!({"phoneNumber": {"id": id}, "mode": "sms"});
    assert_eq!(client.auth("PUT", "/verify/phone", &phone(5)).status, 400);
    assert_eq!(client.auth("PUT", "/verify/phone", &phone(4)).status, 200);
    let code = sandbox.two_factor_code();
    let mut enter = |path: &str, mut body: Value| {
        body["securityCode"] = json!({"code": code});
        client.auth("POST", path, &body).status
    };
    assert_eq!(enter("/verify/trusteddevice/securitycode", json!({})), 400);
    assert_eq!(enter("/verify/phone/securitycode", phone(3)), 400);
    assert_eq!(enter("/verify/phone/securitycode", phone(4)), 200);
}
