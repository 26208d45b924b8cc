//! What lies in an album: a walk through its memberships, page by page.
//!
//! The listing of an album brings memberships, masters and assets. Only the memberships are read;
//! the photos come with the listing of the library.

use std::collections::HashSet;

use crate::icloud::Client;
use crate::icloud::error::Error;
use crate::icloud::photos::body::{Filter, Query, QueryBody};
use crate::icloud::photos::zone_changes::member;
use crate::icloud::photos::{read_records, unreadable};
use crate::icloud::wire;
use crate::model::asset::Zone;
use crate::model::change::Member;

/// Records on a page: the most that the service gives.
const PAGE_RECORDS: u32 = 200;
/// Most pages of one album: a library of a million photos in one album, and this only ends a loop.
const PAGES_MAX: usize = 20_000;
/// The list that a walk goes through, in the person's own order.
const INDEX: &str = "CPLContainerRelationLiveByPosition";
const ENDPOINT: &str = "records/query";

/// A walk through what lies in an album. It may be asked again after an error.
pub struct Members {
    client: Client,
    zone: Zone,
    album: String,
    /// The assets that came, by name: a page may bring some of them again.
    seen: HashSet<Box<str>>,
    pages: usize,
}

impl Client {
    /// Begins to list what lies in an album.
    #[must_use]
    pub fn members(&self, zone: &Zone, album: &str) -> Members {
        let (client, zone, album) = (self.clone(), zone.clone(), album.to_owned());
        Members { client, zone, album, seen: HashSet::new(), pages: 0 }
    }
}

impl Members {
    /// The next members, in the album's order; none when all came. An asset comes once.
    ///
    /// # Errors
    /// [`Error`]; shared libraries have no albums and may answer with [`Error::Server`].
    pub async fn next(&mut self) -> Result<Vec<Member>, Error> {
        let mut members = Vec::new();
        if self.pages == PAGES_MAX {
            return Ok(members);
        }
        let filters = vec![
            Filter::number("startRank", self.seen.len() as u64),
            Filter::text("direction", "ASCENDING"),
            Filter::text("parentId", &self.album),
        ];
        let body = QueryBody {
            query: Query { record_type: INDEX, filter_by: Some(filters) },
            zone_id: (&self.zone).into(),
            results_limit: Some(PAGE_RECORDS),
            desired_keys: &["itemId", "containerId", "position", "isDeleted"],
            continuation_marker: None,
        };
        let answer = self.client.call(self.zone.database, ENDPOINT, &body).await?;
        let text = wire::text_of(&answer);
        let answer = read_records(ENDPOINT, &text)?;
        for entry in answer.records.into_iter().flatten() {
            let record = entry.wire.map_err(|error| unreadable(ENDPOINT, &error))?;
            let is_relation = record.record_type.text() == Some("CPLContainerRelation");
            let found = is_relation.then(|| member(&record)).flatten();
            members.extend(found.filter(|member| member.album == self.album));
        }
        // Nothing fails from here on: a page is taken wholly or not at all.
        members.retain_mut(|member| {
            let place = i64::try_from(self.seen.len()).ok();
            member.position = member.position.or(place);
            self.seen.insert(member.asset.as_str().into())
        });
        self.pages += 1;
        Ok(members)
    }

    /// The assets that came, by name.
    #[must_use]
    pub fn into_names(self) -> HashSet<Box<str>> {
        self.seen
    }
}
