//! Deltas: what happened to the library since a token.
#![expect(unreachable_pub, reason = "a test says what it claims by its name")]

mod client;

use client::Client;
use rollbook_sandbox::{Kind, Options, Sandbox};
use serde_json::{Value, json};

fn zone_page(client: &mut Client, token: Option<&str>) -> Value {
    let mut zone = json!({"zoneID": {"zoneName": "PrimarySync"}, "resultsLimit": 200});
    if let Some(token) = token {
        zone["syncToken"] = token.into();
    }
    client.ck("changes/zone", &json!({"zones": [zone]})).json()["zones"][0].clone()
}

/// Walks to the end; returns all records, the last token, and the number of empty pages with more behind.
fn walk(client: &mut Client, mut token: Option<String>) -> (Vec<Value>, String, usize) {
    let (mut records, mut empty) = (Vec::new(), 0);
    loop {
        let page = zone_page(client, token.as_deref());
        let here = page["records"].as_array().unwrap().clone();
        token = Some(page["syncToken"].as_str().unwrap().to_owned());
        if page["moreComing"] == false {
            records.extend(here);
            return (records, token.unwrap(), empty);
        }
        empty += usize::from(here.is_empty());
        records.extend(here);
    }
}

#[test]
fn a_token_brings_what_changed_since_and_nothing_else() {
    let sandbox = Sandbox::start(Options { assets: 30, empty_change_pages: 3, ..Options::default() });
    let mut client = Client::signed_in(&sandbox);
    let page = client.page("CPLAssetAndMasterByAssetDateWithoutHiddenOrDeleted", 0);
    let token = page["syncToken"].as_str().unwrap().to_owned();
    assert!(walk(&mut client, Some(token.clone())).0.is_empty());

    let library = sandbox.library();
    let assets = library.assets();
    let added = library.add_asset(Kind::Live);
    assert!(library.edit_asset(&assets[3]) && library.delete_asset(&assets[4]) && library.purge(&assets[5]));
    assert!(library.set_favorite(&assets[6], true) && library.hide(&assets[7]) && !library.hide("nobody"));
    let (records, end, empty) = walk(&mut client, Some(token));
    assert_eq!(empty, 3, "empty pages do not end a walk");
    let of = |name: &str| records.iter().find(|record| record["recordName"] == name).unwrap();
    assert_eq!(of(&added)["recordType"], "CPLAsset");
    assert!(of(&assets[3])["fields"]["adjustmentType"]["value"].is_string());
    assert_eq!(of(&assets[4])["fields"]["isDeleted"]["value"], 1);
    assert_eq!((&of(&assets[5])["deleted"], &of(&assets[5])["recordType"]), (&json!(true), &Value::Null));
    assert_eq!(of(&assets[6])["fields"]["isFavorite"]["value"], 1);
    assert_eq!(of(&assets[7])["fields"]["isHidden"]["value"], 1);
    assert_eq!(records.len(), 6 + 3, "new, deleted and purged assets bring their masters");
    assert!(walk(&mut client, Some(end)).0.is_empty());
}

#[test]
fn no_token_means_the_whole_history_and_an_empty_one_none_of_it() {
    let sandbox = Sandbox::start(Options { assets: 150, ..Options::default() });
    let mut client = Client::signed_in(&sandbox);
    assert_eq!(walk(&mut client, None).0.len(), 300);
    let page = zone_page(&mut client, Some(""));
    assert_eq!((page["records"].as_array().unwrap().len(), &page["moreComing"]), (0, &json!(false)));
}

#[test]
fn errors_of_a_zone_stand_inside_200() {
    let sandbox = Sandbox::start(Options::default());
    let mut client = Client::signed_in(&sandbox);
    assert_eq!(zone_page(&mut client, Some("nonsense"))["serverErrorCode"], "BAD_REQUEST");
    let database = client.ck("changes/database", &json!({})).json();
    assert_eq!(database["zones"][0]["zoneID"]["zoneName"], "PrimarySync");
    let token = database["syncToken"].as_str().unwrap();
    assert_eq!(
        zone_page(&mut client, Some(token))["serverErrorCode"],
        "BAD_REQUEST",
        "a token of another kind"
    );
    let idle = client.ck("changes/database", &json!({"syncToken": token})).json();
    assert_eq!(idle["zones"], json!([]));
    assert_ne!(idle["syncToken"], token);
    sandbox.library().add_asset(Kind::Jpeg);
    let busy = client.ck("changes/database", &json!({"syncToken": token})).json();
    assert_eq!(busy["zones"].as_array().unwrap().len(), 1);
}

#[test]
fn a_client_may_delete_with_the_right_tag_only() {
    let sandbox = Sandbox::start(Options { assets: 3, ..Options::default() });
    let mut client = Client::signed_in(&sandbox);
    let asset = client.list().into_iter().find(|record| record["recordType"] == "CPLAsset").unwrap();
    let delete = |tag: &Value| {
        let record = json!({"recordName": asset["recordName"], "recordType": "CPLAsset", "recordChangeTag": tag, "fields": {"isDeleted": {"value": 1}}});
        json!({"atomic": true, "operations": [{"operationType": "update", "record": record}], "zoneID": {"zoneName": "PrimarySync"}})
    };
    let stale = client.ck("records/modify", &delete(&json!("old"))).json();
    assert_eq!(stale["records"][0]["serverErrorCode"], "CONFLICT");
    let done = client.ck("records/modify", &delete(&asset["recordChangeTag"])).json();
    assert_ne!(done["records"][0]["recordChangeTag"], asset["recordChangeTag"]);
    assert!(done["records"][0]["expirationTime"].is_u64());
    assert_eq!(client.list().len(), 4);
    assert_eq!(
        client.page("CPLAssetAndMasterDeletedByExpungedDate", 0)["records"].as_array().unwrap().len(),
        2
    );
}
