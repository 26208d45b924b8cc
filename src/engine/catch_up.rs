//! Catching up: what changed in a library since the last run, page by page.
//!
//! A page's rows and the token behind it are committed together, so a run that ends in the middle
//! is taken up exactly there. Nothing waits for downloads.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::engine::error::Error;
use crate::engine::library::Library;
use crate::engine::run::{Run, now, off_thread};
use crate::fault;
use crate::icloud::{self, ChangedPage, Delta, ZoneChanges};
use crate::journal::Place;
use crate::model::change::Changes;
use crate::model::choices::Choices;

/// How a walk through the changes ended.
pub(super) enum CaughtUp {
    /// The journal knows what Apple knows.
    Yes,
    /// The changes cannot be had, for this reason: the library has to be listed.
    No(String),
}

/// Brings the rows of a library up to date from a token on.
pub(super) async fn catch_up(
    run: &Run,
    library: &Library,
    choices: &Arc<Choices>,
    token: String,
) -> Result<CaughtUp, Error> {
    let mut walk = run.client.zone_changes(&library.zone, token);
    let mut slipped = false;
    loop {
        let page = match run.through_pauses(async || walk.next().await).await {
            Ok(Delta::Page(page)) => page,
            Ok(Delta::TokenVoid(why)) => return Ok(CaughtUp::No(why)),
            // An answer that breaks off is a slip the first time.
            Err(Error::Service(icloud::Error::Malformed { .. })) if !slipped => {
                slipped = true;
                continue;
            }
            // A listing needs no changes, and is always right.
            Err(Error::Service(why @ (icloud::Error::Malformed { .. } | icloud::Error::Server { .. }))) => {
                return Ok(CaughtUp::No(why.to_string()));
            }
            Err(error) => return Err(error),
        };
        let changes = match complete(run, library, &walk, &page).await {
            Err(Error::Service(why @ (icloud::Error::Malformed { .. } | icloud::Error::Server { .. }))) => {
                return Ok(CaughtUp::No(why.to_string()));
            }
            changes => changes?,
        };
        fault::point("changes-fetched");
        record(run, library, choices, changes).await?;
        if !page.more {
            return Ok(CaughtUp::Yes);
        }
    }
}

/// Fetches the halves that are missing on a page.
async fn complete(
    run: &Run,
    library: &Library,
    walk: &ZoneChanges,
    page: &ChangedPage,
) -> Result<Changes, Error> {
    let mut assets = Vec::new();
    if !page.lone_masters().is_empty() {
        let (reader, id, masters) = (run.journal.reader().clone(), library.id, page.lone_masters().to_vec());
        assets = off_thread(move || reader.assets_of_masters(id, &masters)).await?;
    }
    run.through_pauses(async || walk.complete(page, &assets).await).await
}

/// Makes rows of some changes.
pub(super) async fn record(
    run: &Run,
    library: &Library,
    choices: &Arc<Choices>,
    changes: Changes,
) -> Result<(), Error> {
    let at = Place { library: library.id, run: run.id, now: now() };
    let seen = run.journal.record_changes(at, Arc::clone(choices), changes).await?;
    fault::point("changes-recorded");
    run.board.seen(&seen);
    run.clear(seen.leftovers).await?;
    run.first_page.store(true, Ordering::SeqCst);
    run.bell.notify_one();
    Ok(())
}
