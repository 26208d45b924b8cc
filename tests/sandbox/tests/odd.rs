//! Oddities and the other shapes a library can take.
#![expect(unreachable_pub, reason = "a test says what it claims by its name")]

mod client;

use client::Client;
use rollbook_sandbox::{ChecksumForm, Options, Sandbox};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[test]
fn every_oddity_is_served_beside_healthy_records() {
    let sandbox = Sandbox::start(Options { assets: 10, odd_records: true, ..Options::default() });
    let mut client = Client::signed_in(&sandbox);
    let (mut records, mut start) = (Vec::new(), 0);
    loop {
        let page = client.page("CPLAssetAndMasterByAssetDateWithoutHiddenOrDeleted", start);
        let here = page["records"].as_array().unwrap().clone();
        if here.is_empty() {
            break;
        }
        records.extend(here);
        start += 100;
    }
    let labels: BTreeSet<String> = sandbox.truth().into_iter().filter_map(|file| file.odd).collect();
    assert!(labels.len() > 150, "{} oddities", labels.len());
    let unreachable: BTreeSet<String> =
        sandbox.truth().into_iter().filter(|file| !file.is_reachable).filter_map(|file| file.odd).collect();
    assert!(unreachable.contains("download URL missing") && unreachable.contains("master without asset"));
    assert!(!unreachable.contains("name climbs out") && unreachable.len() < 30, "{unreachable:?}");
    let with = |test: &dyn Fn(&Value) -> bool| records.iter().filter(|record| test(record)).count();
    assert_eq!(with(&|record| record["serverErrorCode"].is_string()), 2);
    let is_kind = |kind: &'static str| move |record: &Value| record["recordType"] == kind;
    assert!(with(&is_kind("CPLAsset")) > 150 && with(&is_kind("CPLMaster")) > 150);
    assert!(with(&|record| record["fields"]["resOriginalRes"]["value"]["downloadURL"].is_null()) > 2);
    assert!(with(&|record| record["fields"].get("masterRef") == Some(&Value::Null)) == 1);
    let masters: Vec<&str> = records
        .iter()
        .filter_map(|record| record["fields"]["masterRef"]["value"]["recordName"].as_str())
        .collect();
    assert_eq!(masters.len() - masters.iter().collect::<BTreeSet<_>>().len(), 1, "two assets on one master");
}

#[test]
fn the_same_seed_makes_the_same_library_and_another_seed_another() {
    let truth = |seed| Sandbox::start(Options { seed, assets: 40, ..Options::default() }).truth();
    assert_eq!(truth(5), truth(5));
    let (five, six) = (truth(5), truth(6));
    assert!(five.iter().all(|file| six.iter().all(|other| other.sha256 != file.sha256)));
}

#[test]
fn zones_that_are_no_library_are_listed_too() {
    let sandbox = Sandbox::start(Options { assets: 2, odd_records: true, ..Options::default() });
    let mut client = Client::signed_in(&sandbox);
    let zones = client.ck("zones/list", &json!({})).json();
    assert_eq!(zones["zones"].as_array().unwrap().len(), 3);
    let query =
        |zone: &Value| json!({"query": {"recordType": "CheckIndexingState"}, "zoneID": zone["zoneID"]});
    let app = client.ck("records/query", &query(&zones["zones"][1]));
    assert_eq!((app.status, &app.json()["reason"]), (400, &json!("Index has invalid data")));
    let gone = client.ck("records/query", &query(&zones["zones"][2]));
    assert_eq!((gone.status, &zones["zones"][2]["deleted"]), (404, &json!(true)));
}

#[test]
fn names_collide_on_one_day() {
    let truth = Sandbox::start(Options { assets: 60, ..Options::default() }).truth();
    let originals = truth.iter().filter(|file| format!("{:?}", file.rendition) == "Original");
    let names: Vec<_> = originals.map(|file| (&file.filename, file.captured_ms / 86_400_000)).collect();
    assert!(names.iter().collect::<BTreeSet<_>>().len() < names.len());
}

