//! The libraries of an account: its own, shared ones it owns, and shared ones it joined.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::icloud::Client;
use crate::icloud::error::Error;
use crate::icloud::photos::body::PRIMARY;
use crate::icloud::photos::read;
use crate::icloud::wire::{self, Lenient, List, Value};
use crate::model::asset::{Database, Zone};

/// How names of shared libraries begin.
const SHARED_PREFIX: &str = "SharedSync-";
/// Most answers to one listing of zones. An account has a handful of zones; this only ends a loop.
const ANSWERS_MAX: usize = 50;
const ENDPOINT: &str = "zones/list";

/// The libraries that were found, and what was not to be had.
#[derive(Clone, Debug, Default)]
pub struct Libraries {
    /// Own library first. Zones that are no libraries are left out.
    pub zones: Vec<Zone>,
    /// In words: a failure of the shared database does not cost the private one.
    pub warnings: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    sync_token: Option<&'a str>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ListAnswer<'a> {
    #[serde(borrow)]
    zones: List<Lenient<ZoneWire<'a>>>,
    #[serde(borrow)]
    more_coming: Value<'a>,
    #[serde(borrow)]
    sync_token: Value<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ZoneWire<'a> {
    #[serde(borrow, rename = "zoneID")]
    zone_id: Lenient<ZoneIdWire<'a>>,
    #[serde(borrow)]
    deleted: Value<'a>,
}

impl ZoneWire<'_> {
    /// Whether it says which zone it is.
    pub(super) fn is_named(&self) -> bool {
        self.zone_id.zone_name.name().is_some()
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ZoneIdWire<'a> {
    #[serde(borrow)]
    zone_name: Value<'a>,
    #[serde(borrow)]
    owner_record_name: Value<'a>,
    #[serde(borrow)]
    zone_type: Value<'a>,
}

impl Client {
    /// Finds the libraries of the account.
    ///
    /// A library that stands in both databases is taken from the private one. Zones of other
    /// kinds (share links, shared albums, the app library) refuse to be listed and are left out.
    /// # Errors
    /// [`Error`] when the private database cannot be read.
    pub async fn libraries(&self) -> Result<Libraries, Error> {
        let mut zones = self.zones(Database::Private).await?;
        let mut warnings = Vec::new();
        match self.zones(Database::Shared).await {
            Ok(shared) => zones.extend(shared),
            Err(error @ (Error::NeedsPerson(_) | Error::Throttled { .. } | Error::Offline { .. })) => {
                return Err(error);
            }
            Err(error) => warnings.push(format!("cannot list shared libraries: {error}")),
        }
        let mut seen = HashSet::new();
        zones.retain(|zone| seen.insert(zone.name.clone()));
        // Stable: own library first, else in the order of the service.
        zones.sort_by_key(|zone| zone.name != PRIMARY);
        Ok(Libraries { zones, warnings })
    }

    async fn zones(&self, database: Database) -> Result<Vec<Zone>, Error> {
        let mut zones = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..ANSWERS_MAX {
            let body = ListBody { sync_token: token.as_deref() };
            let answer = self.call(database, ENDPOINT, &body).await?;
            let text = wire::text_of(&answer);
            let answer: Lenient<ListAnswer<'_>> = read(ENDPOINT, &text)?;
            let Some(listed) = &answer.zones.0 else {
                return Err(Error::Malformed { endpoint: ENDPOINT, detail: "no zones".to_owned() });
            };
            zones.extend(listed.iter().filter_map(|zone| library(database, zone)));
            token = answer.sync_token.name().map(str::to_owned);
            if !answer.more_coming.is_set() || token.is_none() {
                break;
            }
        }
        Ok(zones)
    }
}

/// The zone as a library; `None` when it is of another kind, or deleted.
pub(super) fn library(database: Database, wire: &ZoneWire<'_>) -> Option<Zone> {
    let id = &wire.zone_id;
    let name = id.zone_name.name()?;
    let own = database == Database::Private && name == PRIMARY;
    if wire.deleted.is_set() || !(own || name.starts_with(SHARED_PREFIX)) {
        return None;
    }
    let text = |value: &Value<'_>| value.text().unwrap_or_default().to_owned();
    Some(Zone {
        database,
        name: name.to_owned(),
        owner: text(&id.owner_record_name),
        kind: text(&id.zone_type),
    })
}
