//! The trash: where files go whose asset is gone from iCloud, if the person wants that, and from
//! where they come back.
//!
//! Each file is intended, moved, and confirmed, in this order, many at a time. Nothing is replaced:
//! a name that is taken makes ours take another. What a crash leaves in motion is settled at the next
//! start by a look at where the file is. A sidecar of ours goes with its file. Files are removed for good only
//! after the days that the person chose, and only if their bytes are those that went there.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::disk::sweep::Presence;
use crate::disk::trash::{FOLDER, Moved};
use crate::disk::{self, Destination};
use crate::engine::Settings;
use crate::engine::error::Error;
use crate::engine::monitor::Notice;
use crate::engine::policy::{Deleted, brake};
use crate::engine::run::{Run, now, off_thread};
use crate::engine::stop::Stop;
use crate::journal::{Journal, Trashed, Wanted};
use crate::model::ids::{AccountId, FileId, RunId};
use crate::model::xmp;

/// Files moved between two commits.
const BATCH: usize = 64;
/// Names tried for one file. Each that is taken is a stranger's, or an older version of ours.
const NAMES_MAX: usize = 8;

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

/// Settles what a crash left in motion.
pub(super) async fn recover(run: &Run) -> Result<(), Error> {
    Trash::of(run).settle().await
}

/// After a listing: brings back what Apple has again. Gives how many files are wanted from there, for they
/// are in the trash no more.
pub(super) async fn bring_back(run: &Run) -> Result<u64, Error> {
    let trash = Trash::of(run);
    let (reader, account) = (run.journal.reader().clone(), run.account);
    let mut restored = off_thread(move || reader.trash(account)).await?;
    restored.retain(|file| file.restored);
    if restored.is_empty() {
        return Ok(0);
    }
    let done = trash.put_back(restored, false).await?;
    if done.files > 0 {
        run.board.notice(Notice::PutBack { files: done.files });
    }
    run.board.wanted_again(done.assets_open, done.bytes_wanted);
    Ok(done.missing)
}

/// At the end of a run: lets go what is gone from iCloud.
pub(super) async fn tidy(run: &Run, settings: &Settings) -> Result<(), Error> {
    let trash = Trash::of(run);
    let (reader, account) = (run.journal.reader().clone(), run.account);
    let held = off_thread(move || reader.trash(account)).await?;
    run.journal.forget_kept().await?;
    if settings.policy.deleted == Deleted::Trashed && !run.stop.is_requested() {
        let reader = run.journal.reader().clone();
        let due = off_thread(move || reader.due_for_trash(account)).await?;
        let files = due.len() as u64;
        let (reader, username) = (run.journal.reader().clone(), settings.username.clone());
        let verified = off_thread(move || reader.summary(Some(&username))).await?.verified.files;
        let most = brake(settings.policy.allow_deletions, verified);
        if files > most {
            run.board.held_back(files, Notice::ManyDeleted { files, most });
        } else if files > 0 {
            trash.take(due).await?;
            run.board.notice(Notice::Trashed { files });
        }
    }
    if let Some(days) = settings.policy.trash_days {
        let before = trash.apples_now().saturating_sub(i64::from(days) * 86_400);
        let old = held.into_iter().filter(|file| file.trashed_at.is_some_and(|at| at <= before)).collect();
        trash.purge(run, old).await?;
    }
    Ok(())
}