#[test]
fn a_shared_library_lives_in_the_shared_database() {
    let sandbox = Sandbox::start(Options { assets: 20, shared_zone: true, ..Options::default() });
    let mut client = Client::signed_in(&sandbox);
    let call = |client: &mut Client, path: &str, body: Value| {
        let url = format!("{}/database/1/com.apple.photos.cloud/production/shared/{path}", client.cloudkit);
        client.send("POST", &url, &[], body.to_string().as_bytes()).unwrap()
    };
    let zones = call(&mut client, "zones/list", json!({})).json();
    let zone = zones["zones"][0]["zoneID"].clone();
    assert!(zone["zoneName"].as_str().unwrap().starts_with("SharedSync-"));
    let query = |index: &str, extra: Value| {
        let equals = |name: &str, value: Value| json!({"fieldName": name, "fieldValue": {"value": value}, "comparator": "EQUALS"});
        let filters = [
            equals("startRank", json!(0)),
            equals("direction", json!("ASCENDING")),
            equals("smartAlbum", extra),
        ];
        json!({"query": {"recordType": index, "filterBy": filters}, "resultsLimit": 200, "zoneID": zone, "desiredKeys": ["assetDate"]})
    };
    let listed = call(
        &mut client,
        "records/query",
        query("CPLAssetAndMasterByAssetDateWithoutHiddenOrDeleted", Value::Null),
    )
    .json();
    assert_eq!(listed["records"].as_array().unwrap().len(), 12);
    let mine: BTreeSet<_> =
        client.list().iter().map(|record| record["recordName"].clone().to_string()).collect();
    let twice = listed["records"].as_array().unwrap().iter();
    assert_eq!(
        twice.filter(|record| mine.contains(&record["recordName"].to_string())).count(),
        2,
        "own masters in both"
    );
    assert!(listed["syncToken"].is_null(), "no token unless it is asked for");
    assert!(
        listed["records"][0]["fields"].as_object().unwrap().is_empty(),
        "only the keys that were asked for"
    );
    let videos =
        call(&mut client, "records/query", query("CPLAssetAndMasterInSmartAlbumByAssetDate", json!("VIDEO")));
    assert_eq!((videos.status, &videos.json()["serverErrorCode"]), (400, &json!("BAD_REQUEST")));
    let missing =
        call(&mut client, "records/lookup", json!({"records": [], "zoneID": {"zoneName": "PrimarySync"}}));
    assert_eq!((missing.status, &missing.json()["serverErrorCode"]), (404, &json!("ZONE_NOT_FOUND")));
}

#[test]
fn what_the_service_refuses_is_refused() {
    let sandbox = Sandbox::start(Options { assets: 2, ..Options::default() });
    let mut client = Client::signed_in(&sandbox);
    let zone = json!({"zoneName": "PrimarySync"});
    let direct = client.ck("records/query", &json!({"query": {"recordType": "CPLMaster"}, "zoneID": zone}));
    assert_eq!((direct.status, &direct.json()["reason"]), (400, &json!("Type is not marked indexable")));
    let names: Vec<Value> = (0..201).map(|at| json!({"recordName": at.to_string()})).collect();
    assert_eq!(client.ck("records/lookup", &json!({"records": names, "zoneID": zone})).status, 400);
    let state =
        client.ck("records/query", &json!({"query": {"recordType": "CheckIndexingState"}, "zoneID": zone}));
    assert_eq!(state.json()["records"][0]["fields"]["state"]["value"], "FINISHED");
    let filter = json!({"fieldName": "indexCountID", "fieldValue": {"type": "STRING_LIST", "value": ["CPLAssetByAssetDateWithoutHiddenOrDeleted"]}, "comparator": "IN"});
    let batch =
        json!([{"query": {"recordType": "HyperionIndexCountLookup", "filterBy": filter}, "zoneID": zone}]);
    let count = client.ck("internal/records/query/batch", &json!({"batch": batch})).json();
    assert_eq!(count["batch"][0]["records"][0]["fields"]["itemCount"]["value"], 2);
    client.cookies.clear();
    assert_eq!(client.ck("zones/list", &json!({})).status, 421);
}

#[test]
fn a_large_video_and_other_checksum_forms() {
    let options = Options {
        assets: 1,
        large_video_mb: Some(8),
        checksum_form: ChecksumForm::Sha256_33,
        ..Options::default()
    };
    let sandbox = Sandbox::start(options);
    let large = sandbox.truth().into_iter().find(|file| file.size >= 8 << 20).unwrap();
    assert_eq!((large.size, large.checksum.len()), (8 << 20, 44));
    let mut client = Client::signed_in(&sandbox);
    let records = client.list();
    let master = records.iter().find(|record| record["recordName"] == large.master_record.as_str()).unwrap();
    let url = master["fields"]["resOriginalRes"]["value"]["downloadURL"].as_str().unwrap();
    let tail = client.send("GET", url, &[("range", "bytes=8388600-")], &[]).unwrap();
    assert_eq!((tail.status, tail.body.len()), (206, 8));
}
