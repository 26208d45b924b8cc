//! Whether anything happened since the last run: one call when nothing did.

use serde::{Deserialize, Serialize};

use crate::icloud::Client;
use crate::icloud::error::Error;
use crate::icloud::photos::read;
use crate::icloud::photos::zones::{ZoneWire, library};
use crate::icloud::wire::{self, Lenient, List, Value};
use crate::model::asset::{Database, Zone};

/// Most answers to one question. An account has a handful of zones; this only ends a loop.
const ANSWERS_MAX: usize = 50;
const ENDPOINT: &str = "changes/database";

/// Which libraries changed since a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedLibraries {
    /// Libraries with changes. Without a token: all of them.
    pub zones: Vec<Zone>,
    /// What to ask with next time. Keep it once the changes are stored, not before.
    pub sync_token: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangesBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    sync_token: Option<&'a str>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ChangesAnswer<'a> {
    #[serde(borrow)]
    zones: List<Lenient<ZoneWire<'a>>>,
    #[serde(borrow)]
    more_coming: Value<'a>,
    #[serde(borrow)]
    sync_token: Value<'a>,
}

impl Client {
    /// Asks which libraries of a database changed since `sync_token`, which an earlier answer of
    /// this method gave. A library's own token, as pages carry it, is of another kind.
    ///
    /// # Errors
    /// [`Error::Server`] when the service no longer knows the token: list anew, without one.
    pub async fn changed_libraries(
        &self,
        database: Database,
        sync_token: Option<&str>,
    ) -> Result<ChangedLibraries, Error> {
        let mut zones: Vec<Zone> = Vec::new();
        let mut token = sync_token.map(str::to_owned);
        for _ in 0..ANSWERS_MAX {
            let body = ChangesBody { sync_token: token.as_deref() };
            let answer = self.call(database, ENDPOINT, &body).await?;
            let text = wire::text_of(&answer);
            let answer: Lenient<ChangesAnswer<'_>> = read(ENDPOINT, &text)?;
            let malformed = |detail: &str| Error::Malformed { endpoint: ENDPOINT, detail: detail.to_owned() };
            let changed = answer.zones.0.as_deref().ok_or_else(|| malformed("no zones"))?;
            if !changed.iter().all(|zone| zone.is_named()) {
                // Which library it is of is not to be known, and its changes would be passed over.
                return Err(malformed("a zone without a name"));
            }
            for zone in changed.iter().filter_map(|zone| library(database, zone)) {
                if !zones.contains(&zone) {
                    zones.push(zone);
                }
            }
            let next = answer.sync_token.name().ok_or_else(|| malformed("no sync token"))?;
            // Where it does not say whether more is to come, nothing must be left to come.
            if !answer.more_coming.flag().unwrap_or(!changed.is_empty()) {
                return Ok(ChangedLibraries { zones, sync_token: next.to_owned() });
            }
            token = Some(next.to_owned());
        }
        Err(Error::Malformed { endpoint: ENDPOINT, detail: "more is coming, without end".to_owned() })
    }
}
