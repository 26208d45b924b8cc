//! Pages that are under way before they are needed: while one is read, the next ones are fetched.
//!
//! A walk may ask for any rank at any time, so this is a guess and never a decision: the walk names the
//! page that it needs, and gets that one, asked for early or now. What was asked for and turns out not to be
//! the next page is dropped. Nothing of the walk's own care is lost either: two pages that follow
//! each other must share one asset, whichever of them was answered first.

use std::collections::VecDeque;

use tokio::task::{JoinError, JoinHandle};

use crate::icloud::Client;
use crate::icloud::error::Error;
use crate::icloud::photos::body::{Filter, Query, QueryBody};
use crate::icloud::photos::fields::desired_keys;
use crate::icloud::photos::listing::{ENDPOINT, Index, PAGE_RECORDS};
use crate::model::asset::Zone;

/// Pages under way beside the one that is needed. A page takes Apple seconds and us milliseconds, so a
/// listing goes four times as fast with three; more would be no politeness to a service that asks
/// clients to wait when they ask too much.
const AHEAD: u64 = 3;

/// The pages of one list of a library, by rank.
pub(super) struct Ahead {
    client: Client,
    zone: Zone,
    index: Index,
    /// How many assets the list is said to have: there is nothing to ask for behind them. `None`: only
    /// what is needed is asked for.
    count: Option<u64>,
    under_way: VecDeque<UnderWay>,
}

/// A page that was asked for.
struct UnderWay {
    start: u64,
    answer: JoinHandle<Result<Vec<u8>, Error>>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.answer.abort();
    }
}

impl Ahead {
    pub(super) fn new(client: Client, zone: Zone, index: Index) -> Self {
        Self { client, zone, index, count: None, under_way: VecDeque::new() }
    }

    /// Allows to ask ahead in a list of `count` assets.
    pub(super) fn allow(&mut self, count: u64) {
        self.count = Some(count);
    }

    /// The answer for the page that begins at rank `start`. The following ones, should they begin
    /// `stride` ranks from each other, are under way when this returns.
    pub(super) async fn page(&mut self, start: u64, stride: u64) -> Result<Vec<u8>, Error> {
        let count = if stride > 0 { self.count.unwrap_or(0) } else { 0 };
        let following = (1..=AHEAD).map(|n| start + n * stride).filter(|next| next + 1 < count);
        let wanted: Vec<u64> = std::iter::once(start).chain(following).collect();
        self.under_way.retain(|page| wanted.contains(&page.start));
        for start in wanted {
            if !self.under_way.iter().any(|page| page.start == start) {
                self.under_way.push_back(self.ask(start));
            }
        }
        let needed = self.under_way.iter_mut().find(|page| page.start == start).expect("it was asked for");
        let answer = (&mut needed.answer).await;
        self.under_way.retain(|page| page.start != start);
        let answer = match answer.map_err(JoinError::try_into_panic) {
            Ok(answer) => answer,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The runtime is ending, and this with it.
            Err(Err(_)) => std::future::pending().await,
        };
        if answer.is_err() {
            // Whoever waits or gives up now must not leave others asking.
            self.under_way.clear();
        }
        answer
    }

    fn ask(&self, start: u64) -> UnderWay {
        let (client, zone, index) = (self.client.clone(), self.zone.clone(), self.index);
        let answer = tokio::spawn(async move {
            let filters = vec![Filter::number("startRank", start), Filter::text("direction", "ASCENDING")];
            let body = QueryBody {
                query: Query { record_type: index.listed(), filter_by: Some(filters) },
                zone_id: (&zone).into(),
                results_limit: Some(PAGE_RECORDS),
                desired_keys: &desired_keys(client.extras()),
                continuation_marker: None,
            };
            client.call(zone.database, ENDPOINT, &body).await
        });
        UnderWay { start, answer }
    }
}
