//! The database service: listing, counting, looking up, changing, and what changed.
//!
//! One file per call. Calls need the cookie of a live session; errors are either a status with a
//! CloudKit body or, as the real service likes it, 200 with an error inside.

mod changes;
mod count;
mod lookup;
mod modify;
mod query;
mod token;
mod zones;

use crate::account::Obstacle;
use crate::counters::Endpoint;
use crate::http::{Call, Reply};
use crate::library::{Database, Library, Zone};
use crate::state::State;
use serde_json::{Value, json};

/// Where all paths of the photos container begin.
const CONTAINER: &str = "/database/1/com.apple.photos.cloud/production/";

/// Answers a CloudKit call.
pub(crate) fn answer(state: &State, call: &Call, endpoint: Endpoint) -> Reply {
    if !state.identity.is_signed_in(&state.signer, call) {
        let body = json!({
            "uuid": "7d0f2c3a-0421-4b57-9d0e-0c5f6f0a4210",
            "serverErrorCode": "AUTHENTICATION_FAILED",
            "reason": "Missing X-APPLE-WEBAUTH-TOKEN cookie",
            "success": false,
            "error": "Missing X-APPLE-WEBAUTH-TOKEN cookie",
        });
        return Reply::json(421, &body);
    }
    if state.account.obstacle() == Obstacle::WebAccessOff {
        return refuse(403, "ACCESS_DENIED", "private db access disabled for this account").into();
    }
    if !state.identity.may_read_protected(state, call) {
        return Reply::json(423, &json!({"success": false, "error": "Missing PCS cookies from the request"}));
    }
    let database = match call.path.strip_prefix(CONTAINER).and_then(|rest| rest.split('/').next()) {
        Some("private") => Database::Private,
        Some("shared") => Database::Shared,
        _ => return refuse(404, "NOT_FOUND", "there is no such container or database").into(),
    };
    if call.method != "POST" {
        return refuse(405, "BAD_REQUEST", "only POST is understood").into();
    }
    let Some(body) = call.json() else { return bad_request("Invalid JSON").into() };
    let request = Request { state, call, database, body };
    let answered = match endpoint {
        Endpoint::ZonesList => zones::list(&request),
        Endpoint::RecordsQuery => query::query(&request),
        Endpoint::QueryBatch => count::batch(&request),
        Endpoint::RecordsLookup => lookup::lookup(&request),
        Endpoint::RecordsModify => modify::modify(&request),
        Endpoint::ChangesDatabase => changes::database(&request),
        Endpoint::ChangesZone => changes::zone(&request),
        _ => Err(refuse(404, "NOT_FOUND", "there is no such call")),
    };
    answered.unwrap_or_else(Reply::from)
}

/// One call, its body read.
struct Request<'a> {
    state: &'a State,
    call: &'a Call,
    database: Database,
    body: Value,
}

/// A reply, or why not.
type Answer = Result<Reply, Refused>;

/// Why a whole call is refused.
#[derive(Clone, Copy, Debug)]
struct Refused {
    status: u16,
    code: &'static str,
    reason: &'static str,
}

impl From<Refused> for Reply {
    fn from(refused: Refused) -> Self {
        let body = json!({
            "uuid": "1c9d7f52-3b8e-4f0a-8f64-5d21a7b60400",
            "serverErrorCode": refused.code,
            "reason": refused.reason,
        });
        Self::json(refused.status, &body)
    }
}

fn refuse(status: u16, code: &'static str, reason: &'static str) -> Refused {
    Refused { status, code, reason }
}

fn bad_request(reason: &'static str) -> Refused {
    refuse(400, "BAD_REQUEST", reason)
}

fn zone_not_found() -> Refused {
    refuse(404, "ZONE_NOT_FOUND", "Zone does not exist")
}

impl Request<'_> {
    /// The zone the body names.
    fn zone<'l>(&self, library: &'l Library) -> Result<&'l Zone, Refused> {
        let name = self.body["zoneID"]["zoneName"]
            .as_str()
            .ok_or_else(|| bad_request("missing required field 'zoneID'"))?;
        if name == zones::APP_LIBRARY && self.state.options.odd_records {
            return Err(bad_request("Index has invalid data"));
        }
        library.zone(self.database, name).ok_or_else(zone_not_found)
    }

    /// Whether the client asked for sync tokens.
    fn wants_token(&self) -> bool {
        self.call.parameter("getCurrentSyncToken").is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}
