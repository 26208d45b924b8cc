//! Enumeration: every library's rows are brought up to date, by its changes or by a listing.
//!
//! A listing's pages become rows while the next ones are fetched. It shares nothing with the
//! downloads but the journal. A library that cannot be listed is named and skipped; the others go
//! on.
//!
//! A listing is bridged to the changes: the token of its first page is kept when it is through, and
//! what changed since is asked for at once. So nothing is missed that came, changed or went during the walk. A
//! listing that is cut short begins again with the next run: ranks shift, so a place in it means
//! little; and what is known already costs a request for a hundred assets, and writes nothing.

use std::borrow::Borrow;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::catch_up::{CaughtUp, catch_up};
use crate::engine::error::Error;
use crate::engine::library::{Library, Need};
use crate::engine::met::Met;
use crate::engine::monitor::Notice;
use crate::engine::run::{Run, now, off_thread};
use crate::engine::settle;
use crate::engine::survey::Survey;
use crate::fault;
use crate::icloud::{self, Index, Listing};
use crate::journal::{Enumerated, PAGES_MAX, Place};
use crate::model::asset::Page;
use crate::model::change::Counts;
use crate::model::choices::Choices;

/// Pages that are fetched before they must be rows. Sixteen are a few megabytes.
const PAGES_WAITING_MAX: usize = 16;

/// Brings the rows of every library up to date. A failure that concerns more than one library halts
/// the run.
pub(super) async fn enumerate(run: &Run, survey: &Survey, choices: &Arc<Choices>) {
    let libraries = &survey.libraries;
    let mut skipped = false;
    for library in libraries {
        if !choices.selection.has_library(&library.zone.name) {
            // What the databases named of it is asked for should it be wanted again. One that was never
            // listed needs no such mark.
            if matches!(library.need, Need::Changes(_))
                && !library.behind
                && let Err(error) = run.journal.set_behind(library.id, Some(now())).await
            {
                run.halt(error);
                return;
            }
            continue;
        }
        let followed = tokio::select! {
            followed = follow(run, library, choices) => followed,
            () = run.stop.requested() => return,
        };
        match followed {
            Ok(()) => {}
            Err(Error::Service(icloud::Error::Denied(why))) if libraries.len() > 1 => {
                skipped = true;
                run.library_down(library, &why.to_string());
            }
            Err(Error::Service(error @ (icloud::Error::Server { .. } | icloud::Error::Malformed { .. })))
                if libraries.len() > 1 =>
            {
                skipped = true;
                run.library_down(library, &error.to_string());
            }
            Err(error) => {
                run.halt(error);
                return;
            }
        }
    }
    name_unmatched(run, survey, choices);
    run.board.enumerated();
    for (database, token) in survey.tokens.iter().filter(|_| !skipped) {
        fault::point("database-token-due");
        let kept = run.journal.keep_database_token(run.account, *database, token.clone(), now()).await;
        if let Err(error) = kept {
            run.halt(error);
        }
    }
}

/// Warns of words of the selection that mean no library and no album: `--album Trps` keeps nothing, and
/// `--album !Trps` leaves nothing out.
fn name_unmatched(run: &Run, survey: &Survey, choices: &Choices) {
    let libraries: Vec<String> = survey.libraries.iter().map(|library| library.zone.name.clone()).collect();
    let Ok(albums) = run.journal.reader().album_names(run.account) else { return };
    for word in choices.selection.unmatched(&libraries, &albums) {
        run.board.notice(Notice::NothingMeant { word });
    }
}

/// Does for a library what it needs.
async fn follow(run: &Run, library: &Library, choices: &Arc<Choices>) -> Result<(), Error> {
    let again = |why: &str| {
        let library = library.zone.name.clone();
        run.board.notice(Notice::ListedAgain { library, why: why.to_owned() });
    };
    match &library.need {
        Need::Listing => return list_all(run, library, choices).await,
        Need::Changes(token) => match catch_up(run, library, choices, token.clone()).await? {
            CaughtUp::Yes => {
                if library.behind {
                    run.journal.set_behind(library.id, None).await?;
                }
                if !library.recount
                    && let Some(counts) = counts(run, library).await?
                {
                    run.journal.counted(library.id, counts).await?;
                }
            }
            CaughtUp::No(why) => {
                again(&format!("its changes cannot be had ({why})"));
                return list_all(run, library, choices).await;
            }
        },
        Need::Nothing => {}
    }
    if library.recount
        && let Some(counts) = counts(run, library).await?
    {
        let at = Place { library: library.id, run: run.id, now: now() };
        let recount = run.journal.recounted(at, counts).await?;
        if !recount.agrees {
            again(&format!("Apple counts {} assets, the journal {}", recount.apple, recount.here));
            return list_all(run, library, choices).await;
        }
    }
    Ok(())
}

