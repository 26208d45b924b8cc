//! Snapshots of the journal.
//!
//! A snapshot is `snapshots/journal-RUN-DATE.db` in the data directory: made under another name,
//! synced, and then renamed, so that what has the name is whole. Nothing here deletes anything but
//! snapshots that newer ones have replaced. How one takes the place of a journal is
//! the module `succession`'s business.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;

use crate::disk::durable;
use crate::disk::error::Error;
use crate::disk::space;
use crate::fault;

/// Room that a snapshot leaves to everybody else. The disk of the journal must not fill up for it.
const FREE_BYTES_MIN: u64 = 64 * 1024 * 1024;
/// Clocks differ by less.
const DAY_S: i64 = 86_400;
/// The name of a snapshot that is being made.
const NEW: &str = "new.db";

/// A snapshot that is whole, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Where it is.
    pub path: PathBuf,
    /// Its file name.
    pub name: String,
    /// The last run in it.
    pub run: i64,
    /// Its length.
    pub size_bytes: u64,
}

/// The place of a journal and its snapshots.
#[derive(Clone, Debug)]
pub struct Snapshots {
    journal: PathBuf,
    folder: PathBuf,
}

impl Snapshots {
    pub(super) fn of(data_dir: &Path, journal: PathBuf) -> Self {
        Self { journal, folder: data_dir.join("snapshots") }
    }

    /// The journal that they are of.
    #[must_use]
    pub fn journal(&self) -> &Path {
        &self.journal
    }

    /// The snapshots that there are, newest first. One with a date that is still to come was made by a clock
    /// that was wrong: it counts as the oldest, or it would outlive all that follow.
    ///
    /// # Errors
    /// If the folder is there and cannot be read.
    pub fn list(&self) -> Result<Vec<Snapshot>, Error> {
        let reading = |e| Error::io("read snapshots", &self.folder, e);
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(reading(e)),
        };
        let mut found = Vec::new();
        let tomorrow = date(unix(fault::clock()).saturating_add(DAY_S));
        for entry in entries {
            let entry = entry.map_err(reading)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some((run, date)) = parse(&name) {
                let size_bytes = entry.metadata().map_err(reading)?.len();
                found.push((
                    (date <= tomorrow, date, run),
                    Snapshot { path: entry.path(), name, run, size_bytes },
                ));
            }
        }
        found.sort_by(|a, b| b.0.cmp(&a.0));
        Ok(found.into_iter().map(|(_, snapshot)| snapshot).collect())
    }

    /// Whether there is no journal, or an empty file in its place.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn journal_is_gone(&self) -> Result<bool, Error> {
        match std::fs::metadata(&self.journal) {
            Ok(found) => Ok(found.is_file() && found.len() == 0),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(e) => Err(Error::io("look at journal", &self.journal, e)),
        }
    }

    /// Begins a snapshot: an empty file that nobody else may read.
    ///
    /// # Errors
    /// [`Error::NoRoom`] if a copy of the journal would fill the disk; else the system's word.
    pub fn begin(&self) -> Result<PathBuf, Error> {
        let making = |e| Error::io("make snapshots folder", &self.folder, e);
        fault::step("snapshot", &self.folder).map_err(making)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(making)?;
        let size_bytes = std::fs::metadata(&self.journal).map_or(0, |journal| journal.len());
        space::room(&self.folder, Some(FREE_BYTES_MIN))?.check(&self.folder, size_bytes)?;
        let path = self.half();
        empty(&path)?;
        Ok(path)
    }

    /// Gives the snapshot its name, durable, and lets go of all but the newest `kept`.
    ///
    /// # Errors
    /// The system's word; the older ones are still there.
    pub fn keep(&self, run: i64, now: i64, kept: usize) -> Result<PathBuf, Error> {
        let new = self.half();
        let path = self.folder.join(format!("journal-{run}-{}.db", date(now)));
        put(&new, &path)?;
        fault::point("snapshot-kept");
        for old in self.list()?.into_iter().skip(kept.max(1)) {
            let removing = |e| Error::io("remove old snapshot", &old.path, e);
            fault::step("snapshot-unlink", &old.path).map_err(removing)?;
            std::fs::remove_file(&old.path).map_err(removing)?;
        }
        Ok(path)
    }

    /// Takes back what [`Self::begin`] made.
    pub fn abandon(&self) {
        let _ = std::fs::remove_file(self.half());
    }

    /// Where a snapshot is made.
    pub(super) fn half(&self) -> PathBuf {
        self.folder.join(NEW)
    }
}

/// Makes `new` durable and gives it its name.
pub(super) fn put(new: &Path, path: &Path) -> Result<(), Error> {
    let naming = |e| Error::io("write", path, e);
    let file = File::open(new).map_err(naming)?;
    // For who reads the log: its bytes came in ways that have no steps, and may be lost until now.
    fault::write(new, 0, file.metadata().map_err(naming)?.len()).map_err(naming)?;
    fault::step("snapshot-sync", new).map_err(naming)?;
    durable::sync_file(&file, new).map_err(naming)?;
    fault::step("snapshot-rename", path).map_err(naming)?;
    fault::relocate(new, path).map_err(naming)?;
    std::fs::rename(new, path).map_err(naming)?;
    fault::point("snapshot-named");
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|handle| durable::sync_folder(&handle, folder)).map_err(naming)
}

/// An empty file that nobody else may read, in place of what a run that was killed may have left.
pub(super) fn empty(path: &Path) -> Result<(), Error> {
    remove_all(path)?;
    let making = |e| Error::io("create", path, e);
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop).map_err(making)
}

/// Removes an unfinished file, and the log of its own that it may have.
pub(super) fn remove_all(path: &Path) -> Result<(), Error> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let path = with_suffix(path, suffix);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Error::io("remove", &path, e)),
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn unix(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A time as part of a file name, so that names sort by it.
pub(super) fn date(now: i64) -> String {
    Timestamp::from_second(now).unwrap_or_default().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Run and date in the name of a snapshot.
fn parse(name: &str) -> Option<(i64, String)> {
    let (run, date) = name.strip_prefix("journal-")?.strip_suffix(".db")?.split_once('-')?;
    Some((run.parse().ok()?, date.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, Snapshots) {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::of(folder.path(), folder.path().join("journal.db"));
        (folder, snapshots)
    }

    #[test]
    fn the_newest_are_kept_and_a_half_one_is_none() {
        let (_folder, snapshots) = place();
        for run in 1..=5 {
            std::fs::write(snapshots.begin().unwrap(), b"whole").unwrap();
            snapshots.keep(run, 1_700_000_000 + run, 3).unwrap();
        }
        snapshots.begin().unwrap();
        let runs: Vec<i64> = snapshots.list().unwrap().iter().map(|snapshot| snapshot.run).collect();
        assert_eq!(runs, [5, 4, 3]);
    }
}
