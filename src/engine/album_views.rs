//! Albums as folders: a tree of links to the one copy of each photo, kept in step with the journal.
//!
//! What is wanted is worked out from the journal alone and compared with the links that stand, so a run
//! that changes nothing touches no file. Each link is intended, made, and confirmed, in this order, many at a
//! time: so at no moment can a link of ours be taken for a photo. What a kill leaves between is settled by the
//! next call, and what a refusal of the disk leaves at once; a link that stood before, and is refused when it is
//! made again, is made by the next run.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::links::{Linked, View};
use crate::disk::{self, Destination};
use crate::engine::error::Error;
use crate::engine::run::{Run, off_thread};
use crate::engine::stop::Stop;
use crate::journal::{Journal, Link};
use crate::model::ids::{AccountId, FileId};
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

impl AlbumViews {
    /// Refuses a kind of link that is not to be had at the destination, before anything is begun. What a
    /// folder outside of it lies on is seen when the first link is made there.
    ///
    /// # Errors
    /// [`Error::NoSuchLinks`].
    pub fn check(&self, destination: &Destination) -> Result<(), Error> {
        let file_system = destination.file_system();
        let folder = destination.directory().join(&self.directory);
        if !folder.starts_with(destination.directory()) || file_system.may_link(self.kind) {
            return Ok(());
        }
        let others = LinkKind::ALL.into_iter().filter(|kind| file_system.may_link(*kind)).collect();
        Err(Error::NoSuchLinks { directory: destination.directory().to_owned(), kind: self.kind, others })
    }
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
    let shelf = Shelf { journal, view: &view, name: &name, account };
    let links = shelf.settle(destination, links).await?;
    let mut standing: HashMap<String, Link> =
        links.into_iter().map(|link| (link.path.clone(), link)).collect();
    let (mut missing, mut kept, mut again) = (Vec::new(), Vec::new(), Vec::new());
    for wanted in views::lay_out(&members) {
        match standing.remove(&wanted.path) {
            Some(link) if is_same(&link, &wanted, views.kind) => kept.push((link, wanted)),
            Some(link) => {
                again.push(made_again(&link));
                standing.insert(link.path.clone(), link);
                missing.push(wanted);
            }
            None => missing.push(wanted),
        }
    }
    let mut built = AlbumsBuilt { stand: kept.len() as u64, ..AlbumsBuilt::default() };
    if look == Look::AtEach {
        let at = Arc::clone(&view);
        for (link, wanted) in off_thread(move || gone_of(&at, kept)).await? {
            built.stand -= 1;
            again.push(made_again(&link));
            missing.push(wanted);
        }
    }
    // Links that stood once are told to be made again first: neither a kill nor a refusal must forget them.
    for batch in again.chunks(BATCH) {
        shelf.record(batch.to_vec(), Vec::new()).await?;
    }
    let again: HashMap<String, Link> = again.into_iter().map(|link| (link.path.clone(), link)).collect();
    // First what goes: its name may be wanted for another file.
    let leave: Vec<Link> = standing.into_values().collect();
    for batch in leave.chunks(BATCH) {
        built.removed += shelf.remove(batch.to_vec(), &again).await?;
    }
    for batch in missing.chunks(BATCH) {
        if stop.is_requested() {
            break;
        }
        let stay = shelf.make(destination, batch.to_vec(), views.kind, &again).await?;
        built.made += (batch.len() - stay.len()) as u64;
        built.foreign.extend(stay);
    }
    built.stand += built.made;
    built.foreign.truncate(FOREIGN_MAX);
    Ok(built)
}

