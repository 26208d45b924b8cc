//! The photo service: CloudKit calls, and what their answers mean.
//!
//! An answer of CloudKit is often a 200 with an error inside. [`Client::call`] sorts all of that
//! out; the files beside this one only build bodies and read results.

mod ahead;
mod albums;
mod answer;
mod body;
mod camera;
mod changes;
mod facts;
mod fields;
mod kept;
mod listing;
mod lookup;
mod members;
mod pairing;
mod property_list;
mod record;
mod state;
mod zone_changes;
mod zones;

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};

pub use changes::ChangedLibraries;
pub use facts::facts;
pub use listing::{Index, Listing};
pub use lookup::{Found, FreshFile, LOOKUP_NAMES_MAX, Lookup, Missing};
pub use members::Members;
#[cfg(feature = "faults")]
pub(super) use zone_changes::changes_of;
pub use zone_changes::{ChangedPage, Delta, ZoneChanges};
pub use zones::Libraries;

use crate::fault;
use crate::icloud::auth::Account;
use crate::icloud::error::{Denial, Error};
use crate::icloud::http::{self, Answer, Call, Unreachable};
use crate::icloud::photos::answer::RecordsAnswer;
use crate::icloud::photos::fields::Extras;
use crate::icloud::wire::{self, Lenient, Value};
use crate::icloud::{Client, endpoints};
use crate::model::asset::Database;
use crate::model::backoff;

/// Where the photos' database lies below the service's root.
const DATABASE_PATH: &str = "database/1/com.apple.photos.cloud/production";
/// The build of the web client that we say we are; the service wants one.
const BUILD: &str = "2534Project66";
/// Its mastering number.
const MASTERING: &str = "2534B22";
/// Longest wait inside of a call. What Apple wants to be longer is for the whole run to wait.
const WAIT_IN_CALL_MAX: Duration = Duration::from_secs(60);
/// Longest answer that can be an error in itself: those are short, and pages are not read twice.
const REFUSAL_BYTES_MAX: usize = 4096;

/// An error as CloudKit words it: a whole answer, one zone's part of it, or one record's.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Refusal<'a> {
    #[serde(borrow)]
    server_error_code: Value<'a>,
    #[serde(borrow)]
    reason: Value<'a>,
    #[serde(borrow)]
    retry_after: Value<'a>,
}

/// What an answer calls for.
#[derive(Debug)]
enum Verdict {
    /// Read it.
    Good,
    /// Sign in again and repeat.
    SessionRefused,
    /// Wait and repeat; if it stays, this is the error.
    Passing(Option<Duration>, Error),
    /// Give up.
    Final(Error),
}

impl Client {
    /// What is asked for beside the usual.
    fn extras(&self) -> Extras {
        Extras {
            previews: self.shared.previews.load(Ordering::Relaxed),
            camera: self.shared.cameras.load(Ordering::Relaxed),
        }
    }

    /// Calls an endpoint of the photo service and returns the body of its answer.
    ///
    /// Passing faults are retried, a refused session is renewed once.
    async fn call(
        &self,
        database: Database,
        endpoint: &'static str,
        body: &impl Serialize,
    ) -> Result<Vec<u8>, Error> {
        let body = Bytes::from(serde_json::to_vec(body).expect("plain text becomes JSON"));
        let mut waits = backoff::waits();
        let mut renewed = false;
        loop {
            let generation = self.generation();
            let call = self.call_to(database, endpoint, &body);
            let (asked, error) = match self.shared.http.send(&call).await {
                Ok(answer) => {
                    // A session that cannot be saved now is still marked as changed, and saved
                    // after the next answer. The run need not stop for it.
                    let _saved_later = self.shared.http.session().save().await;
                    match verdict(endpoint, &answer) {
                        Verdict::Good => return Ok(answer.body),
                        Verdict::Final(error) => return Err(error),
                        Verdict::Passing(asked, error) => (asked, error),
                        Verdict::SessionRefused => {
                            self.note_refused(generation);
                            if renewed {
                                let host = call.url.host_str().unwrap_or("?").to_owned();
                                return Err(Error::SessionExpired { host });
                            }
                            self.reauthenticate().await?;
                            renewed = true;
                            continue;
                        }
                    }
                }
                Err(unreachable) if unreachable.passing => (None, unreachable.into()),
                Err(unreachable) => return Err(unreachable.into()),
            };
            if asked.is_some_and(|asked| asked > WAIT_IN_CALL_MAX) {
                return Err(Error::Throttled { retry_after: asked });
            }
            let Some(wait) = waits.next() else { return Err(error) };
            tokio::time::sleep(fault::haste(wait).max(asked.unwrap_or_default())).await;
        }
    }

