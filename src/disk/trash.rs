//! Moving files within the destination: into its trash and back, replacing nothing.
//!
//! Names are durable when a group returns: first those in the folders that files went to, then those
//! in the folders they left. What a crash leaves is the file under one of its two names.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::disk::error::Error;
use crate::disk::publish::rename_between;
use crate::disk::standing::Stands;
use crate::disk::tree::{Destination, Place, sync_directory};
use crate::disk::walk::{Sight, walk};
use crate::fault;
use crate::model::adoption::LocalFile;
use crate::model::checksum::Sha256Digest;

/// The trash, in the destination itself, so that moving there is a rename.
pub const FOLDER: &str = ".rollbook-trash";

/// How moving one file ended.
#[derive(Debug)]
pub enum Moved {
    /// It stands under its new name.
    Done,
    /// The new name is taken; the file stays where it was.
    Taken,
    /// There was no file to move.
    Missing,
    /// Something is in the way, for this file and not for all of them; it stays where it was.
    Refused(Error),
}

/// The folders that a group of moves touched, by path.
type Touched = BTreeMap<PathBuf, Arc<OwnedFd>>;

impl Destination {
    /// Moves each file from the first path to the second. The answers are in the same order.
    ///
    /// # Errors
    /// What ends the run; what was moved before it is moved, and the caller looks again.
    pub fn move_all<'a>(
        &self,
        moves: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Vec<Moved>, Error> {
        let (mut left, mut entered) = (Touched::new(), Touched::new());
        let mut answers = Vec::new();
        for (from, to) in moves {
            answers.push(match self.move_one(from, to, &mut left, &mut entered) {
                Ok(moved) => moved,
                Err(error) if error.ends_the_run() => return Err(error),
                Err(error) => Moved::Refused(error),
            });
        }
        for (path, handle) in entered.iter().chain(&left) {
            sync_directory(handle, path)?;
        }
        Ok(answers)
    }

    fn move_one(
        &self,
        from: &str,
        to: &str,
        left: &mut Touched,
        entered: &mut Touched,
    ) -> Result<Moved, Error> {
        let (above, old) = from.rsplit_once('/').unwrap_or(("", from));
        let old_path = self.directory().join(above);
        let Some(source) = self.existing(above)? else { return Ok(Moved::Missing) };
        let place = Place { path: to.to_owned(), tag: String::new() };
        let target = self.folder(&place)?;
        let whole = old_path.join(old);
        let refused = |e: std::io::Error| Error::moving(&whole, target.path(), e);
        fault::relocate(&whole, &target.final_path()).map_err(refused)?;
        let moved = match rename_between(&source, old, &target.handle, target.name()) {
            Ok(true) => Moved::Done,
            Ok(false) => Moved::Taken,
            Err(Errno::NOENT) => Moved::Missing,
            Err(e) => return Err(refused(e.into())),
        };
        entered.insert(target.path().to_owned(), target.handle);
        left.insert(old_path, Arc::new(source));
        Ok(moved)
    }

    /// Every file in the trash, its path relative to the destination.
    ///
    /// # Errors
    /// If the trash is there and cannot be read, or `go_on` says no.
    pub fn in_trash(&self, go_on: impl Fn() -> bool) -> Result<Vec<LocalFile>, Error> {
        if !matches!(self.existing(FOLDER), Ok(Some(_))) {
            return Ok(Vec::new());
        }
        let sights = walk(&self.directory().join(FOLDER), &[], go_on)?;
        let files = sights.into_iter().filter_map(|sight| match sight {
            Sight::File(file) => Some(LocalFile { path: format!("{FOLDER}/{}", file.path), ..file }),
            Sight::Closed(..) => None,
        });
        Ok(files.collect())
    }

    /// Removes a file for good, if these are its bytes. Says what stood there; something else stays.
    ///
    /// # Errors
    /// The system's word.
    pub fn remove(&self, path: &str, size_bytes: Option<u64>, sha256: Sha256Digest) -> Result<Stands, Error> {
        let stood = self.stands(path, size_bytes, sha256, || true)?;
        if stood != Stands::It {
            return Ok(stood);
        }
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(folder) = self.existing(above)? else { return Ok(Stands::Nothing) };
        let whole = self.directory().join(path);
        fault::step("unlink", &whole).map_err(|e| Error::io("remove file", &whole, e))?;
        match rustix::fs::unlinkat(&folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(e) => return Err(Error::io("remove file", &whole, e)),
        }
        sync_directory(&folder, &self.directory().join(above))?;
        // A folder that stays is an untidiness, and no more.
        if let Err(error) = self.remove_if_empty(above) {
            tracing::warn!("{error}");
        }
        Ok(stood)
    }
}
