//! `changes/database` and `changes/zone`: what happened since a token.

use super::token::ZoneToken;
use super::{Answer, Request, bad_request};
use crate::http::Reply;
use crate::library::{Event, Found, Press, Record, Side, Wanted, Zone, relation};
use serde_json::{Value, json};
use std::collections::HashMap;

/// Records a page holds at most.
const PAGE_MAX: u64 = 200;

/// Which zones changed. The token is of a kind of its own, and differs even if nothing happened.
pub(super) fn database(request: &Request<'_>) -> Answer {
    let signer = &request.state.signer;
    let library = request.state.library();
    let zones: Vec<&Zone> = library.zones.iter().filter(|zone| zone.database == request.database).collect();
    let known: HashMap<u32, u32> = match request.body["syncToken"].as_str() {
        None => HashMap::new(),
        Some(token) => {
            let payload = signer
                .open("database sync", token)
                .ok_or_else(|| bad_request("Invalid continuation format"))?;
            let word = |at: &[u8]| u32::from_be_bytes([at[0], at[1], at[2], at[3]]);
            payload[4..].chunks_exact(8).map(|pair| (word(pair), word(&pair[4..]))).collect()
        }
    };
    let length = |zone: &Zone| u32::try_from(zone.history.len()).unwrap_or(u32::MAX);
    let is_changed = |zone: &&&Zone| known.get(&zone.number).is_none_or(|seen| *seen < length(zone));
    let changed: Vec<Value> = zones
        .iter()
        .filter(is_changed)
        .map(|zone| json!({"zoneID": zone.id(), "syncToken": ZoneToken::now(zone).seal(signer)}))
        .collect();
    let mut payload = request.state.identity.serial().to_be_bytes().to_vec();
    for zone in &zones {
        payload.extend(zone.number.to_be_bytes());
        payload.extend(length(zone).to_be_bytes());
    }
    let token = signer.seal("database sync", &payload);
    Ok(Reply::json(200, &json!({"syncToken": token, "moreComing": false, "zones": changed})))
}

/// A page of what changed in each zone asked for. Errors stand inside.
pub(super) fn zone(request: &Request<'_>) -> Answer {
    let asked = match request.body["zones"].as_array() {
        Some(zones) => zones.clone(),
        // The older call names one zone at the top.
        None if request.body["zoneID"].is_object() => vec![request.body.clone()],
        None => return Err(bad_request("missing required field 'zones'")),
    };
    let zones: Vec<Value> = asked.iter().map(|asked| page(request, asked)).collect();
    Ok(Reply::json(200, &json!({"zones": zones})))
}

fn page(request: &Request<'_>, asked: &Value) -> Value {
    let state = request.state;
    let library = state.library();
    let error = |code: &str, reason: &str| json!({"zoneID": asked["zoneID"], "serverErrorCode": code, "reason": reason});
    let name = asked["zoneID"]["zoneName"].as_str().unwrap_or_default();
    let Some(zone) = library.zone(request.database, name) else {
        return error("ZONE_NOT_FOUND", "Zone does not exist");
    };
    let start = match asked["syncToken"].as_str() {
        None => ZoneToken::at(zone, 0),
        Some("") => ZoneToken::now(zone),
        Some(token) => match ZoneToken::open(&state.signer, token, zone) {
            Some(start) => start,
            None => return error("BAD_REQUEST", "Unknown sync continuation type"),
        },
    };
    let facade = state.facade(request.call);
    let press = state.press(&library, &facade.content);
    let wanted = Wanted::parse(asked.get("desiredKeys").or(request.body.get("desiredKeys")));
    let limit = asked["resultsLimit"]
        .as_u64()
        .unwrap_or(PAGE_MAX)
        .clamp(2, u64::from(state.options.change_page_cap).clamp(2, PAGE_MAX));
    let is_behind = start.position < zone.history.len() as u64;
    let (records, end) = if is_behind && start.empty_pages < state.options.empty_change_pages {
        (Vec::new(), ZoneToken { empty_pages: start.empty_pages + 1, ..start })
    } else if is_behind && state.options.split_changes && start.half == 0 {
        let (records, end) = walk(zone, &library, start.position, zone.history.len(), limit, &press, &wanted);
        let half = u32::try_from(end.position - start.position).expect("a page is short");
        (records.into_iter().filter(is_master).collect(), ZoneToken { half, ..start })
    } else {
        let half = (start.position + u64::from(start.half)) as usize;
        let until = if start.half > 0 { half } else { zone.history.len() };
        let (records, end) = walk(zone, &library, start.position, until, limit, &press, &wanted);
        (records.into_iter().filter(|record| start.half == 0 || !is_master(record)).collect(), end)
    };
    json!({
        "zoneID": zone.id(),
        "records": records,
        "syncToken": end.seal(&state.signer),
        "moreComing": end.position < zone.history.len() as u64,
    })
}

