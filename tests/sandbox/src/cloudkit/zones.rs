//! `zones/list`.

use super::token::ZoneToken;
use super::{Answer, Request};
use crate::http::Reply;
use crate::library::Database;
use serde_json::{Value, json};

/// A zone that is listed and is no photo library; it refuses every query.
pub(super) const APP_LIBRARY: &str = "AppLibrarySync-6E1B2C3D-0F4A-4D5E-8B7C-112233445566";

/// A zone that was deleted, and is still listed.
const DELETED: &str = "SharedSync-0D15EA5E-0000-4000-8000-00000000DEAD";

pub(super) fn list(request: &Request<'_>) -> Answer {
    let library = request.state.library();
    let zones: Vec<_> = library.zones.iter().filter(|zone| zone.database == request.database).collect();
    let mut listed: Vec<Value> =
        zones.iter().map(|zone| json!({"zoneID": zone.id(), "deleted": false, "atomic": true})).collect();
    if request.state.options.odd_records && request.database == Database::Private {
        listed.push(json!({"zoneID": odd_id(APP_LIBRARY), "deleted": false, "atomic": true}));
        listed.push(json!({"zoneID": odd_id(DELETED), "deleted": true}));
    }
    let token = zones.first().map(|zone| ZoneToken::now(zone).seal(&request.state.signer));
    Ok(Reply::json(200, &json!({"zones": listed, "moreComing": false, "syncToken": token})))
}

fn odd_id(name: &str) -> Value {
    json!({"zoneName": name, "ownerRecordName": "_5a4d8b0c6e1f", "zoneType": "REGULAR_CUSTOM_ZONE"})
}