    fn call_to(&self, database: Database, endpoint: &str, body: &Bytes) -> Call {
        let home = self.shared.http.endpoints().home_origin();
        let headers = http::headers([
            ("accept", "*/*"),
            ("content-type", "text/plain"),
            ("origin", &home),
            ("referer", &format!("{home}/")),
        ]);
        let client_id = self.shared.http.session().tokens().client_id;
        let url = url_of(&self.account(), &client_id, database, endpoint);
        Call { method: Method::POST, url, headers, body: Some(body.clone()) }
    }
}

fn url_of(account: &Account, client_id: &str, database: Database, endpoint: &str) -> Url {
    let path = format!("{DATABASE_PATH}/{}/{endpoint}", database.as_str());
    let mut url = endpoints::below(&account.photos, &path);
    identify(&mut url, client_id, &account.dsid);
    url.query_pairs_mut().append_pair("remapEnums", "true").append_pair("getCurrentSyncToken", "true");
    url
}

/// Says in the query which client this is, and of which account.
pub(super) fn identify(url: &mut Url, client_id: &str, dsid: &str) {
    url.query_pairs_mut()
        .append_pair("clientBuildNumber", BUILD)
        .append_pair("clientMasteringNumber", MASTERING)
        .append_pair("clientId", client_id)
        .append_pair("dsid", dsid);
}

fn verdict(endpoint: &'static str, answer: &Answer) -> Verdict {
    let text = wire::text_of(if answer.body.len() <= REFUSAL_BYTES_MAX { &answer.body } else { b"" });
    let refusal: Lenient<Refusal<'_>> = serde_json::from_str(&text).unwrap_or_default();
    if let Some(code) = refusal.server_error_code.name() {
        match by_code(endpoint, answer.status, code, &refusal) {
            // Codes of a refused session are worded in several ways; the status decides.
            Verdict::Final(Error::Server { .. }) if is_session_refused(answer.status) => {}
            verdict => return verdict,
        }
    }
    let server = || Error::Server { endpoint, status: answer.status, said: answer.said() };
    match answer.status {
        200..=299 => Verdict::Good,
        401 if answer.said().contains("no auth method found") => Verdict::Final(Denial::SecurityKey.into()),
        status if is_session_refused(status) => Verdict::SessionRefused,
        _ if answer.is_throttled() => {
            let retry_after = answer.retry_after();
            Verdict::Passing(retry_after, Error::Throttled { retry_after })
        }
        _ if answer.is_server_fault() => Verdict::Passing(None, server()),
        _ => Verdict::Final(server()),
    }
}

fn is_session_refused(status: u16) -> bool {
    // 423: the cookies for protected data have ended, and a sign-in brings new ones.
    matches!(status, 401 | 403 | 421 | 423 | 450)
}

fn by_code(endpoint: &'static str, status: u16, code: &str, refusal: &Refusal<'_>) -> Verdict {
    let reason = wire::shortened(refusal.reason.text().unwrap_or_default());
    match code {
        "ACCESS_DENIED" => Verdict::Final(Denial::AccessOff(reason).into()),
        // Advanced Data Protection, in the words of the database.
        "PCS_REQUIRED" => Verdict::SessionRefused,
        "ZONE_NOT_FOUND" => Verdict::Final(Denial::NoSuchZone(reason).into()),
        // Under a 200 it means that iCloud Photos was never set up.
        "AUTHENTICATION_FAILED" if status == 200 => Verdict::Final(Denial::NoSuchZone(reason).into()),
        "TRY_AGAIN_LATER" | "RETRY_LATER" | "THROTTLED" | "CAS_OP_LOCK" | "ZONE_BUSY" => {
            let seconds = refusal.retry_after.id();
            let retry_after = seconds.and_then(|text| backoff::retry_after(&text, http::now()));
            Verdict::Passing(retry_after, Error::Throttled { retry_after })
        }
        _ => {
            let said = format!("{code} {reason}").trim().to_owned();
            Verdict::Final(Error::Server { endpoint, status, said })
        }
    }
}

