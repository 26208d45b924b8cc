//! Albums as folders: a tree of links to the one copy of each photo, kept in step with the journal.
//!
//! What is wanted is worked out from the journal alone and compared with the links that stand, so a run
//! that changes nothing touches no file. Links are made before the journal knows of them, and known
//! again if a kill came between.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::links::{Linked, View};
use crate::disk::{self, Destination};
use crate::engine::error::Error;
use crate::engine::run::off_thread;
use crate::engine::stop::Stop;
use crate::journal::{Journal, Link};
use crate::model::ids::AccountId;
use crate::model::views::{self, LinkKind, Wanted};

/// Links that share one operation of the journal, and one sync of each of their folders.
const BATCH: usize = 1024;
/// Foreign files that are named.
const FOREIGN_MAX: usize = 20;

/// How albums are to be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlbumViews {
    /// How links are made.
    pub kind: LinkKind,
    /// The folder that holds them; below the destination unless it is absolute.
    pub directory: PathBuf,
}

/// What was done to a view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlbumsBuilt {
    /// Links that were made.
    pub made: u64,
    /// Links that were removed.
    pub removed: u64,
    /// Links that stand, those included.
    pub stand: u64,
    /// Names that somebody else's file holds, at most twenty.
    pub foreign: Vec<String>,
}

/// Brings a view in line with the journal. With `look`, links that stand are looked at too, and made
/// again if they are gone.
///
/// # Errors
/// What the disk or the journal says. What stands is known; the next call goes on.
pub async fn build_albums(
    journal: &Arc<Journal>,
    destination: &Arc<Destination>,
    account: AccountId,
    views: &AlbumViews,
    look: Look,
    stop: &Stop,
) -> Result<AlbumsBuilt, Error> {
    let directory = destination.directory().join(&views.directory);
    let view = Arc::new(off_thread(move || View::open(&directory)).await?);
    let name = view.directory().to_string_lossy().into_owned();
    let (reader, of) = (journal.reader().clone(), name.clone());
    let (members, links) = off_thread(move || {
        Ok::<_, crate::journal::Error>((reader.album_members(account)?, reader.album_links(account, &of)?))
    })
    .await?;
    let mut standing: HashMap<String, Link> =
        links.into_iter().map(|link| (link.path.clone(), link)).collect();
    let (mut missing, mut kept) = (Vec::new(), Vec::new());
    for wanted in views::lay_out(&members) {
        match standing.remove(&wanted.path) {
            Some(link) if is_same(&link, &wanted, views.kind) => kept.push((link, wanted)),
            Some(link) => {
                standing.insert(link.path.clone(), link);
                missing.push(wanted);
            }
            None => missing.push(wanted),
        }
    }
    let mut built = AlbumsBuilt { stand: kept.len() as u64, ..AlbumsBuilt::default() };
    if look == Look::AtEach {
        let at = Arc::clone(&view);
        let gone = off_thread(move || still_there(&at, kept)).await?;
        built.stand -= gone.len() as u64;
        missing.extend(gone);
    }
    let shelf = Shelf { journal, view: &view, name: &name, account };
    // First what goes: its name may be wanted for another file.
    let leave: Vec<Link> = standing.into_values().collect();
    for batch in leave.chunks(BATCH) {
        built.removed += shelf.remove(batch.to_vec()).await?;
    }
    for batch in missing.chunks(BATCH) {
        if stop.is_requested() {
            break;
        }
        let foreign = shelf.make(destination, batch.to_vec(), views.kind).await?;
        built.made += (batch.len() - foreign.len()) as u64;
        built.foreign.extend(foreign);
    }
    built.stand += built.made;
    built.foreign.truncate(FOREIGN_MAX);
    Ok(built)
}

/// Whether links that should stand are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The journal is believed: the end of every run.
    AtNone,
    /// Each is looked at: a person asked.
    AtEach,
}

/// One view that is being brought in line.
struct Shelf<'a> {
    journal: &'a Arc<Journal>,
    view: &'a Arc<View>,
    name: &'a str,
    account: AccountId,
}

impl Shelf<'_> {
    async fn remove(&self, links: Vec<Link>) -> Result<u64, Error> {
        let view = Arc::clone(self.view);
        let gone: Vec<String> = off_thread(move || {
            links
                .into_iter()
                .map(|link| view.unlink(&link.path, link.id, link.kind).map(|()| link.path))
                .collect::<Result<_, disk::Error>>()
        })
        .await?;
        let count = gone.len() as u64;
        self.journal.record_links(self.account, self.name.to_owned(), Vec::new(), gone).await?;
        Ok(count)
    }

    /// Makes links. Gives the names that somebody else's file holds.
    async fn make(
        &self,
        destination: &Arc<Destination>,
        batch: Vec<Wanted>,
        kind: LinkKind,
    ) -> Result<Vec<String>, Error> {
        let (view, destination) = (Arc::clone(self.view), Arc::clone(destination));
        let (made, foreign) = off_thread(move || link_all(&view, &destination, batch, kind)).await?;
        self.journal.record_links(self.account, self.name.to_owned(), made, Vec::new()).await?;
        Ok(foreign)
    }
}

fn link_all(
    view: &View,
    destination: &Destination,
    batch: Vec<Wanted>,
    kind: LinkKind,
) -> Result<(Vec<Link>, Vec<String>), disk::Error> {
    let (mut made, mut foreign) = (Vec::new(), Vec::new());
    for Wanted { path, file, media } in batch {
        match view.link(destination, &media, &path, kind) {
            Ok(Linked::Stands(id)) => made.push(Link { path, file, media, kind, id }),
            Ok(Linked::Foreign) => foreign.push(path),
            // A file or a link holds the name of a folder.
            Err(disk::Error::InTheWay { .. }) => foreign.push(path),
            // The photo itself is gone: that is for others to find and say.
            Err(disk::Error::Io { action: "read file", .. }) => foreign.push(path),
            Err(error) => return Err(error),
        }
    }
    let mut last: Option<&Path> = None;
    for link in &made {
        let folder = Path::new(&link.path).parent();
        if folder != last {
            view.make_durable(&link.path)?;
            last = folder;
        }
    }
    Ok((made, foreign))
}

/// Of links that should stand, those that do not.
fn still_there(view: &View, kept: Vec<(Link, Wanted)>) -> Result<Vec<Wanted>, disk::Error> {
    let mut gone = Vec::new();
    for (link, wanted) in kept {
        if !view.stands(&link.path, link.id, link.kind)? {
            gone.push(wanted);
        }
    }
    Ok(gone)
}

fn is_same(link: &Link, wanted: &Wanted, kind: LinkKind) -> bool {
    link.file == wanted.file && link.media == wanted.media && link.kind == kind
}
