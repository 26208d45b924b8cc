//! The healthy walk: sign in, list, download, and find every byte where the truth says it is.
#![expect(unreachable_pub, reason = "a test says what it claims by its name")]

mod client;

use client::Client;
use rollbook_sandbox::{Endpoint, Options, Sandbox};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn renditions(records: &[Value]) -> BTreeMap<(String, String), Value> {
    let mut found = BTreeMap::new();
    let by_name: BTreeMap<&str, &Value> =
        records.iter().map(|record| (record["recordName"].as_str().unwrap(), record)).collect();
    for asset in records.iter().filter(|record| record["recordType"] == "CPLAsset") {
        let name = asset["recordName"].as_str().unwrap();
        let master = by_name[asset["fields"]["masterRef"]["value"]["recordName"].as_str().unwrap()];
        for record in [asset, master] {
            for (field, value) in record["fields"].as_object().unwrap() {
                if let Some(rendition) = field.strip_prefix("res").and_then(|rest| rest.strip_suffix("Res")) {
                    found.insert((name.to_owned(), rendition.to_owned()), value["value"].clone());
                }
            }
        }
    }
    found
}

#[test]
fn a_client_that_signs_in_lists_and_downloads_holds_the_truth() {
    let sandbox =
        Sandbox::start(Options { assets: 130, seed: 7, mean_size_bytes: Some(6_000), ..Options::default() });
    let mut client = Client::signed_in(&sandbox);
    let files = renditions(&client.list());
    let truth = sandbox.truth();
    assert!(truth.len() > 180);
    for file in &truth {
        let key = (file.asset_record.clone(), format!("{:?}", file.rendition));
        let value = &files[&key];
        assert_eq!(value["fileChecksum"], file.checksum.as_str());
        assert_eq!(value["size"], file.size);
        let answer = client.send("GET", value["downloadURL"].as_str().unwrap(), &[], &[]).unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(hex(&Sha256::digest(&answer.body)), file.sha256, "{key:?}");
    }
    let counters = sandbox.counters();
    assert_eq!(counters.of(Endpoint::Cdn), truth.len() as u64);
    assert_eq!(counters.cdn_bytes, truth.iter().map(|file| file.size).sum::<u64>());
    assert_eq!(counters.of(Endpoint::RecordsQuery), 3);
}

#[test]
fn masters_come_first_and_the_newest_first_of_all() {
    let sandbox = Sandbox::start(Options::default());
    let mut client = Client::signed_in(&sandbox);
    let page = client.page("CPLAssetAndMasterByAssetDateWithoutHiddenOrDeleted", 0);
    let kinds: Vec<&str> = page["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["recordType"].as_str().unwrap())
        .collect();
    assert!(kinds.is_sorted_by(|a, b| a >= b), "masters, then assets");
    let dates: Vec<i64> = page["records"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|record| record["fields"]["assetDate"]["value"].as_i64())
        .collect();
    assert_eq!(dates.len(), 60);
    assert!(dates.is_sorted_by(|a, b| a >= b));
    assert_eq!(page["syncToken"].as_str().unwrap().len(), 48);
}

#[test]
fn a_range_is_served_and_a_forged_or_old_address_is_not() {
    let sandbox = Sandbox::start(Options { assets: 1, ..Options::default() });
    let mut client = Client::signed_in(&sandbox);
    let records = client.list();
    let url = records[0]["fields"]["resOriginalRes"]["value"]["downloadURL"].as_str().unwrap().to_owned();
    let whole = client.send("GET", &url, &[], &[]).unwrap().body;
    let part = client.send("GET", &url, &[("range", "bytes=1000-")], &[]).unwrap();
    assert_eq!((part.status, part.body.as_slice()), (206, &whole[1000..]));
    assert_eq!(
        part.header("content-range").unwrap(),
        format!("bytes 1000-{}/{}", whole.len() - 1, whole.len())
    );
    let behind = format!("bytes={}-", whole.len());
    assert_eq!(client.send("GET", &url, &[("range", &behind)], &[]).unwrap().status, 416);
    let head = client.send("HEAD", &url, &[], &[]).unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length").unwrap(), whole.len().to_string());
    assert_eq!(client.send("GET", &url.replace("&s=", "&s=x"), &[], &[]).unwrap().status, 403);

    let cookies = std::mem::take(&mut client.cookies);
    let stranger = client.send("GET", &url, &[], &[]).unwrap();
    assert_eq!((stranger.status, stranger.body.len()), (200, 17));
    client.cookies = cookies;

    sandbox.expire_urls();
    assert_eq!(client.send("GET", &url, &[], &[]).unwrap().status, 410);
    let names = json!([{"recordName": records[0]["recordName"]}, {"recordName": "nobody"}]);
    let found =
        client.ck("records/lookup", &json!({"records": names, "zoneID": {"zoneName": "PrimarySync"}})).json();
    let fresh = found["records"][0]["fields"]["resOriginalRes"]["value"]["downloadURL"].as_str().unwrap();
    assert_eq!(client.send("GET", fresh, &[], &[]).unwrap().body, whole);
    assert_eq!(found["records"][1]["serverErrorCode"], "NOT_FOUND");
}
