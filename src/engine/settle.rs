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
use crate::journal::{self, AlbumListing, Place, Reader};
use crate::model::asset::Album;
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
///
/// An empty page ends a list, and the service gives one where more is behind. So what is missing is believed when it
/// is missing twice; half a list that was refused says nothing.
pub(super) async fn albums(run: &Run, library: &Library) -> Result<(), Error> {
    let Some(albums) = list_albums(run, library).await? else { return Ok(()) };
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
        let Some(members) = list_members(run, library, &mut listing, at, &name).await? else {
            return Ok(listing.end().await?);
        };
        listing.members_are(at, name, members).await?;
    }
    let at = Place { library: library.id, run: run.id, now: now() };
    listing.albums_are(at, names).await?;
    Ok(listing.end().await?)
}

/// The albums of a library; `None` if they are refused.
async fn list_albums(run: &Run, library: &Library) -> Result<Option<Vec<Album>>, Error> {
    let (mut albums, mut names) = (Vec::new(), HashSet::new());
    for _ in 0..2 {
        let listed = match run.through_pauses(async || run.client.albums(&library.zone).await).await {
            Err(error) if is_refused(run, library, &error) => return Ok(None),
            listed => listed?,
        };
        albums.extend(listed.into_iter().filter(|album: &Album| names.insert(album.record_name.clone())));
        let id = library.id;
        let (of_list, lacks_some) =
            ask_about(run, names, move |journal, names| journal.has_other_albums(id, names)).await?;
        names = of_list;
        if !lacks_some {
            break;
        }
    }
    Ok(Some(albums))
}

/// Lists what lies in an album. Gives all of it by name; `None` if it is refused.
async fn list_members(
    run: &Run,
    library: &Library,
    listing: &mut AlbumListing<'_>,
    at: Place,
    album: &str,
) -> Result<Option<HashSet<Box<str>>>, Error> {
    let mut names = HashSet::new();
    for _ in 0..2 {
        let mut members = run.client.members(&library.zone, album);
        loop {
            match run.through_pauses(async || members.next().await).await {
                Err(error) if is_refused(run, library, &error) => return Ok(None),
                Ok(found) if found.is_empty() => break,
                found => listing.members(at, found?).await?,
            }
        }
        names.extend(members.into_names());
        let (id, album) = (library.id, album.to_owned());
        let (of_list, lacks_some) =
            ask_about(run, names, move |journal, names| journal.holds_others(id, &album, names)).await?;
        names = of_list;
        if !lacks_some {
            break;
        }
    }
    Ok(Some(names))
}

/// Asks the journal about some names, off the threads of the network, and gives them back with the answer.
async fn ask_about<N: Send + 'static>(
    run: &Run,
    names: N,
    question: impl FnOnce(&Reader, &N) -> Result<bool, journal::Error> + Send + 'static,
) -> Result<(N, bool), Error> {
    let reader = run.journal.reader().clone();
    let (names, answer) = off_thread(move || {
        let answer = question(&reader, &names);
        (names, answer)
    })
    .await;
    Ok((names, answer?))
}

/// Whether an error is the service's word that there is no such list.
fn is_refused(run: &Run, library: &Library, error: &Error) -> bool {
    let refused = matches!(
        error,
        Error::Service(
            icloud::Error::Server { .. } | icloud::Error::Malformed { .. } | icloud::Error::Denied(_)
        )
    );
    if refused && library.zone.is_primary() {
        run.board.notice(Notice::Note(format!("cannot list albums: {error}")));
    }
    refused
}
