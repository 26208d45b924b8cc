//! The trash: where files go whose asset is gone from iCloud, if the person wants that, and from
//! where they come back.
//!
//! Each file is intended, moved, and confirmed, in this order, many at a time. Nothing is replaced:
//! a name that is taken makes ours take another. What a crash leaves in motion is settled at the next
//! start by a look at where the file is. A sidecar of ours goes with its file.
//!
//! What goes there was read in its place and is what came from iCloud, and what comes back was read in the trash
//! and is what went there; anything else stays where it is and is named. A file that has something in its way
//! stays too, is named with the reason, and keeps no other from moving.
//! Files are removed for good only after the days that the person chose, and only if their bytes are those that
//! went there.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::disk::standing::Stands;
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
/// Why a file does not go to the trash.
const NOT_IT: &str =
    "their bytes are not those that came from iCloud; \"rollbook verify\" finds out whose they are";

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

/// A file that was to be moved or removed, and stays where it is. The next run tries again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stay {
    /// Where it stands, relative to the destination.
    pub path: String,
    /// Why.
    pub why: String,
}

impl Stay {
    fn because(path: String, error: disk::Error) -> Self {
        Self { path, why: error.to_string() }
    }

    fn without_a_name(path: String) -> Self {
        Self { path, why: format!("{NAMES_MAX} names are taken by other files") }
    }
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

/// At the end of a run: lets go what is gone from iCloud.
pub(super) async fn tidy(run: &Run, settings: &Settings) -> Result<(), Error> {
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

    /// Everything in the trash or in motion.
    async fn held(&self) -> Result<Vec<Trashed>, Error> {
        let (reader, account) = (self.journal.reader().clone(), self.account);
        Ok(off_thread(move || reader.trash(account)).await?)
    }

    /// Those that came there so many days ago, or earlier.
    async fn older_than(&self, days: u32) -> Result<Vec<Trashed>, Error> {
        let before = self.apples_now().saturating_sub(i64::from(days) * 86_400);
        let mut held = self.held().await?;
        held.retain(|file| file.trashed_at.is_some_and(|at| at <= before));
        Ok(held)
    }

    /// Records of each file in motion where it stands.
    async fn settle(&self) -> Result<(), Error> {
        let mut in_motion = self.held().await?;
        in_motion.retain(|file| file.trashed_at.is_none());
        for files in in_motion.chunks(BATCH) {
            let (files, stop) = (files.to_vec(), self.stop.clone());
            let looked = self.on_disk(move |of| {
                let both = |file: Trashed| {
                    let at = |path| stands(of, &file, path, &stop);
                    (at(&file.path), at(trash_path(&file)), file)
                };
                Ok(files.into_iter().map(both).collect::<Vec<_>>())
            });
            let (mut in_trash, mut in_place, mut lost) = (Vec::new(), Vec::new(), Vec::new());
            for looked in looked.await? {
                match looked {
                    (Ok(Stands::It), _, file) => in_place.push(file),
                    (_, Ok(Stands::It), file) => in_trash.push(file),
                    // Nobody can see where it is: it stays in motion, and nothing waits for it.
                    (Err(error), ..) | (_, Err(error), _) => tracing::warn!("{error}"),
                    // Nowhere, and nothing in its place: the sweep looks for it.
                    (Ok(Stands::Nothing), Ok(Stands::Nothing), file) => in_place.push(file),
                    (.., file) => lost.push(file),
                }
            }
            self.take_sidecars(in_trash.clone(), Way::There).await?;
            self.journal.trashed(self.run, self.apples_now(), ids(&in_trash)).await?;
            self.still_there(&lost).await?;
            self.settle_in_place(in_place, false).await?;
        }
        Ok(())
    }

    /// Takes sidecars along with files that have moved, before the journal knows that these have. One
    /// that cannot go stays.
    async fn take_sidecars(&self, files: Vec<Trashed>, way: Way) -> Result<(), Error> {
        let ours: Vec<Trashed> = files.into_iter().filter(|file| file.sidecar.is_some()).collect();
        if ours.is_empty() {
            return Ok(());
        }
        let beside = |path: &str| format!("{path}{}", xmp::SUFFIX);
        let moved = self.relocate(ours, |file| {
            let (place, trash) = (beside(&file.path), beside(trash_path(file)));
            if way == Way::There { (place, trash) } else { (trash, place) }
        });
        for (_, error) in moved.await?.refused {
            tracing::warn!("{error}");
        }
        Ok(())
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
    /// places already, moved by hand.
    async fn proved(
        &self,
        files: Vec<Trashed>,
        done: &mut Undeleted,
        kept: bool,
    ) -> Result<Vec<Trashed>, Error> {
        let (mut proved, mut missing) = (Vec::new(), Vec::new());
        for (stands, file) in self.read(files, trash_path).await? {
            match stands {
                Ok(Stands::It) => proved.push(file),
                Ok(Stands::Nothing) => missing.push(file),
                Ok(Stands::Another) => {
                    done.replaced.push(trash_path(&file).to_owned());
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
        self.want(missing, done).await?;
        Ok(proved)
    }

    /// Reads what stands at one of the paths of each file.
    async fn read(
        &self,
        files: Vec<Trashed>,
        at: fn(&Trashed) -> &str,
    ) -> Result<Vec<(Result<Stands, disk::Error>, Trashed)>, Error> {
        let stop = self.stop.clone();
        let look = move |of: &Destination, file: Trashed| (stands(of, &file, at(&file), &stop), file);
        self.on_disk(move |of| Ok(files.into_iter().map(|file| look(of, file)).collect())).await
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

    /// Records that files did not come back: nothing of them was moved.
    async fn still_there(&self, files: &[Trashed]) -> Result<(), Error> {
        let since = |file: &Trashed| (file.id, file.trashed_at.unwrap_or_else(|| self.apples_now()));
        Ok(self.journal.still_in_trash(files.iter().map(since).collect()).await?)
    }

    /// Those of `files` whose very bytes stand in their places; and the others.
    async fn stand_in_place(&self, files: Vec<Trashed>) -> Result<(Vec<Trashed>, Vec<Trashed>), Error> {
        let stop = self.stop.clone();
        let is_there = move |of: &Destination, file: &Trashed| {
            stands(of, file, &file.path, &stop).is_ok_and(|found| found == Stands::It)
        };
        self.on_disk(move |of| Ok(files.into_iter().partition(|file| is_there(of, file)))).await
    }

    /// Records that files stand in their places, and takes their sidecars there before.
    async fn settle_in_place(&self, homes: Vec<Trashed>, kept: bool) -> Result<(), Error> {
        let ids = ids(&homes);
        self.take_sidecars(homes, Way::Back).await?;
        Ok(self.journal.in_place(self.run, now(), ids, kept).await?)
    }

    /// Removes files for good: the person said after how many days.
    async fn purge(&self, run: &Run, old: Vec<Trashed>) -> Result<(), Error> {
        let (mut files, mut stay) = (0, Vec::new());
        for file in old {
            if run.stop.is_requested() {
                break;
            }
            let (id, path) = (file.id, trash_path(&file).to_owned());
            let removed = off_thread({
                let destination = Arc::clone(&self.destination);
                move || remove(&destination, &file)
            });
            match removed.await {
                Ok(true) => {
                    self.journal.purged(run.id, now(), vec![id]).await?;
                    files += 1;
                }
                Ok(false) => run.board.notice(Notice::ChangedInTrash { path }),
                Err(error) if error.ends_the_run() => return Err(error.into()),
                Err(error) => stay.push(Stay::because(path, error)),
            }
        }
        if files > 0 {
            run.board.notice(Notice::Purged { files });
        }
        tell(run, stay);
        Ok(())
    }

    /// Moves files from the first path to the second that `way` gives.
    async fn relocate(
        &self,
        files: Vec<Trashed>,
        way: impl Fn(&Trashed) -> (String, String),
    ) -> Result<Sorted, Error> {
        let ways: Vec<(String, String)> = files.iter().map(way).collect();
        let moved = self
            .on_disk(move |of| of.move_all(ways.iter().map(|(from, to)| (from.as_str(), to.as_str()))))
            .await?;
        let mut sorted = Sorted::default();
        for (file, moved) in files.into_iter().zip(moved) {
            match moved {
                Moved::Done => sorted.done.push(file),
                Moved::Taken => sorted.taken.push(file),
                Moved::Missing => sorted.missing.push(file),
                Moved::Refused(error) => sorted.refused.push((file, error)),
            }
        }
        Ok(sorted)
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

/// What a group of moves came to.
#[derive(Default)]
struct Sorted {
    done: Vec<Trashed>,
    /// Those whose new name is taken.
    taken: Vec<Trashed>,
    missing: Vec<Trashed>,
    refused: Vec<(Trashed, disk::Error)>,
}

/// Names the files that stay, those of one reason together.
fn tell(run: &Run, stay: Vec<Stay>) {
    let mut by_reason: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Stay { path, why } in stay {
        by_reason.entry(why).or_default().push(path);
    }
    for (why, paths) in by_reason {
        run.board.held_back(paths.len() as u64, Notice::Stay { paths, why });
    }
}

/// Whether a file stands at one of its paths.
fn stands(of: &Destination, file: &Trashed, path: &str, stop: &Stop) -> Result<Stands, disk::Error> {
    match file.sha256 {
        Some(sha256) => of.stands(path, Some(file.size_bytes), sha256, || !stop.is_requested()),
        None => Ok(Stands::Nothing),
    }
}

/// Removes a file of the trash for good, and its sidecar. `false`: something else stands there, and stays.
fn remove(of: &Destination, file: &Trashed) -> Result<bool, disk::Error> {
    let path = trash_path(file);
    let Some(sha256) = file.sha256 else { return Ok(false) };
    if !of.remove(path, Some(file.size_bytes), sha256)? {
        return Ok(false);
    }
    if let Some(sidecar) = file.sidecar {
        of.remove(&format!("{path}{}", xmp::SUFFIX), None, sidecar)?;
    }
    Ok(true)
}

fn trash_path(file: &Trashed) -> &str {
    file.trash_path.as_deref().expect("a file in motion, or in the trash, has its path there")
}

fn ids(files: &[Trashed]) -> Vec<FileId> {
    files.iter().map(|file| file.id).collect()
}
