//! `records/query`: pages of an index by rank, albums, and the state of indexing.

use super::token::ZoneToken;
use super::{Answer, Refused, Request, bad_request};
use crate::http::Reply;
use crate::library::{ALBUM, Library, Press, Record, View, Wanted, Zone, relation};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::HashSet;

/// Records a page holds if the client names no limit.
const RECORDS_DEFAULT: u64 = 200;

/// On every so manieth full page the service adds a `continuationMarker`.
const MARKER_EVERY: u64 = 4;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    records: Vec<Record>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sync_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    continuation_marker: Option<String>,
}

pub(super) fn query(request: &Request<'_>) -> Answer {
    let library = request.state.library();
    let zone = request.zone(&library)?;
    let index = request.body["query"]["recordType"].as_str().unwrap_or_default();
    let token = request.wants_token().then(|| ZoneToken::now(zone).seal(&request.state.signer));
    let fixed = match index {
        "CheckIndexingState" => vec![indexing_state(zone)],
        "CPLAlbumByPositionLive" => albums(request, zone)?,
        "CPLMaster" | "CPLAsset" => return Err(bad_request("Type is not marked indexable")),
        _ => return listing(request, &library, zone, index, token),
    };
    let records = fixed.into_iter().map(Record::Bare).collect();
    Ok(Reply::json(200, &Page { records, sync_token: token, continuation_marker: None }))
}

fn listing(
    request: &Request<'_>,
    library: &Library,
    zone: &Zone,
    index: &str,
    token: Option<String>,
) -> Answer {
    let state = request.state;
    let filter = |name: &str| filter(&request.body, name);
    let what = filter("smartAlbum").or(filter("parentId")).and_then(Value::as_str);
    let view = View::of_list(zone, index, what)
        .filter(|view| zone.is_primary() || view.is_of_shared_zones())
        .ok_or_else(|| bad_request("Index has invalid data"))?;
    let start = filter("startRank")
        .and_then(Value::as_u64)
        .ok_or_else(|| bad_request("missing filter 'startRank'"))?;
    let is_descending = filter("direction").and_then(Value::as_str) == Some("DESCENDING");
    let limit = request.body["resultsLimit"].as_u64().unwrap_or(RECORDS_DEFAULT);
    let assets_max = (limit / 2).clamp(1, u64::from(state.options.page_cap));

    let view_entries = library.view(zone, view, &state.options);
    let entries = ranks(&view_entries, start, assets_max, is_descending);
    let facade = state.facade(request.call);
    let press = state.press(library, &facade.content);
    let wanted = Wanted::parse(request.body.get("desiredKeys"));
    let mut records = page(zone, library, &entries, &press, &wanted);
    let album = match view {
        View::Album => Some(ALBUM),
        View::Made(made) => Some(zone.albums[made].record.as_str()),
        _ => None,
    };
    if let Some(album) = album {
        let place = |at: &u32| view_entries.iter().position(|held| held == at).unwrap_or(0);
        let of = |at: &u32| relation(zone, &zone.asset_name(*at, state.options.seed), album, place(at));
        records.extend(entries.iter().map(of));
    }
    let is_full = entries.len() as u64 == assets_max;
    let continuation_marker = (is_full && (start / assets_max).is_multiple_of(MARKER_EVERY))
        .then(|| state.signer.seal("continuation", &(start + assets_max).to_be_bytes()));
    Ok(Reply::json(200, &Page { records, sync_token: token, continuation_marker }))
}

/// The entries from a rank on, in the direction of the walk.
fn ranks(entries: &[u32], start: u64, count: u64, is_descending: bool) -> Vec<u32> {
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if is_descending {
        let end = entries.len().min(start.saturating_add(1));
        entries[..end].iter().rev().take(count).copied().collect()
    } else {
        entries.iter().skip(start).take(count).copied().collect()
    }
}

/// All masters, then all assets, in the same order.
fn page(zone: &Zone, library: &Library, entries: &[u32], press: &Press<'_>, wanted: &Wanted) -> Vec<Record> {
    let mut seen = HashSet::new();
    let mut records = Vec::with_capacity(entries.len() * 2);
    for at in entries.iter().map(|at| zone.master_of(*at)).filter(|at| seen.insert(*at)) {
        let record = press.master(zone, at, wanted);
        if let Some(Record::Whole(record)) = &record {
            library.remember(zone.number, &record.record_name, at);
        }
        records.extend(record);
    }
    records.extend(entries.iter().filter_map(|at| press.asset(zone, *at, wanted)));
    records
}

/// The value of a filter, by the name of its field.
fn filter<'b>(body: &'b Value, name: &str) -> Option<&'b Value> {
    let filters = body["query"]["filterBy"].as_array()?;
    filters.iter().find(|filter| filter["fieldName"] == name).map(|filter| &filter["fieldValue"]["value"])
}

fn indexing_state(zone: &Zone) -> Value {
    json!({
        "recordName": "_2b1f8d04-checkindexingstate",
        "recordType": "CheckIndexingState",
        "fields": {
            "progress": {"value": 100, "type": "INT64"},
            "state": {"value": "FINISHED", "type": "STRING"},
        },
        "pluginFields": {},
        "recordChangeTag": "0",
        "deleted": false,
        "zoneID": zone.id(),
    })
}

/// The album tree: its root, one album, one that was deleted, and those made by hand, a folder's children
/// by its name.
fn albums(request: &Request<'_>, zone: &Zone) -> Result<Vec<Value>, Refused> {
    if !zone.is_primary() {
        return Err(bad_request("Index has invalid data"));
    }
    let parent = filter(&request.body, "parentId").and_then(Value::as_str);
    let made = zone.albums.iter().filter(|album| album.parent.as_deref() == parent && !album.is_deleted);
    let made = made.map(|album| album.wire(zone));
    if parent.is_some() {
        return Ok(made.collect());
    }
    let album = |record: &str, name: &str, kind: u32, is_deleted: bool| {
        let mut fields = json!({
            "albumType": {"value": kind, "type": "INT64"},
            "albumNameEnc": {"value": crate::encode::base64(name.as_bytes()), "type": "ENCRYPTED_BYTES"},
            "position": {"value": 1024, "type": "INT64"},
            "sortType": {"value": 0, "type": "INT64"},
            "sortAscending": {"value": 1, "type": "INT64"},
        });
        if is_deleted {
            fields["isDeleted"] = json!({"value": 1, "type": "INT64"});
        }
        json!({
            "recordName": record, "recordType": "CPLAlbum", "fields": fields, "pluginFields": {},
            "recordChangeTag": "10", "deleted": false, "zoneID": zone.id(),
        })
    };
    let fixed = [
        album("----Root-Folder----", "", 3, false),
        album(ALBUM, "Sommer / Überblick", 0, false),
        album("9B6E0A51-77C2-4D1F-A0B3-0C4D5E6F7081", "Thrown away", 0, true),
    ];
    Ok(fixed.into_iter().chain(made).collect())
}