/// Apple's counts. A library that does not count may still list.
async fn counts(run: &Run, library: &Library) -> Result<Option<Counts>, Error> {
    match run.through_pauses(async || run.client.counts(&library.zone).await).await {
        Ok(counts) => Ok(Some(counts)),
        Err(Error::Service(
            icloud::Error::Server { .. } | icloud::Error::Malformed { .. } | icloud::Error::Denied(_),
        )) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Lists a library from end to end, settles what it did not meet, and catches up from its first
/// page.
async fn list_all(run: &Run, library: &Library, choices: &Arc<Choices>) -> Result<(), Error> {
    let announced = counts(run, library).await?;
    run.board.announced(announced.unwrap_or_default().total());
    // Before the first row is judged or placed by where it lies.
    let albums_first = choices.need_albums();
    if albums_first {
        settle::albums(run, library).await?;
    }
    let until_found = match choices.until_found {
        // Those that are here already are what it is for.
        Some(_) if choices.layout.uses_camera() && lacks_cameras(run, library).await? => None,
        until_found => until_found,
    };
    let mut met = Met::until(until_found);
    let token =
        list(run, library, Index::Visible, announced.map(|counts| counts.visible), choices, &mut met).await?;
    if met.is_enough() {
        // What changed behind the point where it ended is asked for by the next run.
        return Ok(run.journal.set_behind(library.id, Some(now())).await?);
    }
    match list(run, library, Index::Hidden, announced.map(|counts| counts.hidden), choices, &mut met).await {
        // Not every library has such a list.
        Err(Error::Service(icloud::Error::Server { .. } | icloud::Error::Malformed { .. }))
            if !library.zone.is_primary() => {}
        listed => {
            listed?;
        }
    }
    settle::unmet(run, library, choices, &met, announced).await?;
    if !albums_first {
        settle::albums(run, library).await?;
    }
    let found = Enumerated {
        count: met.count(),
        apple_count: announced.map(Counts::total),
        sync_token: token.clone(),
    };
    let at = Place { library: library.id, run: run.id, now: now() };
    fault::point("listed");
    run.journal.enumerated(at, found).await?;
    fault::point("enumerated");
    let Some(token) = token else { return Ok(()) };
    match catch_up(run, library, choices, token).await? {
        CaughtUp::Yes => Ok(()),
        // The next run tries again, and lists if that is of no avail.
        CaughtUp::No(why) => {
            let name = &library.zone.name;
            let note = format!("what changed in library {name} during its listing cannot be had: {why}");
            run.board.notice(Notice::Note(note));
            Ok(())
        }
    }
}

/// Whether nobody asked yet which camera took some asset of a library.
async fn lacks_cameras(run: &Run, library: &Library) -> Result<bool, Error> {
    let (reader, id) = (run.journal.reader().clone(), library.id);
    Ok(off_thread(move || reader.lacks_cameras(id)).await?)
}

/// Makes rows of one list of a library, of which Apple announced so many assets. Gives the token of its first
/// page.
async fn list(
    run: &Run,
    library: &Library,
    index: Index,
    announced: Option<u64>,
    choices: &Arc<Choices>,
    met: &mut Met,
) -> Result<Option<String>, Error> {
    let listing = run.client.listing(&library.zone, index);
    let room = Arc::new(Semaphore::new(PAGES_WAITING_MAX));
    // A walk that may end early asks for no more pages than it must.
    let may_be_enough = met.may_be_enough();
    let fetched = stream::try_unfold((listing, 0_u64), async |(mut listing, count)| {
        if count == 2 {
            if index == Index::Visible {
                first_download_goes_first(run).await;
            }
            if let Some(announced) = announced.filter(|_| !may_be_enough) {
                listing.look_ahead(announced);
            }
        }
        let room = Arc::clone(&room).acquire_owned().await.expect("it is never closed");
        let Some(page) = next_page(run, &mut listing).await? else { return Ok(None) };
        fault::point("page-fetched");
        let fetched = Fetched { page, is_first: count == 0, _room: room };
        Ok::<_, Error>(Some((fetched, (listing, count + 1))))
    });
    // Pages are handed over in this order, and the end after them: else the last ones would wait for another.
    let fetched = fetched.map_ok(Some).chain(stream::once(future::ready(Ok(None))));
    let record = async |fetched: Option<Fetched>| {
        let Some(fetched) = fetched else {
            run.journal.no_more_pages().await?;
            return Ok(None);
        };
        let token = fetched.page.sync_token.clone();
        let at = Place { library: library.id, run: run.id, now: now() };
        let choices = Arc::clone(choices);
        // For the first one somebody waits: the workers, or whoever asks whether it is enough.
        let seen = if fetched.is_first || may_be_enough {
            run.journal.record_page(at, choices, fetched).await?
        } else {
            run.journal.record_next_page(at, choices, fetched).await?
        };
        fault::point("page-recorded");
        Ok::<_, Error>(Some((token, seen)))
    };
    // Those that are rows already wait for their commit, and for little memory.
    let together = if may_be_enough { 1 } else { PAGES_MAX + PAGES_WAITING_MAX };
    let mut recorded = pin!(fetched.map_ok(record).try_buffered(together));
    let mut token = None;
    while let Some(Some((page_token, seen))) = recorded.try_next().await? {
        // The first page's token: whatever changes during the walk comes after it.
        token = token.or(page_token);
        run.board.seen(&seen);
        run.clear(seen.leftovers).await?;
        seen.assets.iter().for_each(|asset| met.add(*asset));
        met.add_unusable(seen.oddities);
        met.count_found(&seen.already_here);
        run.first_page.store(true, Ordering::SeqCst);
        run.bell.notify_one();
        if met.is_enough() {
            break;
        }
    }
    Ok(token)
}

/// A page, and its place among those that wait to be rows.
struct Fetched {
    page: Page,
    is_first: bool,
    _room: OwnedSemaphorePermit,
}

impl Borrow<Page> for Fetched {
    fn borrow(&self) -> &Page {
        &self.page
    }
}

/// Asks for the next page, through pauses that Apple or the network imposes.
async fn next_page(run: &Run, listing: &mut Listing) -> Result<Option<Page>, Error> {
    run.through_pauses(async || listing.next().await).await
}

/// Holds the walk until the first download has left, so that it never waits behind a listing of a
/// million photos: whatever the library's size, at most two pages come before it.
async fn first_download_goes_first(run: &Run) {
    let _ = run.underway.subscribe().wait_for(|underway| *underway).await;
}
