//! Out of the trash: because a person said so, because Apple has it again, or by a person's own hands.
//!
//! What comes back was read in the trash and is what went there; anything else stays where it is and is named.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::disk::Destination;
use crate::disk::standing::Stands;
use crate::disk::sweep::Presence;
use crate::engine::error::Error;
use crate::engine::monitor::Notice;
use crate::engine::run::{Run, now};
use crate::engine::stop::Stop;
use crate::engine::trash::{BATCH, NAMES_MAX, Sorted, Stay, Trash, ids, stands, tell, trash_path};
use crate::journal::{Journal, Trashed, Wanted};
use crate::model::ids::FileId;

/// What came of taking files out of the trash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undeleted {
    /// Files that stand in their places again.
    pub files: u64,
    /// Files that are no longer in the trash.
    pub missing: u64,
    /// Of those, the bytes of what Apple has: they are wanted again.
    pub bytes_wanted: u64,
    /// Assets that wait for such files.
    pub assets_open: u64,
    /// Paths in the trash, relative to the destination, where something else stands than the file that
    /// went there. It stays.
    pub replaced: Vec<String>,
    /// Files that are in the trash as before, or where nobody can look.
    pub stay: Vec<Stay>,
}

/// Takes files out of the trash because a person said so.
///
/// # Errors
/// Of the journal or the disk. What was moved before stays moved.
pub async fn undelete(
    journal: &Arc<Journal>,
    destination: Destination,
    username: &str,
    wanted: Wanted,
) -> Result<Undeleted, Error> {
    let Some(account) = journal.reader().account_id(username)? else { return Ok(Undeleted::default()) };
    let trash = Trash {
        journal: Arc::clone(journal),
        destination: Arc::new(destination),
        account,
        run: None,
        stop: Stop::default(),
        clock_ahead_s: 0,
    };
    trash.settle().await?;
    let files = trash.journal.reader().named_in_trash(account, &wanted)?;
    trash.put_back(files, true).await
}

/// After a listing: brings back what Apple has again. Gives how many files are wanted from there, for they
/// are in the trash no more.
pub(in crate::engine) async fn bring_back(run: &Run) -> Result<u64, Error> {
    let trash = Trash::of(run);
    let mut restored = trash.held().await?;
    restored.retain(|file| file.restored);
    if restored.is_empty() {
        return Ok(0);
    }
    let done = trash.put_back(restored, false).await?;
    if done.files > 0 {
        run.board.notice(Notice::PutBack { files: done.files });
    }
    run.board.wanted_again(done.assets_open, done.bytes_wanted);
    for path in done.replaced {
        run.board.notice(Notice::ChangedInTrash { path });
    }
    tell(run, done.stay);
    Ok(done.missing)
}

/// Learns that a person moved files of the trash back to where they were. One that lies in the trash
/// as well was copied, and stays there.
pub(in crate::engine) async fn taken_out(run: &Run, standing: &HashSet<FileId>) -> Result<(), Error> {
    if standing.is_empty() {
        return Ok(());
    }
    let trash = Trash::of(run);
    let mut held = trash.held().await?;
    held.retain(|file| standing.contains(&file.id));
    let gone = trash.on_disk(move |of| {
        let presence = of.presence(held.iter().map(trash_path));
        let both = held.into_iter().zip(presence);
        Ok(both.filter(|(_, in_trash)| *in_trash == Presence::Absent).map(|(file, _)| file).collect())
    });
    let (homes, _) = trash.stand_in_place(gone.await?).await?;
    trash.settle_in_place(homes, true).await
}

