//! What a library says about itself: whether it is ready, and how many assets it has.

use serde::{Deserialize, Serialize};

use crate::icloud::Client;
use crate::icloud::error::Error;
use crate::icloud::photos::body::{Filter, Query, QueryBody, ZoneId};
use crate::icloud::photos::listing::Index;
use crate::icloud::photos::read;
use crate::icloud::wire::{self, Field, Lenient, List, Value};
use crate::model::asset::Zone;
use crate::model::change::Counts;

const COUNT_ENDPOINT: &str = "internal/records/query/batch";

#[derive(Serialize)]
struct BatchBody<'a> {
    batch: Vec<CountBody<'a>>,
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
        self.count_of(zone, Index::Visible).await
    }

    /// How many assets the service counts, visible and hidden: one request.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Malformed`] when the answer names no number of visible ones.
    pub async fn counts(&self, zone: &Zone) -> Result<Counts, Error> {
        let answer = self.ask_counts(zone, &[Index::Visible, Index::Hidden]).await;
        let answer = match answer {
            // A library that does not count its hidden ones may refuse both.
            Err(Error::Server { .. }) => {
                return Ok(Counts { visible: self.count(zone).await?, hidden: 0 });
            }
            answer => answer?,
        };
        let text = wire::text_of(&answer);
        let answer: Lenient<BatchAnswer<'_>> = read(COUNT_ENDPOINT, &text)?;
        let visible = counted(answer.batch.items().first())?;
        Ok(Counts { visible, hidden: counted(answer.batch.items().get(1)).unwrap_or_default() })
    }

    pub(super) async fn count_of(&self, zone: &Zone, index: Index) -> Result<u64, Error> {
        let answer = self.ask_counts(zone, &[index]).await?;
        let text = wire::text_of(&answer);
        let answer: Lenient<BatchAnswer<'_>> = read(COUNT_ENDPOINT, &text)?;
        counted(answer.batch.items().first())
    }

    async fn ask_counts(&self, zone: &Zone, indexes: &[Index]) -> Result<Vec<u8>, Error> {
        let question = |index: &Index| CountBody {
            results_limit: 1,
            query: Query {
                record_type: "HyperionIndexCountLookup",
                filter_by: Some(Filter::one_of("indexCountID", index.counted())),
            },
            zone_wide: true,
            zone_id: zone.into(),
        };
        let body = BatchBody { batch: indexes.iter().map(question).collect() };
        self.call(zone.database, COUNT_ENDPOINT, &body).await
    }
}

/// The number in one part of an answer.
fn counted(part: Option<&Lenient<StateAnswer<'_>>>) -> Result<u64, Error> {
    let count = part
        .and_then(|part| part.records.items().first())
        .and_then(|record| record.fields.item_count.value.number());
    count.and_then(|count| u64::try_from(count).ok()).ok_or_else(|| {
        let code = part.and_then(|part| part.server_error_code.name());
        let detail = format!("no count: {}", code.unwrap_or("no reason given"));
        Error::Malformed { endpoint: COUNT_ENDPOINT, detail }
    })
}
