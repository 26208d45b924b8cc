//! The trash: where files go whose asset is gone from iCloud, if the person wants that ([`discard`]), and from
//! where they come back ([`mod@undelete`]).
//!
//! Each file is intended, moved, and confirmed, in this order, many at a time. Nothing is replaced:
//! a name that is taken makes ours take another. What a crash leaves in motion is settled at the next
//! start by a look at where the file is. A sidecar of ours goes with its file.
//!
//! A file that has something in its way stays where it is, is named with the reason, and keeps no other
//! from moving.

mod astray;
mod discard;
mod undelete;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::disk::standing::Stands;
use crate::disk::trash::Moved;
use crate::disk::{self, Destination};
use crate::engine::error::Error;
use crate::engine::monitor::Notice;
use crate::engine::run::{Run, now, off_thread};
use crate::engine::stop::Stop;
use crate::journal::{Journal, Trashed};
use crate::model::ids::{AccountId, FileId, RunId};
use crate::model::xmp;

pub(super) use discard::{recognise, tidy};
pub use undelete::{Undeleted, undelete};
pub(super) use undelete::{bring_back, taken_out};

/// Files moved between two commits.
const BATCH: usize = 64;
/// Names tried for one file. Each that is taken is a stranger's, or an older version of ours.
const NAMES_MAX: usize = 8;

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

/// Settles what a crash left in motion.
pub(super) async fn recover(run: &Run) -> Result<(), Error> {
    Trash::of(run).settle().await
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
        let astray = match way {
            Way::There => HashMap::new(),
            Way::Back => self.sidecars_astray(&ours).await?,
        };
        let moved = self.relocate(ours, |file| {
            let (place, trash) = (beside(&file.path), beside(trash_path(file)));
            match way {
                Way::There => (place, trash),
                Way::Back => (astray.get(&file.id).cloned().unwrap_or(trash), place),
            }
        });
        for (_, error) in moved.await?.refused {
            tracing::warn!("{error}");
        }
        Ok(())
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

    /// Records that files did not come back: nothing of them was moved.
    async fn still_there(&self, files: &[Trashed]) -> Result<(), Error> {
        let since = |file: &Trashed| (file.id, file.trashed_at.unwrap_or_else(|| self.apples_now()));
        Ok(self.journal.still_in_trash(files.iter().map(since).collect()).await?)
    }

    /// Records that files stand in their places, and takes their sidecars there before.
    async fn settle_in_place(&self, homes: Vec<Trashed>, kept: bool) -> Result<(), Error> {
        let ids = ids(&homes);
        self.take_sidecars(homes, Way::Back).await?;
        Ok(self.journal.in_place(self.run, now(), ids, kept).await?)
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
#[derive(Clone, Copy)]
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

/// The path of the sidecar of a file at `path`.
fn beside(path: &str) -> String {
    format!("{path}{}", xmp::SUFFIX)
}

fn trash_path(file: &Trashed) -> &str {
    file.trash_path.as_deref().expect("a file in motion, or in the trash, has its path there")
}

fn ids(files: &[Trashed]) -> Vec<FileId> {
    files.iter().map(|file| file.id).collect()
}