impl Trash {
    /// Moves files out of the trash that are proved there. What is missing there and wanted by Apple is
    /// fetched again.
    async fn put_back(&self, files: Vec<Trashed>, kept: bool) -> Result<Undeleted, Error> {
        let mut done = Undeleted::default();
        for batch in files.chunks(BATCH) {
            if self.stop.is_requested() {
                break;
            }
            let mut left = self.proved(batch.to_vec(), &mut done, kept).await?;
            let mut refused_names: HashMap<FileId, Vec<String>> = HashMap::new();
            for _ in 0..NAMES_MAX {
                self.journal.intend_back(ids(&left)).await?;
                let moved = self.relocate(left, |file| (trash_path(file).to_owned(), file.path.clone()));
                let Sorted { done: homes, taken, missing, refused } = moved.await?;
                done.files += homes.len() as u64;
                self.settle_in_place(homes, kept).await?;
                self.want(missing, &mut done).await?;
                for (file, error) in refused {
                    self.still_there(std::slice::from_ref(&file)).await?;
                    done.stay.push(Stay::because(trash_path(&file).to_owned(), error));
                }
                left = taken;
                for file in &mut left {
                    let names = refused_names.entry(file.id).or_default();
                    names.push(file.path.clone());
                    let (id, asset, names) = (file.id, file.asset.clone(), names.clone());
                    file.path = self.journal.another_path(self.account, id, asset, names).await?;
                }
                if left.is_empty() {
                    break;
                }
            }
            self.still_there(&left).await?;
            done.stay.extend(left.iter().map(|file| Stay::without_a_name(trash_path(file).to_owned())));
        }
        Ok(done)
    }

    /// Reads files in the trash, and gives those that are what went there. Of the others some stand in their
    /// places already, moved by hand, and some lie under other names in the trash.
    async fn proved(
        &self,
        files: Vec<Trashed>,
        done: &mut Undeleted,
        kept: bool,
    ) -> Result<Vec<Trashed>, Error> {
        let (mut proved, mut missing, mut replaced) = (Vec::new(), Vec::new(), Vec::new());
        for (stands, file) in self.read(files, trash_path).await? {
            match stands {
                Ok(Stands::It) => proved.push(file),
                Ok(Stands::Nothing) => missing.push(file),
                Ok(Stands::Another) => {
                    replaced.push((file.id, trash_path(&file).to_owned()));
                    missing.push(file);
                }
                Err(error) if error.is_interrupted() => {}
                Err(error) if error.ends_the_run() => return Err(error.into()),
                Err(error) => done.stay.push(Stay::because(trash_path(&file).to_owned(), error)),
            }
        }
        let (by_hand, missing) = self.stand_in_place(missing).await?;
        done.files += by_hand.len() as u64;
        self.settle_in_place(by_hand, kept).await?;
        let (astray, missing) = self.find_astray(missing).await?;
        replaced.retain(|(id, _)| astray.iter().all(|file| file.id != *id));
        done.replaced.extend(replaced.into_iter().map(|(_, path)| path));
        proved.extend(astray);
        self.want(missing, done).await?;
        Ok(proved)
    }

    /// Wants those again that are not in the trash and that Apple has. The others are named by the journal as
    /// before.
    async fn want(&self, missing: Vec<Trashed>, done: &mut Undeleted) -> Result<(), Error> {
        done.missing += missing.len() as u64;
        let (wanted, lost): (Vec<_>, Vec<_>) = missing.into_iter().partition(|file| file.restored);
        done.bytes_wanted += wanted.iter().map(|file| file.size_bytes).sum::<u64>();
        done.assets_open += self.journal.refetch_trashed(now(), ids(&wanted)).await?;
        self.still_there(&lost).await
    }

    /// Those of `files` whose very bytes stand in their places; and the others.
    async fn stand_in_place(&self, files: Vec<Trashed>) -> Result<(Vec<Trashed>, Vec<Trashed>), Error> {
        let stop = self.stop.clone();
        let is_there = move |of: &Destination, file: &Trashed| {
            stands(of, file, &file.path, &stop).is_ok_and(|found| found == Stands::It)
        };
        self.on_disk(move |of| Ok(files.into_iter().partition(|file| is_there(of, file)))).await
    }
}
