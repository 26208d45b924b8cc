//! `internal/records/query/batch`: how many assets an index holds.

use super::{Answer, Refused, Request, bad_request, zone_not_found};
use crate::http::Reply;
use crate::library::View;
use serde_json::{Value, json};

pub(super) fn batch(request: &Request<'_>) -> Answer {
    let queries =
        request.body["batch"].as_array().ok_or_else(|| bad_request("missing required field 'batch'"))?;
    let answers: Result<Vec<Value>, Refused> = queries.iter().map(|query| count(request, query)).collect();
    Ok(Reply::json(200, &json!({"batch": answers?})))
}

fn count(request: &Request<'_>, query: &Value) -> Result<Value, Refused> {
    let library = request.state.library();
    let name = query["zoneID"]["zoneName"].as_str().unwrap_or_default();
    let zone = library.zone(request.database, name).ok_or_else(zone_not_found)?;
    if query["query"]["recordType"] != "HyperionIndexCountLookup" {
        return Err(bad_request("only HyperionIndexCountLookup can be counted"));
    }
    // The filter comes alone or in a list.
    let filter = &query["query"]["filterBy"];
    let filter = filter.as_array().and_then(|all| all.first()).unwrap_or(filter);
    let ids =
        filter["fieldValue"]["value"].as_array().ok_or_else(|| bad_request("indexCountID is missing"))?;
    let records: Result<Vec<Value>, Refused> = ids
        .iter()
        .map(|id| {
            let id = id.as_str().unwrap_or_default();
            let view = View::of_count(zone, id).ok_or_else(|| bad_request("Index has invalid data"))?;
            let count = library.view(zone, view, &request.state.options).len();
            Ok(json!({
                "recordName": id,
                "recordType": "IndexCountResult",
                "fields": {"itemCount": {"value": count, "type": "INT64"}},
                "deleted": false,
                "zoneID": zone.id(),
            }))
        })
        .collect();
    let mut answer = json!({"records": records?});
    if request.wants_token() {
        answer["syncToken"] = super::token::ZoneToken::now(zone).seal(&request.state.signer).into();
    }
    Ok(answer)
}
