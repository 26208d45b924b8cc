//! `zones/list`.

use super::token::ZoneToken;
use super::{Answer, Request};
use crate::http::Reply;
use serde_json::{Value, json};

pub(super) fn list(request: &Request<'_>) -> Answer {
    let library = request.state.library();
    let zones: Vec<_> = library.zones.iter().filter(|zone| zone.database == request.database).collect();
    let listed: Vec<Value> =
        zones.iter().map(|zone| json!({"zoneID": zone.id(), "deleted": false, "atomic": true})).collect();
    let token = zones.first().map(|zone| ZoneToken::now(zone).seal(&request.state.signer));
    Ok(Reply::json(200, &json!({"zones": listed, "moreComing": false, "syncToken": token})))
}