/// Brings the views of albums in line that stand already: their photos have moved, or got other
/// bytes. Gives what was refused in folders where views cannot be had now: nobody asked for them.
pub(super) async fn follow_views(
    journal: &Arc<Journal>,
    destination: &Arc<Destination>,
    account: AccountId,
    stop: &Stop,
) -> Result<Vec<disk::Error>, Error> {
    let mut refused = Vec::new();
    let reader = journal.reader().clone();
    let known = off_thread(move || reader.album_views(account)).await?;
    // One on a disk that is not mounted now is brought in line when it is built again.
    for (directory, kind) in known.into_iter().filter(|(directory, _)| directory.is_dir()) {
        let views = AlbumViews { kind, directory };
        match build_albums(journal, destination, account, &views, Look::AtNone, stop).await {
            Ok(_) => {}
            Err(Error::Disk(error)) if is_below(&error, &views.directory) => refused.push(error),
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
}

fn is_below(error: &disk::Error, directory: &Path) -> bool {
    matches!(error, disk::Error::Io { path, .. } if path.starts_with(directory))
}

/// Takes the links of albums to a photo away, if they are all that leads to it of its `names` but its own. They
/// are told to be made again first: see [`follow_views`]. `false`: other links lead to it, and all stay.
pub(super) async fn let_go(run: &Run, file: FileId, names: u64) -> Result<bool, Error> {
    let reader = run.journal.reader().clone();
    let links = off_thread(move || reader.hard_links(file)).await?;
    // A run that was killed here may have taken some of them already.
    let links = off_thread(move || {
        let mut standing = Vec::new();
        for (directory, link) in links.into_iter().filter(|(directory, _)| directory.is_dir()) {
            if let Some(made) = link.id {
                let view = View::open(&directory)?;
                if view.stands(&link.path, made, link.kind)? {
                    standing.push((view, link.path, made, link.kind));
                }
            }
        }
        Ok::<_, disk::Error>(standing)
    })
    .await?;
    if links.is_empty() || links.len() as u64 + 1 != names {
        return Ok(false);
    }
    run.journal.make_links_again(file).await?;
    off_thread(move || {
        for (view, path, made, kind) in links {
            view.unlink(&path, made, kind)?;
        }
        Ok::<_, disk::Error>(())
    })
    .await?;
    Ok(true)
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
    /// Looks which of the links that a kill or a failure left intended were made, and forgets the others.
    async fn settle(&self, destination: &Arc<Destination>, links: Vec<Link>) -> Result<Vec<Link>, Error> {
        let (mut known, intended): (Vec<_>, Vec<_>) = links.into_iter().partition(|link| link.id.is_some());
        if !intended.is_empty() {
            let (view, destination) = (Arc::clone(self.view), Arc::clone(destination));
            let (made, others) = off_thread(move || recognise_all(&view, &destination, intended)).await?;
            known.extend(made.iter().cloned());
            self.record(made, others).await?;
        }
        Ok(known)
    }

    async fn record(&self, made: Vec<Link>, gone: Vec<String>) -> Result<(), Error> {
        Ok(self.journal.record_links(self.account, self.name.to_owned(), made, gone).await?)
    }

    /// Removes links. Those that are made `again` stay known.
    async fn remove(&self, links: Vec<Link>, again: &HashMap<String, Link>) -> Result<u64, Error> {
        let view = Arc::clone(self.view);
        let gone: Vec<String> = off_thread(move || {
            links
                .into_iter()
                .filter_map(|link| link.id.map(|id| (link, id)))
                .map(|(link, id)| view.unlink(&link.path, id, link.kind).map(|()| link.path))
                .collect::<Result<_, disk::Error>>()
        })
        .await?;
        let count = gone.len() as u64;
        let gone = gone.into_iter().filter(|path| !again.contains_key(path)).collect();
        self.record(Vec::new(), gone).await?;
        Ok(count)
    }

    /// Makes links. Gives the names of those that cannot be: somebody else's file holds them, or the photo is
    /// not there. If the disk refuses, none stays intended; those that are made `again` are for the next run.
    async fn make(
        &self,
        destination: &Arc<Destination>,
        batch: Vec<Wanted>,
        kind: LinkKind,
        again: &HashMap<String, Link>,
    ) -> Result<Vec<String>, Error> {
        let intent = |Wanted { path, file, media }| Link { path, file, media, kind, id: None };
        let batch: Vec<Link> = batch.into_iter().map(intent).collect();
        self.record(batch.clone(), Vec::new()).await?;
        let (view, at, links) = (Arc::clone(self.view), Arc::clone(destination), batch.clone());
        match off_thread(move || link_all(&view, &at, links)).await {
            Ok((made, others)) => {
                self.record(made, others.clone()).await?;
                Ok(others)
            }
            Err(refused) => {
                let paths: Vec<String> = batch.iter().map(|link| link.path.clone()).collect();
                let made = self.settle(destination, batch).await?;
                let made: HashSet<&str> = made.iter().map(|link| link.path.as_str()).collect();
                let left = paths.iter().filter(|path| !made.contains(path.as_str()));
                self.record(left.filter_map(|path| again.get(path).cloned()).collect(), Vec::new()).await?;
                Err(refused.into())
            }
        }
    }
}

/// A link that is told to be made again: it leads nowhere that is wanted.
fn made_again(link: &Link) -> Link {
    Link { media: String::new(), ..link.clone() }
}

/// Of links that were intended, those that stand; and the names of the others.
fn recognise_all(
    view: &View,
    destination: &Destination,
    intended: Vec<Link>,
) -> Result<(Vec<Link>, Vec<String>), disk::Error> {
    let (mut made, mut others) = (Vec::new(), Vec::new());
    for link in intended {
        match view.recognise(destination, &link.media, &link.path, link.kind) {
            Ok(Some(id)) => made.push(Link { id: Some(id), ..link }),
            Ok(None) => others.push(link.path),
            Err(error) if is_of_this_link(&error) => others.push(link.path),
            Err(error) => return Err(error),
        }
    }
    Ok((made, others))
}

/// Makes links. Gives them, and the names that others hold.
fn link_all(
    view: &View,
    destination: &Destination,
    batch: Vec<Link>,
) -> Result<(Vec<Link>, Vec<String>), disk::Error> {
    let (mut made, mut foreign) = (Vec::new(), Vec::new());
    for link in batch {
        match view.link(destination, &link.media, &link.path, link.kind) {
            Ok(Linked::Stands(id)) => made.push(Link { id: Some(id), ..link }),
            Ok(Linked::Foreign) => foreign.push(link.path),
            Err(error) if is_of_this_link(&error) => foreign.push(link.path),
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

/// Whether an error concerns one link, and others can be made.
fn is_of_this_link(error: &disk::Error) -> bool {
    match error {
        // A file or a link holds the name of a folder.
        disk::Error::InTheWay { .. } => true,
        // The photo itself is gone: that is for others to find and say.
        disk::Error::Io { action, .. } => *action == "read file",
        _ => false,
    }
}

/// Of links that should stand, those that do not.
fn gone_of(view: &View, kept: Vec<(Link, Wanted)>) -> Result<Vec<(Link, Wanted)>, disk::Error> {
    let mut gone = Vec::new();
    for (link, wanted) in kept {
        let Some(id) = link.id else { continue };
        if !view.stands(&link.path, id, link.kind)? {
            gone.push((link, wanted));
        }
    }
    Ok(gone)
}

fn is_same(link: &Link, wanted: &Wanted, kind: LinkKind) -> bool {
    link.file == wanted.file && link.media == wanted.media && link.kind == kind
}