fn is_master(record: &Record) -> bool {
    matches!(record, Record::Whole(record) if record.record_type == "CPLMaster")
}

/// What an event is about: of several about one record, the last one counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    Master(u32),
    Asset(u32),
    Album(usize),
    Member(usize, u32),
}

/// The records an event touches, masters first.
fn subjects(event: Event) -> impl Iterator<Item = Subject> {
    let both = match event {
        Event::Entry { entry, asset, master } => {
            [master.then_some(Subject::Master(entry)), asset.then_some(Subject::Asset(entry))]
        }
        Event::Album(album) => [Some(Subject::Album(album)), None],
        Event::Member { album, entry } => [Some(Subject::Member(album, entry)), None],
    };
    both.into_iter().flatten()
}

/// Records of the events from `position` on, each record once: at its last event.
fn walk(
    zone: &Zone,
    library: &crate::library::Library,
    position: u64,
    until: usize,
    limit: u64,
    press: &Press<'_>,
    wanted: &Wanted,
) -> (Vec<Record>, ZoneToken) {
    let from = usize::try_from(position).unwrap_or(usize::MAX);
    let events = zone.history.iter().enumerate().skip(from);
    let last: HashMap<Subject, usize> =
        events.flat_map(|(at, event)| subjects(*event).map(move |subject| (subject, at))).collect();
    let mut records = Vec::new();
    let mut at = from;
    while at < until && records.len() as u64 + 2 <= limit {
        for subject in subjects(zone.history[at]).filter(|subject| last[subject] == at) {
            match subject {
                Subject::Master(entry) => {
                    records.extend(one(zone, library, Side::Master, entry, press, wanted));
                }
                Subject::Asset(entry) => {
                    records.extend(one(zone, library, Side::Asset, entry, press, wanted));
                }
                Subject::Album(album) => records.push(Record::Bare(zone.albums[album].wire(zone))),
                Subject::Member(album, entry) => {
                    records.push(member(zone, album, entry, press.options.seed));
                }
            }
        }
        at += 1;
    }
    (records, ZoneToken::at(zone, at as u64))
}

/// A membership, or what is left of one.
fn member(zone: &Zone, album: usize, entry: u32, seed: u64) -> Record {
    let (asset, held) = (zone.asset_name(entry, seed), &zone.albums[album]);
    match held.members.iter().position(|member| *member == entry) {
        Some(place) => relation(zone, &asset, &held.record, place),
        None => Record::tombstone(&format!("{asset}-IN-{}", held.record), &zone.id()),
    }
}

fn one(
    zone: &Zone,
    library: &crate::library::Library,
    side: Side,
    entry: u32,
    press: &Press<'_>,
    wanted: &Wanted,
) -> Option<Record> {
    let name = || match side {
        Side::Master => press.master_name(zone, entry),
        Side::Asset => zone.asset_name(entry, press.options.seed),
    };
    if zone.entry(entry).is_purged {
        return Some(Record::tombstone(&name(), &zone.id()));
    }
    library.record(zone, Found { side, entry }, press, wanted)
}