impl From<Unreachable> for Error {
    fn from(Unreachable { host, detail, .. }: Unreachable) -> Self {
        Self::Offline { host, detail }
    }
}

/// Reads an answer, or says which endpoint's cannot be read.
fn read<'a, T: Deserialize<'a>>(endpoint: &'static str, text: &'a str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| unreadable(endpoint, &error))
}

/// Reads an answer that carries records.
fn read_records<'a>(endpoint: &'static str, text: &'a str) -> Result<RecordsAnswer<'a>, Error> {
    RecordsAnswer::read(text).map_err(|error| unreadable(endpoint, &error))
}

fn unreadable(endpoint: &'static str, error: &serde_json::Error) -> Error {
    Error::Malformed { endpoint, detail: error.to_string() }
}

/// Reads an answer that carries records, for fuzzing.
#[cfg(feature = "faults")]
pub(super) fn page_of(answer: &[u8]) -> Option<crate::model::asset::Page> {
    let text = wire::text_of(answer);
    let answer = RecordsAnswer::read(&text).ok()?;
    let (mut pairing, mut page) = (pairing::Pairing::default(), crate::model::asset::Page::default());
    pairing.take(answer.records.unwrap_or_default(), "here", http::now(), &mut page);
    pairing.finish(&mut page);
    Some(page)
}

/// Reads a property list as each field that holds one, for fuzzing.
#[cfg(feature = "faults")]
pub(super) fn list_of(list: &[u8]) -> (Option<String>, crate::model::facts::Facts) {
    use base64::Engine as _;
    let list = record::BASE64.encode(list);
    let kept = format!(
        r#"{{"asset":{{"fields":{{"keywordsEnc":{{"value":"{list}"}},"locationEnc":{{"value":"{list}"}}}}}}}}"#
    );
    let field = wire::FieldBody { value: Value::Text(list.into()), ..Default::default() };
    (camera::camera(&field), facts(kept.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(status: u16, body: &str) -> Verdict {
        let answer = Answer { status, headers: Default::default(), body: body.into() };
        verdict("records/query", &answer)
    }

    #[test]
    fn an_error_inside_a_good_status_is_found() {
        assert!(matches!(judge(200, r#"{"records":[]}"#), Verdict::Good));
        let denied =
            judge(200, r#"{"serverErrorCode":"ACCESS_DENIED","reason":"private db access disabled"}"#);
        assert!(matches!(denied, Verdict::Final(Error::Denied(Denial::AccessOff(_)))));
        let gone = judge(404, r#"{"serverErrorCode":"ZONE_NOT_FOUND","reason":"Zone does not exist"}"#);
        assert!(matches!(gone, Verdict::Final(Error::Denied(Denial::NoSuchZone(_)))));
        let busy = judge(200, r#"{"serverErrorCode":"TRY_AGAIN_LATER","retryAfter":7}"#);
        assert!(matches!(busy, Verdict::Passing(Some(wait), _) if wait.as_secs() == 7));
        let unset = judge(200, r#"{"serverErrorCode":"AUTHENTICATION_FAILED"}"#);
        assert!(matches!(unset, Verdict::Final(Error::Denied(Denial::NoSuchZone(_)))));
        let bad = judge(400, r#"{"serverErrorCode":"BAD_REQUEST"}"#);
        assert!(matches!(bad, Verdict::Final(Error::Server { status: 400, .. })));
    }

    #[test]
    fn a_refused_session_is_told_from_a_refused_account() {
        for status in [401, 403, 421, 423, 450] {
            assert!(matches!(judge(status, "{}"), Verdict::SessionRefused), "{status}");
            let worded = r#"{"serverErrorCode":"AUTHENTICATION_FAILED"}"#;
            assert!(matches!(judge(status, worded), Verdict::SessionRefused), "{status}");
        }
        let key = judge(401, r#"{"reason":"no auth method found"}"#);
        assert!(matches!(key, Verdict::Final(Error::Denied(Denial::SecurityKey))));
        assert!(matches!(judge(503, "<html>"), Verdict::Passing(None, Error::Throttled { .. })));
        assert!(matches!(judge(500, "oops"), Verdict::Passing(None, Error::Server { .. })));
    }
}