/// Learns that files stand in the trash already, where a journal older than the trash did not say so.
pub(super) async fn recognise(run: &Run, files: Vec<(FileId, String)>) -> Result<(), Error> {
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

/// Learns that a person moved files of the trash back to where they were. One that lies in the trash
/// as well was copied, and stays there.
pub(super) async fn taken_out(run: &Run, standing: &HashSet<FileId>) -> Result<(), Error> {
    if standing.is_empty() {
        return Ok(());
    }
    let trash = Trash::of(run);
    let (reader, account) = (run.journal.reader().clone(), run.account);
    let mut held = off_thread(move || reader.trash(account)).await?;
    held.retain(|file| standing.contains(&file.id));
    let gone = trash.on_disk(move |of| {
        let presence = of.presence(held.iter().map(trash_path))?;
        let both = held.into_iter().zip(presence);
        Ok(both.filter(|(_, in_trash)| *in_trash == Presence::Absent).map(|(file, _)| file).collect())
    });
    let (homes, _) = trash.stand_in_place(gone.await?).await?;
    trash.settle_in_place(homes, true).await
}

struct Trash {
    journal: Arc<Journal>,
    destination: Arc<Destination>,
    account: AccountId,
    run: Option<RunId>,
    stop: Stop,
    /// See [`Trash::apples_now`].
    clock_ahead_s: i64,
}

impl Trash {
    fn of(run: &Run) -> Self {
        Self {
            journal: Arc::clone(&run.journal),
            destination: Arc::clone(&run.destination),
            account: run.account,
            run: Some(run.id),
            stop: run.stop.clone(),
            clock_ahead_s: run.client.clock_ahead_s(),
        }
    }

    /// Now, by Apple's clock. What is removed for good is removed by it: a machine that wakes in 1970, or in
    /// 2040, must not make a day of thirty.
    fn apples_now(&self) -> i64 {
        now().saturating_sub(self.clock_ahead_s)
    }

    /// Records of each file in motion where it stands.
    async fn settle(&self) -> Result<(), Error> {
        let (reader, account) = (self.journal.reader().clone(), self.account);
        let held = off_thread(move || reader.trash(account)).await?;
        let in_motion: Vec<Trashed> = held.into_iter().filter(|file| file.trashed_at.is_none()).collect();
        for files in in_motion.chunks(BATCH) {
            let files = files.to_vec();
            let (files, presence) = self
                .on_disk(move |destination| {
                    let both = files.iter().flat_map(|file| [file.path.as_str(), trash_path(file)]);
                    let presence = destination.presence(both)?;
                    Ok((files, presence))
                })
                .await?;
            let (mut in_trash, mut in_place, mut in_both) = (Vec::new(), Vec::new(), Vec::new());
            for (file, places) in files.into_iter().zip(presence.chunks(2)) {
                match places {
                    [Presence::File(_), Presence::File(_)] => in_both.push(file),
                    [_, Presence::File(_)] => in_trash.push(file),
                    // Nowhere, it is not in the trash either: the sweep looks for it.
                    _ => in_place.push(file),
                }
            }
            // One of the two is a stranger's, whose name was taken.
            let (ours, others) = self.stand_in_place(in_both).await?;
            in_place.extend(ours);
            in_trash.extend(others);
            self.take_sidecars(in_trash.clone(), Way::There).await?;
            self.journal.trashed(self.run, self.apples_now(), ids(&in_trash)).await?;
            self.settle_in_place(in_place, false).await?;
        }
        Ok(())
    }

    /// Takes sidecars along with files that have moved, before the journal knows that these have. One
    /// whose name is taken stays.
    async fn take_sidecars(&self, files: Vec<Trashed>, way: Way) -> Result<(), Error> {
        let ours: Vec<Trashed> = files.into_iter().filter(|file| file.sidecar.is_some()).collect();
        if ours.is_empty() {
            return Ok(());
        }
        let beside = |path: &str| format!("{path}{}", xmp::SUFFIX);
        self.relocate(&ours, |file| {
            let (place, trash) = (beside(&file.path), beside(trash_path(file)));
            if way == Way::There { (place, trash) } else { (trash, place) }
        })
        .await?;
        Ok(())
    }

    /// Moves files to the trash.
    async fn take(&self, due: Vec<Trashed>) -> Result<(), Error> {
        let day = Timestamp::now().strftime("%Y-%m-%d").to_string();
        for batch in due.chunks(BATCH) {
            let mut left = batch.to_vec();
            for name in 1..=NAMES_MAX {
                let folder = if name == 1 { day.clone() } else { format!("{day}-{name}") };
                for file in &mut left {
                    file.trash_path = Some(format!("{FOLDER}/{folder}/{}", file.path));
                }
                let intents = left.iter().map(|file| (file.id, trash_path(file).to_owned())).collect();
                self.journal.intend_trash(now(), intents).await?;
                let moved =
                    self.relocate(&left, |file| (file.path.clone(), trash_path(file).to_owned())).await?;
                self.take_sidecars(done_of(&left, &moved), Way::There).await?;
                let (taken, missing) = self.sort(&mut left, moved, true).await?;
                self.journal.in_place(self.run, now(), ids(&missing), false).await?;
                left = taken;
                if left.is_empty() {
                    break;
                }
            }
            // Every name is taken: they stay where they are.
            self.journal.in_place(self.run, now(), ids(&left), false).await?;
        }
        Ok(())
    }

    /// Moves files out of the trash. What is missing there and wanted by Apple is fetched again.
    async fn put_back(&self, files: Vec<Trashed>, kept: bool) -> Result<Undeleted, Error> {
        let mut done = Undeleted::default();
        for batch in files.chunks(BATCH) {
            let mut left = batch.to_vec();
            let mut refused: HashMap<FileId, Vec<String>> = Default::default();
            for _ in 0..NAMES_MAX {
                self.journal.intend_back(ids(&left)).await?;
                let (moved, replaced) = self.take_out(&left).await?;
                done.replaced.extend(replaced);
                let mut homes = done_of(&left, &moved);
                let (taken, missing) = self.sort(&mut left, moved, false).await?;
                let (by_hand, missing) = self.stand_in_place(missing).await?;
                homes.extend(by_hand);
                done.files += homes.len() as u64;
                self.settle_in_place(homes, kept).await?;
                done.missing += missing.len() as u64;
                let (wanted, lost): (Vec<_>, Vec<_>) = missing.into_iter().partition(|file| file.restored);
                done.bytes_wanted += wanted.iter().map(|file| file.size_bytes).sum::<u64>();
                done.assets_open += self.journal.refetch_trashed(now(), ids(&wanted)).await?;
                self.still_there(&lost).await?;
                left = taken;
                for file in &mut left {
                    let taken = refused.entry(file.id).or_default();
                    taken.push(file.path.clone());
                    let (id, asset, taken) = (file.id, file.asset.clone(), taken.clone());
                    file.path = self.journal.another_path(self.account, id, asset, taken).await?;
                }
                if left.is_empty() {
                    break;
                }
            }
            self.still_there(&left).await?;
        }
        Ok(done)
    }

    /// Records that files did not come back: nothing of them was moved.
    async fn still_there(&self, files: &[Trashed]) -> Result<(), Error> {
        let since = |file: &Trashed| (file.id, file.trashed_at.unwrap_or_else(|| self.apples_now()));
        Ok(self.journal.still_in_trash(files.iter().map(since).collect()).await?)
    }

    /// Those of `files` whose very bytes stand in their places; and the others.
    async fn stand_in_place(&self, files: Vec<Trashed>) -> Result<(Vec<Trashed>, Vec<Trashed>), Error> {
        let stop = self.stop.clone();
        let stands = move |of: &Destination, file: &Trashed| {
            let mut standing = of.standing(&file.path).ok()?;
            let is_as_long = standing.size_bytes().ok()? == file.size_bytes;
            is_as_long.then(|| standing.sha256(|| !stop.is_requested()).ok())?
        };
        self.on_disk(move |of| {
            Ok(files.into_iter().partition(|file| {
                let found = stands(of, file);
                found.is_some() && found == file.sha256
            }))
        })
        .await
    }

    /// Records that files stand in their places, and takes their sidecars there before.
    async fn settle_in_place(&self, homes: Vec<Trashed>, kept: bool) -> Result<(), Error> {
        let ids = ids(&homes);
        self.take_sidecars(homes, Way::Back).await?;
        Ok(self.journal.in_place(self.run, now(), ids, kept).await?)
    }

    /// Removes files for good: the person said after how many days.
    async fn purge(&self, run: &Run, old: Vec<Trashed>) -> Result<(), Error> {
        let mut files = 0;
        for file in old {
            if run.stop.is_requested() {
                break;
            }
            let id = file.id;
            let path = trash_path(&file).to_owned();
            let removed = self
                .on_disk(move |of| {
                    let removed =
                        file.sha256.map_or(Ok(false), |sha256| of.remove(trash_path(&file), sha256))?;
                    if let Some(sidecar) = file.sidecar.filter(|_| removed) {
                        of.remove(&format!("{}{}", trash_path(&file), xmp::SUFFIX), sidecar)?;
                    }
                    Ok(removed)
                })
                .await?;
            if removed {
                self.journal.purged(run.id, now(), vec![id]).await?;
                files += 1;
            } else {
                run.board.notice(Notice::ChangedInTrash { path });
            }
        }
        if files > 0 {
            run.board.notice(Notice::Purged { files });
        }
        Ok(())
    }

    /// Moves files out of the trash. What stands there in the place of one, and is no file of its length, stays
    /// and is named; the file is missing.
    async fn take_out(&self, files: &[Trashed]) -> Result<(Vec<Moved>, Vec<String>), Error> {
        let files = files.to_vec();
        self.on_disk(move |of| {
            let presence = of.presence(files.iter().map(trash_path))?;
            let is_other = |at: &usize| match presence[*at] {
                Presence::Absent => false,
                Presence::File(len) => len != files[*at].size_bytes,
                Presence::Other => true,
            };
            let (others, ours): (Vec<usize>, Vec<usize>) = (0..files.len()).partition(is_other);
            let moves = ours.iter().map(|at| (trash_path(&files[*at]), files[*at].path.as_str()));
            let mut moved = vec![Moved::Missing; files.len()];
            of.move_all(moves)?.into_iter().zip(&ours).for_each(|(how, at)| moved[*at] = how);
            Ok((moved, others.into_iter().map(|at| trash_path(&files[at]).to_owned()).collect()))
        })
        .await
    }

    async fn relocate(
        &self,
        files: &[Trashed],
        way: impl Fn(&Trashed) -> (String, String),
    ) -> Result<Vec<Moved>, Error> {
        let ways: Vec<(String, String)> = files.iter().map(way).collect();
        self.on_disk(move |of| of.move_all(ways.iter().map(|(from, to)| (from.as_str(), to.as_str())))).await
    }

    /// Confirms what was moved to the trash, and gives the files whose name was taken, and those that
    /// were not there.
    async fn sort(
        &self,
        files: &mut Vec<Trashed>,
        moved: Vec<Moved>,
        to_trash: bool,
    ) -> Result<(Vec<Trashed>, Vec<Trashed>), Error> {
        let (mut done, mut taken, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for (file, moved) in files.drain(..).zip(moved) {
            match moved {
                Moved::Done => done.push(file.id),
                Moved::Taken => taken.push(file),
                Moved::Missing => missing.push(file),
            }
        }
        if to_trash {
            self.journal.trashed(self.run, self.apples_now(), done).await?;
        }
        Ok((taken, missing))
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Destination) -> Result<T, disk::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let destination = Arc::clone(&self.destination);
        Ok(off_thread(move || work(&destination)).await?)
    }
}

/// Which way a sidecar goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

/// Those that have moved.
fn done_of(files: &[Trashed], moved: &[Moved]) -> Vec<Trashed> {
    files
        .iter()
        .zip(moved)
        .filter(|(_, moved)| **moved == Moved::Done)
        .map(|(file, _)| file.clone())
        .collect()
}

fn trash_path(file: &Trashed) -> &str {
    file.trash_path.as_deref().expect("a file in motion, or in the trash, has its path there")
}

fn ids(files: &[Trashed]) -> Vec<FileId> {
    files.iter().map(|file| file.id).collect()
}
