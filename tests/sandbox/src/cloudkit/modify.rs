//! `records/modify`: deleting, hiding and liking, as far as a client may.

use super::{Answer, Request, bad_request};
use crate::http::Reply;
use crate::library::{Found, Press, Record, Wanted, Zone};
use serde_json::{Value, json};

/// Fields a client may set, each 0 or 1.
const FIELDS: [&str; 3] = ["isDeleted", "isHidden", "isFavorite"];

pub(super) fn modify(request: &Request<'_>) -> Answer {
    let operations = request.body["operations"]
        .as_array()
        .ok_or_else(|| bad_request("missing required field 'operations'"))?;
    let wanted = Wanted::parse(request.body.get("desiredKeys"));
    let facade = request.state.facade(request.call);
    let mut records = Vec::new();
    for operation in operations {
        let name = operation["record"]["recordName"].as_str().unwrap_or_default();
        let planned = {
            let library = request.state.library();
            let zone = request.zone(&library)?;
            let press = request.state.press(&library, &facade.content);
            library.find(zone, name, &press).ok_or(("NOT_FOUND", "Record not found")).and_then(|found| {
                let changes = plan(operation, zone, found, &press, &library)?;
                Ok((zone.number, found, changes))
            })
        };
        match planned {
            Err((code, reason)) => records.push(Record::error(name, code, reason)),
            Ok((number, found, changes)) => {
                request.state.change_library(|library| {
                    for (field, is_set) in &changes {
                        library.modify(number, found, field, *is_set);
                    }
                });
                let library = request.state.library();
                let press = request.state.press(&library, &facade.content);
                let changed =
                    library.zone_at(number).and_then(|zone| library.record(zone, found, &press, &wanted));
                records.push(changed.unwrap_or_else(|| Record::error(name, "NOT_FOUND", "Record not found")));
            }
        }
    }
    let library = request.state.library();
    let token = super::token::ZoneToken::now(request.zone(&library)?).seal(&request.state.signer);
    Ok(Reply::json(200, &json!({"records": records, "syncToken": token})))
}

/// Which fields an operation sets, or why it may not.
fn plan(
    operation: &Value,
    zone: &Zone,
    found: Found,
    press: &Press<'_>,
    library: &crate::library::Library,
) -> Result<Vec<(&'static str, bool)>, (&'static str, &'static str)> {
    let kind = operation["operationType"].as_str().unwrap_or_default();
    if !matches!(kind, "update" | "forceUpdate") {
        return Err(("BAD_REQUEST", "only updates are understood"));
    }
    let Some(Record::Whole(held)) = library.record(zone, found, press, &Wanted::default()) else {
        return Err(("NOT_FOUND", "Record not found"));
    };
    if kind == "update" && operation["record"]["recordChangeTag"] != held.record_change_tag.as_str() {
        return Err(("CONFLICT", "record to modify has a newer change tag"));
    }
    let fields = &operation["record"]["fields"];
    let set = FIELDS.into_iter().filter_map(|field| Some((field, fields[field]["value"].as_i64()? == 1)));
    Ok(set.collect())
}
