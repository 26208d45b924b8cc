//! What a library says about itself: whether it is ready, and how many assets it has.

use serde::{Deserialize, Serialize};

use crate::icloud::Client;
use crate::icloud::error::Error;
use crate::icloud::photos::body::{Filter, Query, QueryBody, ZoneId};
use crate::icloud::photos::read;
use crate::icloud::wire::{self, Field, Lenient, List, Value};
use crate::model::asset::Zone;

/// The index that counts what a listing shows.
const COUNT_INDEX: &str = "CPLAssetByAssetDateWithoutHiddenOrDeleted";

#[derive(Serialize)]
struct BatchBody<'a> {
    batch: [CountBody<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CountBody<'a> {
    results_limit: u32,
    query: Query<'a, Filter<'a>>,
    zone_wide: bool,
    #[serde(rename = "zoneID")]
    zone_id: ZoneId<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct BatchAnswer<'a> {
    #[serde(borrow)]
    batch: List<Lenient<StateAnswer<'a>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct StateAnswer<'a> {
    #[serde(borrow)]
    records: List<Lenient<StateRecord<'a>>>,
    #[serde(borrow, rename = "serverErrorCode")]
    server_error_code: Value<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct StateRecord<'a> {
    #[serde(borrow)]
    fields: Lenient<StateFields<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct StateFields<'a> {
    #[serde(borrow)]
    state: Field<'a>,
    #[serde(borrow)]
    item_count: Field<'a>,
}

impl Client {
    /// Whether the service has finished indexing the library. Before that a listing has gaps.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Malformed`] when the answer names no state.
    pub async fn indexing_finished(&self, zone: &Zone) -> Result<bool, Error> {
        const ENDPOINT: &str = "records/query";
        let body = QueryBody {
            query: Query { record_type: "CheckIndexingState", filter_by: None },
            zone_id: zone.into(),
            results_limit: None,
            desired_keys: &[],
            continuation_marker: None,
        };
        let answer = self.call(zone.database, ENDPOINT, &body).await?;
        let text = wire::text_of(&answer);
        let answer: Lenient<StateAnswer<'_>> = read(ENDPOINT, &text)?;
        let state = answer.records.items().first().and_then(|record| record.fields.state.value.name());
        let detail = "no indexing state".to_owned();
        Ok(state.ok_or(Error::Malformed { endpoint: ENDPOINT, detail })? == "FINISHED")
    }

    /// How many assets the service counts in the library, hidden and deleted ones left out.
    ///
    /// Apple's own number, which lags behind at times.
    /// # Errors
    /// [`Error`]; [`Error::Malformed`] when the answer names no number.
    pub async fn count(&self, zone: &Zone) -> Result<u64, Error> {
        const ENDPOINT: &str = "internal/records/query/batch";
        let filter_by = Some(Filter::one_of("indexCountID", COUNT_INDEX));
        let body = BatchBody {
            batch: [CountBody {
                results_limit: 1,
                query: Query { record_type: "HyperionIndexCountLookup", filter_by },
                zone_wide: true,
                zone_id: zone.into(),
            }],
        };
        let answer = self.call(zone.database, ENDPOINT, &body).await?;
        let text = wire::text_of(&answer);
        let answer: Lenient<BatchAnswer<'_>> = read(ENDPOINT, &text)?;
        let first = answer.batch.items().first();
        let count = first
            .and_then(|part| part.records.items().first())
            .and_then(|record| record.fields.item_count.value.number());
        count.and_then(|count| u64::try_from(count).ok()).ok_or_else(|| {
            let code = first.and_then(|part| part.server_error_code.name());
            let detail = format!("no count: {}", code.unwrap_or("no reason given"));
            Error::Malformed { endpoint: ENDPOINT, detail }
        })
    }
}
