//! What lies in an album: a walk through its memberships, page by page.
//!
//! The listing of an album brings memberships, masters and assets. Only the memberships are read;
//! the photos come with the listing of the library.

use std::collections::HashSet;

use crate::icloud::Client;
use crate::icloud::error::Error;
use crate::icloud::photos::body::{Filter, Query, QueryBody};
use crate::icloud::photos::fields::{RecordWire, RecordsAnswer};
use crate::icloud::photos::read;
use crate::icloud::photos::zone_changes::member;
use crate::icloud::wire::{self, Lenient};
use crate::model::asset::Zone;
use crate::model::change::Member;

/// Records on a page: the most that the service gives.
const PAGE_RECORDS: u32 = 200;
/// Most pages of one album: a library of a million photos in one album, and this only ends a loop.
const PAGES_MAX: usize = 20_000;
/// The list that a walk goes through, in the person's own order.
const INDEX: &str = "CPLContainerRelationLiveByPosition";
const ENDPOINT: &str = "records/query";

impl Client {
    /// Lists what lies in an album, in its order. An asset comes once.
    ///
    /// # Errors
    /// [`Error`]; shared libraries have no albums and may answer with [`Error::Server`].
    pub async fn members(&self, zone: &Zone, album: &str) -> Result<Vec<Member>, Error> {
        let mut members: Vec<Member> = Vec::new();
        let mut seen = HashSet::new();
        for _ in 0..PAGES_MAX {
            let rank = members.len() as u64;
            let filters = vec![
                Filter::number("startRank", rank),
                Filter::text("direction", "ASCENDING"),
                Filter::text("parentId", album),
            ];
            let body = QueryBody {
                query: Query { record_type: INDEX, filter_by: Some(filters) },
                zone_id: zone.into(),
                results_limit: Some(PAGE_RECORDS),
                desired_keys: &["itemId", "containerId", "position", "isDeleted"],
                continuation_marker: None,
            };
            let answer = self.call(zone.database, ENDPOINT, &body).await?;
            let text = wire::text_of(&answer);
            let answer: Lenient<RecordsAnswer<'_>> = read(ENDPOINT, &text)?;
            let before = members.len();
            for raw in answer.records.items() {
                let record: Lenient<RecordWire<'_>> = read(ENDPOINT, raw.get())?;
                let is_relation = record.record_type.text() == Some("CPLContainerRelation");
                let found = is_relation.then(|| member(&record)).flatten();
                let Some(mut member) = found.filter(|member| member.album == album) else { continue };
                if seen.insert(member.asset.clone()) {
                    member.position = member.position.or_else(|| i64::try_from(members.len()).ok());
                    members.push(member);
                }
            }
            // An empty page, or one that was here before.
            if members.len() == before {
                break;
            }
        }
        members.retain(|member| member.present);
        Ok(members)
    }
}
