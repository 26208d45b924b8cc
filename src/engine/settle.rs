//! Settling a listing: what it did not meet, and the albums.
//!
//! An asset that a whole listing did not meet may be gone, or have slipped through while ranks
//! shifted. So nothing is believed of it before its name was looked up.

use crate::engine::catch_up;
use crate::engine::error::Error;
use crate::engine::library::Library;
use crate::engine::met::Met;
use crate::engine::monitor::Notice;
use crate::engine::run::{Run, now, off_thread};
use crate::icloud::{self, LOOKUP_NAMES_MAX};
use crate::journal::Place;
use crate::model::change::Counts;
use crate::model::choices::Choices;
use std::collections::HashSet;
use std::sync::Arc;

/// Looks up every asset of the journal that the listing did not meet, and records what became of
/// it. A listing that met fewer records than Apple counts is no proof, and settles nothing.
pub(super) async fn unmet(
    run: &Run,
    library: &Library,
    choices: &Arc<Choices>,
    met: &Met,
    counts: Option<Counts>,
) -> Result<(), Error> {
    if counts.is_some_and(|counts| counts.total() > met.count() + met.unusable()) {
        return Ok(());
    }
    let (reader, id, met) = (run.journal.reader().clone(), library.id, met.clone());
    let names = off_thread(move || reader.unmet(id, |asset| met.has(asset))).await?;
    for names in names.chunks(LOOKUP_NAMES_MAX) {
        let ask = async || run.client.look_up_assets(&library.zone, names).await;
        let mut changes = match run.through_pauses(ask).await {
            Ok(changes) => changes,
            Err(Error::Service(why @ (icloud::Error::Server { .. } | icloud::Error::Malformed { .. }))) => {
                let note = format!("cannot look up what the listing did not meet: {why}");
                run.board.notice(Notice::Note(note));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        // What cannot be used was named when it was listed; here only presence is asked for.
        changes.page.oddities.clear();
        catch_up::record(run, library, choices, changes).await?;
    }
    Ok(())
}

/// Lists the albums and what lies in them. A library without albums is none the worse for it.
pub(super) async fn albums(run: &Run, library: &Library) -> Result<(), Error> {
    let refused = |error: &Error| {
        let refusal = matches!(
            error,
            Error::Service(
                icloud::Error::Server { .. } | icloud::Error::Malformed { .. } | icloud::Error::Denied(_)
            )
        );
        if refusal && library.zone.is_primary() {
            run.board.notice(Notice::Note(format!("cannot list albums: {error}")));
        }
        refusal
    };
    let albums = match run.through_pauses(async || run.client.albums(&library.zone).await).await {
        Err(error) if refused(&error) => return Ok(()),
        albums => albums?,
    };
    let mut listing = run.journal.album_listing();
    let mut names = HashSet::with_capacity(albums.len());
    for album in albums {
        let at = Place { library: library.id, run: run.id, now: now() };
        let (name, is_folder) = (album.record_name.clone(), album.folder);
        listing.album(at, album).await?;
        names.insert(name.clone());
        if is_folder {
            continue;
        }
        let mut members = run.client.members(&library.zone, &name);
        loop {
            match run.through_pauses(async || members.next().await).await {
                // Half a listing would take the others for gone.
                Err(error) if refused(&error) => return Ok(listing.end().await?),
                Ok(found) if found.is_empty() => break,
                found => listing.members(at, found?).await?,
            }
        }
        listing.members_are(at, name, members.into_names()).await?;
    }
    let at = Place { library: library.id, run: run.id, now: now() };
    listing.albums_are(at, names).await?;
    Ok(listing.end().await?)
}
