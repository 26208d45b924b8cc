//! Succession: another journal takes the place of the old one, which is put aside.
//!
//! The new journal is made under a name of its own, and synced. Then it gets the name
//! `journal-aside-DATE.db.next`, and with that it is decided: whoever takes the run lock next ends what a
//! kill cut short. So there is the old journal, whole with its log, or the new one; and the old one
//! keeps its bytes under `journal-aside-DATE.db`, whatever happened on the way.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::durable::sync_folder;
use crate::disk::error::Error;
use crate::disk::snapshots::{Snapshot, Snapshots, date, empty, put, remove_all, with_suffix};
use crate::fault;

/// What a journal that is put aside begins with.
const ASIDE: &str = "journal-aside-";
/// What the name of the journal that is to follow ends with.
const NEXT: &str = ".next";
/// The log and the shared memory first: one that belongs to another file must never lie beside the
/// new journal.
const PARTS: [&str; 3] = ["-wal", "-shm", ""];

impl Snapshots {
    /// An empty file beside the journal, to make another journal in.
    ///
    /// # Errors
    /// The system's word.
    pub fn begin_journal(&self) -> Result<PathBuf, Error> {
        let path = self.unfinished();
        empty(&path)?;
        Ok(path)
    }

    /// Copies a snapshot to such a file.
    ///
    /// # Errors
    /// The system's word.
    pub fn copy(&self, snapshot: &Snapshot) -> Result<PathBuf, Error> {
        let path = self.begin_journal()?;
        let copying = |e| Error::io("copy snapshot", &path, e);
        let mut from = File::open(&snapshot.path).map_err(copying)?;
        let mut to = OpenOptions::new().write(true).open(&path).map_err(copying)?;
        io::copy(&mut from, &mut to).map_err(copying)?;
        Ok(path)
    }

    /// Puts a finished journal in the place of the old one, which is put aside. Returns where.
    ///
    /// # Errors
    /// The system's word. The old journal is still in its place, or the next start ends this.
    pub fn replace_journal(&self, new: &Path, now: i64) -> Result<Vec<PathBuf>, Error> {
        let stem = self.unused_stem(now);
        let next = with_suffix(&stem, NEXT);
        put(new, &next)?;
        self.succeed(&next, stem)
    }

    /// Ends a replacement that was decided, and removes what one that was not left behind, and a half
    /// snapshot too. The caller has just taken the run lock.
    ///
    /// # Errors
    /// The system's word.
    pub(super) fn settle(&self, now: i64) -> Result<(), Error> {
        // What cannot be removed is an untidiness, and whoever makes the next one says why.
        let _ = remove_all(&self.unfinished());
        let _ = remove_all(&self.half());
        for next in self.decided()? {
            let mut stem = stem_of(&next);
            if stem.exists() && self.journal().exists() {
                // A file that came to the name of the journal meanwhile: nobody's bytes are replaced.
                stem = self.unused_stem(now);
            }
            self.succeed(&next, stem)?;
        }
        Ok(())
    }

    fn succeed(&self, next: &Path, stem: PathBuf) -> Result<Vec<PathBuf>, Error> {
        let mut aside = Vec::new();
        for suffix in PARTS {
            let (from, to) = (with_suffix(self.journal(), suffix), with_suffix(&stem, suffix));
            if rename("put journal aside", &from, &to)? {
                aside.push(to);
            }
        }
        // The log has left before another journal comes, on the disk too.
        self.sync_place()?;
        rename("write", next, self.journal())?;
        self.sync_place()?;
        aside.reverse();
        Ok(aside)
    }

    fn sync_place(&self) -> Result<(), Error> {
        let folder = self.journal().parent().unwrap_or(Path::new("."));
        File::open(folder)
            .and_then(|handle| sync_folder(&handle, folder))
            .map_err(|e| Error::io("sync folder", folder, e))
    }

    fn unfinished(&self) -> PathBuf {
        self.journal().with_extension("db.new")
    }

    /// Journals that are to follow: one, if a kill came in between.
    fn decided(&self) -> Result<Vec<PathBuf>, Error> {
        let folder = self.journal().parent().unwrap_or(Path::new("."));
        let reading = |e| Error::io("read data directory", folder, e);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(reading)? {
            let name = entry.map_err(reading)?.file_name();
            if name.to_str().is_some_and(|name| name.starts_with(ASIDE) && name.ends_with(NEXT)) {
                found.push(folder.join(name));
            }
        }
        found.sort();
        Ok(found)
    }

    fn unused_stem(&self, now: i64) -> PathBuf {
        let name = |more: String| self.journal().with_file_name(format!("{ASIDE}{}{more}.db", date(now)));
        let numbered = (2_u32..).map(|n| name(format!("-{n}")));
        let taken = |path: &PathBuf| {
            PARTS.iter().chain(&[NEXT]).any(|end| with_suffix(path, end).symlink_metadata().is_ok())
        };
        let mut names = std::iter::once(name(String::new())).chain(numbered);
        names.find(|path| !taken(path)).expect("numbers never end")
    }
}

/// Renames what is there; `false`: nothing is.
fn rename(what: &'static str, from: &Path, to: &Path) -> Result<bool, Error> {
    let renaming = |e| Error::io(what, from, e);
    if from.symlink_metadata().is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
        return Ok(false);
    }
    fault::relocate(from, to).map_err(renaming)?;
    std::fs::rename(from, to).map_err(renaming)?;
    Ok(true)
}

fn stem_of(next: &Path) -> PathBuf {
    let name = next.file_name().unwrap_or_default().to_string_lossy();
    next.with_file_name(OsString::from(name.strip_suffix(NEXT).unwrap_or(&name)))
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
    fn what_is_put_aside_keeps_its_bytes_and_its_log_and_takes_no_name_twice() {
        let (folder, snapshots) = place();
        for _ in 0..2 {
            std::fs::write(snapshots.journal(), b"old").unwrap();
            std::fs::write(with_suffix(snapshots.journal(), "-wal"), b"log").unwrap();
            let new = snapshots.begin_journal().unwrap();
            std::fs::write(&new, b"new").unwrap();
            let aside = snapshots.replace_journal(&new, 0).unwrap();
            assert_eq!(std::fs::read(&aside[0]).unwrap(), b"old");
            assert_eq!(std::fs::read(&aside[1]).unwrap(), b"log");
            assert_eq!(std::fs::read(snapshots.journal()).unwrap(), b"new");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 5);
    }

    #[test]
    fn a_journal_that_came_meanwhile_is_put_aside_beside_the_first() {
        let (folder, snapshots) = place();
        let aside = folder.path().join("journal-aside-19700101T000000Z.db");
        std::fs::write(&aside, b"old").unwrap();
        std::fs::write(with_suffix(&aside, NEXT), b"new").unwrap();
        std::fs::write(snapshots.journal(), b"meanwhile").unwrap();
        snapshots.settle(0).unwrap();
        assert_eq!(std::fs::read(aside).unwrap(), b"old");
        assert_eq!(std::fs::read(snapshots.journal()).unwrap(), b"new");
        let other = folder.path().join("journal-aside-19700101T000000Z-2.db");
        assert_eq!(std::fs::read(other).unwrap(), b"meanwhile");
    }
}
