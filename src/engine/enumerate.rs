//! Enumeration: pages become rows, and the next page is fetched while this one is recorded.
//!
//! It shares nothing with the downloads but the journal. A library that cannot be listed is
//! named and skipped; the others go on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::engine::error::Error;
use crate::engine::run::{Run, now};
use crate::fault;
use crate::icloud::{self, Listing};
use crate::journal::Place;
use crate::model::asset::{Page, Zone};
use crate::model::choices::Choices;
use crate::model::ids::{AssetId, LibraryId};

/// A library of this run.
#[derive(Clone, Debug)]
pub(super) struct Library {
    pub(super) id: LibraryId,
    pub(super) zone: Zone,
}

/// Lists every library into the journal. A failure that concerns more than one library halts the
/// run.
pub(super) async fn enumerate(run: &Run, libraries: &[Library], choices: &Arc<Choices>) {
    for library in libraries {
        let listed = tokio::select! {
            listed = list(run, library, choices) => listed,
            () = run.stop.requested() => return,
        };
        match listed {
            Ok(()) => {}
            Err(Error::Service(icloud::Error::Denied(why))) if libraries.len() > 1 => {
                run.library_down(library, &why.to_string());
            }
            Err(Error::Service(error @ (icloud::Error::Server { .. } | icloud::Error::Malformed { .. })))
                if libraries.len() > 1 =>
            {
                run.library_down(library, &error.to_string());
            }
            Err(error) => {
                run.halt(error);
                return;
            }
        }
    }
    run.board.enumerated();
}

async fn list(run: &Run, library: &Library, choices: &Arc<Choices>) -> Result<(), Error> {
    let mut listing = run.client.listing(&library.zone);
    let mut token = None;
    let mut roll = Roll::default();
    let mut pages = 0_u64;
    let mut next = next_page(run, &mut listing).await?;
    while let Some(page) = next {
        pages += 1;
        // The first page's token: whatever changes during the walk comes after it.
        token = token.or_else(|| page.sync_token.clone());
        let at = Place { library: library.id, run: run.id, now: now() };
        fault::point("page-fetched");
        let recorded = async {
            let seen = run.journal.record_page(at, Arc::clone(choices), page).await?;
            fault::point("page-recorded");
            run.board.seen(&seen);
            seen.assets.iter().for_each(|asset| roll.call(*asset));
            run.first_page.store(true, Ordering::SeqCst);
            run.bell.notify_one();
            Ok::<(), Error>(())
        };
        let ((), following) = futures::try_join!(recorded, next_page(run, &mut listing))?;
        if pages == 1 {
            first_download_goes_first(run).await;
        }
        next = following;
    }
    let at = Place { library: library.id, run: run.id, now: now() };
    fault::point("listed");
    run.journal.enumerated(at, roll.count, token).await?;
    fault::point("enumerated");
    Ok(())
}

/// The assets that a walk has met, each counted once: ranks shift, so some come twice.
///
/// One bit for each row of the journal: an eighth of a megabyte for a million assets.
#[derive(Default)]
struct Roll {
    bits: Vec<u64>,
    count: u64,
}

impl Roll {
    fn call(&mut self, asset: AssetId) {
        let place = usize::try_from(asset.0).expect("SQLite row ids of ours are positive");
        let (word, bit) = (place / 64, 1 << (place % 64));
        if word >= self.bits.len() {
            self.bits.resize(word + 1, 0);
        }
        self.count += u64::from(self.bits[word] & bit == 0);
        self.bits[word] |= bit;
    }
}

/// Asks for the next page, through pauses that Apple or the network imposes.
async fn next_page(run: &Run, listing: &mut Listing) -> Result<Option<Page>, Error> {
    loop {
        let sent = Instant::now();
        match listing.next().await {
            Ok(page) => {
                run.pause.call_through();
                return Ok(page);
            }
            Err(why) => match run.pause_for(&why, sent) {
                Some(length) => {
                    run.sleep(length).await;
                }
                None => return Err(why.into()),
            },
        }
    }
}

/// Holds the walk until the first download has left, so that it never waits behind a listing of a
/// million photos: whatever the library's size, at most two pages come before it.
async fn first_download_goes_first(run: &Run) {
    let _ = run.underway.subscribe().wait_for(|underway| *underway).await;
}
