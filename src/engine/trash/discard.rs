//! To the trash: what is gone from iCloud goes there, and for good after the days that the person chose.
//!
//! What goes there was read in its place and is what came from iCloud; anything else stays where it is and is
//! named. Files are removed for good only if their bytes are those that went there.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::disk::standing::Stands;
use crate::disk::trash::FOLDER;
use crate::disk::{self, Destination};
use crate::engine::Settings;
use crate::engine::error::Error;
use crate::engine::monitor::Notice;
use crate::engine::policy::{Deleted, brake};
use crate::engine::run::{Run, now, off_thread};
use crate::engine::trash::{BATCH, NAMES_MAX, Sorted, Stay, Trash, Way, beside, ids, tell, trash_path};
use crate::journal::Trashed;
use crate::model::ids::FileId;

/// Why a file does not go to the trash.
const NOT_IT: &str =
    "their bytes are not those that came from iCloud; \"rollbook verify\" finds out whose they are";

/// At the end of a run: lets go what is gone from iCloud.
pub(in crate::engine) async fn tidy(run: &Run, settings: &Settings) -> Result<(), Error> {
    let trash = Trash::of(run);
    // What goes there now is for a later run to remove, however few the days.
    let old = match settings.policy.trash_days {
        Some(days) => trash.older_than(days).await?,
        None => Vec::new(),
    };
    run.journal.forget_kept().await?;
    if settings.policy.deleted == Deleted::Trashed && !run.stop.is_requested() {
        let (reader, account) = (run.journal.reader().clone(), run.account);
        let due = off_thread(move || reader.due_for_trash(account)).await?;
        let files = due.len() as u64;
        let (reader, username) = (run.journal.reader().clone(), settings.username.clone());
        let verified = off_thread(move || reader.summary(Some(&username))).await?.verified.files;
        let most = brake(settings.policy.allow_deletions, verified);
        if files > most {
            run.board.held_back(files, Notice::ManyDeleted { files, most });
        } else if files > 0 {
            let (files, stay) = trash.take(due).await?;
            if files > 0 {
                run.board.notice(Notice::Trashed { files });
            }
            tell(run, stay);
        }
    }
    trash.purge(run, old).await
}

/// Learns that files stand in the trash already, where a journal older than the trash did not say so.
pub(in crate::engine) async fn recognise(run: &Run, files: Vec<(FileId, String)>) -> Result<(), Error> {
    if files.is_empty() {
        return Ok(());
    }
    let found: Vec<FileId> = files.iter().map(|(id, _)| *id).collect();
    let count = found.len() as u64;
    run.journal.intend_trash(now(), files).await?;
    run.journal.trashed(Some(run.id), Trash::of(run).apples_now(), found).await?;
    run.board.notice(Notice::StillInTrash { files: count });
    Ok(())
}

impl Trash {
    /// Those that came there so many days ago, or earlier. None that Apple has again: it waits to come back.
    async fn older_than(&self, days: u32) -> Result<Vec<Trashed>, Error> {
        let before = self.apples_now().saturating_sub(i64::from(days) * 86_400);
        let mut held = self.held().await?;
        held.retain(|file| !file.restored && file.trashed_at.is_some_and(|at| at <= before));
        Ok(held)
    }

    /// Moves files to the trash. Says how many went there, and which stay.
    async fn take(&self, due: Vec<Trashed>) -> Result<(u64, Vec<Stay>), Error> {
        let day = Timestamp::now().strftime("%Y-%m-%d").to_string();
        let (mut files, mut stay) = (0, Vec::new());
        for batch in due.chunks(BATCH) {
            let mut left = self.proved_in_place(batch.to_vec(), &mut stay).await?;
            for name in 1..=NAMES_MAX {
                let folder = if name == 1 { day.clone() } else { format!("{day}-{name}") };
                for file in &mut left {
                    file.trash_path = Some(format!("{FOLDER}/{folder}/{}", file.path));
                }
                let intents = left.iter().map(|file| (file.id, trash_path(file).to_owned())).collect();
                self.journal.intend_trash(now(), intents).await?;
                let moved = self.relocate(left, |file| (file.path.clone(), trash_path(file).to_owned()));
                let Sorted { done, taken, missing, refused } = moved.await?;
                files += done.len() as u64;
                self.take_sidecars(done.clone(), Way::There).await?;
                self.journal.trashed(self.run, self.apples_now(), ids(&done)).await?;
                // One that is missing is for the sweep to look for.
                self.journal.not_trashed(ids(&missing)).await?;
                self.journal.not_trashed(refused.iter().map(|(file, _)| file.id).collect()).await?;
                stay.extend(refused.into_iter().map(|(file, error)| Stay::because(file.path, error)));
                left = taken;
                if left.is_empty() {
                    break;
                }
            }
            self.journal.not_trashed(ids(&left)).await?;
            stay.extend(left.into_iter().map(|file| Stay::without_a_name(file.path)));
        }
        Ok((files, stay))
    }

