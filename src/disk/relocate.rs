//! Relocating: a file of ours gets another place in the destination. Replaces nothing.
//!
//! The new folder is durable before the rename, and both folders are synced after it
//! ([`Destination::settle`]); only then does the journal commit. So a crash leaves the file under one
//! of the two names that the journal knows.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use crate::disk::error::Error;
use crate::disk::publish::rename_between;
use crate::disk::tree::{Destination, Place, sync_directory};
use crate::fault;
use crate::model::layout::PART_SUFFIX;

/// What became of a file that was to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relocated {
    /// It has its new name. Not durable yet.
    Done,
    /// Another file has that name.
    NameTaken,
    /// It is at neither place.
    Missing,
}

/// Which of the two names of a file is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The final one.
    Final,
    /// That of its part file.
    Part,
}

impl Destination {
    /// Moves the file at `from` to `to`. A file that is there already, and no longer at `from`, was moved
    /// before a crash.
    ///
    /// # Errors
    /// The system's word. The file stands under one of its two names.
    pub fn relocate(&self, from: &Place, to: &Place, which: Which) -> Result<Relocated, Error> {
        let (old, new) = (name_of(from, which), name_of(to, which));
        let path = self.directory().join(&from.path);
        let looking = |e| Error::io("look at file", &path, e);
        let source = self.existing(folder_of(&from.path))?;
        let here =
            source.as_ref().map(|folder| regular(folder, &old)).transpose().map_err(looking)?.flatten();
        let (Some(source), Some(here)) = (source, here) else {
            let target = self.existing(folder_of(&to.path))?;
            let there = target.map(|folder| regular(&folder, &new)).transpose().map_err(looking)?.flatten();
            return Ok(if there.is_some() { Relocated::Done } else { Relocated::Missing });
        };
        let target = self.folder(to)?;
        let moving = |e: Errno| Error::moving(&path, target.path(), e);
        fault::relocate(&path.with_file_name(&old), &target.path().join(&new))
            .map_err(|e| Error::moving(&path, target.path(), e))?;
        if rename_between(&source, &old, &target.handle, &new).map_err(moving)? {
            return Ok(Relocated::Done);
        }
        // Where files move by a link and an unlink, a crash may have come between the two.
        let there = regular(&target.handle, &new).map_err(looking)?;
        if there.is_some_and(|there| (there.device, there.inode) == (here.device, here.inode))
            && here.links > 1
        {
            rustix::fs::unlinkat(&source, old.as_str(), AtFlags::empty()).map_err(moving)?;
            return Ok(Relocated::Done);
        }
        Ok(Relocated::NameTaken)
    }

    /// Whether it is sure that the file did not move: it is at `from`, or there is none at `to`. Behind a
    /// link, or in a folder that does not let us in, nobody knows.
    #[must_use]
    pub fn has_stayed(&self, from: &Place, to: &Place, which: Which) -> bool {
        let stands = |place: &Place| {
            let Some(folder) = self.existing(folder_of(&place.path)).ok()? else { return Some(false) };
            Some(regular(&folder, &name_of(place, which)).ok()?.is_some())
        };
        stands(from) == Some(true) || stands(to) == Some(false)
    }

    /// Makes the names in the folders of these paths durable.
    ///
    /// # Errors
    /// The system's word: none of the moves may be trusted to last.
    pub fn settle<'a>(&self, paths: impl Iterator<Item = &'a str>) -> Result<(), Error> {
        let folders: BTreeSet<&str> = paths.map(folder_of).collect();
        for path in folders {
            if let Some(folder) = self.existing(path)? {
                sync_directory(&folder, &self.directory().join(path))?;
            }
        }
        Ok(())
    }

    /// Removes a folder, and those above it that are empty then. One that holds anything stays; one that
    /// is gone may leave those above it.
    ///
    /// # Errors
    /// The system's word.
    pub fn remove_if_empty(&self, folder: &str) -> Result<u64, Error> {
        let mut removed = 0;
        let mut path = folder;
        while !path.is_empty() {
            let full = self.directory().join(path);
            let removing = |e| Error::io("remove folder", &full, e);
            let name = path.rsplit('/').next().unwrap_or(path);
            if let Some(above) = self.existing(folder_of(path))? {
                fault::step("rmdir", &full).map_err(|e| Error::io("remove folder", &full, e))?;
                match rustix::fs::unlinkat(&above, name, AtFlags::REMOVEDIR) {
                    Ok(()) => removed += 1,
                    Err(Errno::NOENT) => {}
                    Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR | Errno::BUSY) => break,
                    Err(e) => return Err(removing(e)),
                }
                self.forget(&full);
            }
            path = folder_of(path);
        }
        Ok(removed)
    }
}

/// The folder of a path, relative to the destination; empty at the top.
#[must_use]
pub fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn name_of(place: &Place, which: Which) -> String {
    let name = place.path.rsplit('/').next().unwrap_or(&place.path);
    match which {
        Which::Final => name.to_owned(),
        Which::Part => format!("{name}.{}{PART_SUFFIX}", place.tag),
    }
}

struct Regular {
    device: u64,
    inode: u64,
    links: u64,
}

/// A regular file of that name, if there is one.
#[expect(clippy::useless_conversion, reason = "the widths of these numbers differ between systems")]
fn regular(folder: &OwnedFd, name: &str) -> Result<Option<Regular>, Errno> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => Ok(Some(Regular {
            device: stat.st_dev.into(),
            inode: stat.st_ino.into(),
            links: stat.st_nlink.into(),
        })),
        Ok(_) | Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e),
    }
}
