//! `records/lookup`: records by name, with fresh addresses.

use super::{Answer, Request, bad_request};
use crate::http::Reply;
use crate::library::{Record, Wanted};
use serde_json::json;

/// Names one call may hold.
const NAMES_MAX: usize = 200;

pub(super) fn lookup(request: &Request<'_>) -> Answer {
    let library = request.state.library();
    let zone = request.zone(&library)?;
    let asked =
        request.body["records"].as_array().ok_or_else(|| bad_request("missing required field 'records'"))?;
    if asked.len() > NAMES_MAX {
        return Err(bad_request("the maximum number of records in a request is 200"));
    }
    let wanted = Wanted::parse(request.body.get("desiredKeys"));
    let facade = request.state.facade(request.call);
    let press = request.state.press(&library, &facade.content);
    let records: Vec<Record> = asked
        .iter()
        .map(|record| {
            let name = record["recordName"].as_str().unwrap_or_default();
            library
                .find(zone, name, &press)
                .and_then(|found| library.record(zone, found, &press, &wanted))
                .unwrap_or_else(|| Record::error(name, "NOT_FOUND", "Record not found"))
        })
        .collect();
    let mut answer = json!({"records": records});
    if request.wants_token() {
        answer["syncToken"] = super::token::ZoneToken::now(zone).seal(&request.state.signer).into();
    }
    Ok(Reply::json(200, &answer))
}