    /// Reads files where they belong, and gives those that are what came from iCloud: a photo that stands under
    /// another's name is nobody's to throw away. One that is missing is for the sweep to look for.
    async fn proved_in_place(
        &self,
        files: Vec<Trashed>,
        stay: &mut Vec<Stay>,
    ) -> Result<Vec<Trashed>, Error> {
        let mut proved = Vec::new();
        for (stands, file) in self.read(files, |file| &file.path).await? {
            match stands {
                Ok(Stands::It) => proved.push(file),
                Ok(Stands::Nothing) => {}
                Ok(Stands::Another) => stay.push(Stay { path: file.path, why: NOT_IT.to_owned() }),
                Err(error) if error.is_interrupted() => {}
                Err(error) if error.ends_the_run() => return Err(error.into()),
                Err(error) => stay.push(Stay::because(file.path, error)),
            }
        }
        Ok(proved)
    }

    /// Removes files for good: the person said after how many days. One that lies there under another name is
    /// known by that name from now on, and a later run removes it.
    async fn purge(&self, run: &Run, old: Vec<Trashed>) -> Result<(), Error> {
        let (mut files, mut stay) = (0, Vec::new());
        let (mut elsewhere, mut replaced) = (Vec::new(), HashSet::new());
        for file in old {
            if run.stop.is_requested() {
                break;
            }
            let (destination, of) = (Arc::clone(&self.destination), file.clone());
            match off_thread(move || remove(&destination, &of)).await {
                Ok(Stands::It) => {
                    self.journal.purged(run.id, now(), vec![file.id]).await?;
                    files += 1;
                }
                Ok(Stands::Nothing) => elsewhere.push(file),
                Ok(Stands::Another) => {
                    replaced.insert(file.id);
                    elsewhere.push(file);
                }
                Err(error) if error.ends_the_run() => return Err(error.into()),
                Err(error) => stay.push(Stay::because(trash_path(&file).to_owned(), error)),
            }
        }
        let (_, lost) = self.find_astray(elsewhere).await?;
        for file in lost {
            if replaced.contains(&file.id) {
                run.board.notice(Notice::ChangedInTrash { path: trash_path(&file).to_owned() });
                continue;
            }
            // Emptied by hand, or by a run that was killed before it could say so.
            let (id, destination) = (file.id, Arc::clone(&self.destination));
            match off_thread(move || remove_sidecar(&destination, &file)).await {
                Err(error) if error.ends_the_run() => return Err(error.into()),
                Err(error) => tracing::warn!("{error}"),
                Ok(()) => {}
            }
            self.journal.purged(run.id, now(), vec![id]).await?;
            files += 1;
        }
        if files > 0 {
            run.board.notice(Notice::Purged { files });
        }
        tell(run, stay);
        Ok(())
    }
}

/// Removes a file of the trash for good, and its sidecar, if these are its bytes. Says what stood there.
fn remove(of: &Destination, file: &Trashed) -> Result<Stands, disk::Error> {
    let Some(sha256) = file.sha256 else { return Ok(Stands::Another) };
    let stood = of.remove(trash_path(file), Some(file.size_bytes), sha256)?;
    if stood == Stands::It {
        remove_sidecar(of, file)?;
    }
    Ok(stood)
}

fn remove_sidecar(of: &Destination, file: &Trashed) -> Result<(), disk::Error> {
    if let Some(sidecar) = file.sidecar {
        of.remove(&beside(trash_path(file)), None, sidecar)?;
    }
    Ok(())
}
