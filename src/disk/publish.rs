//! Publishing: from `NAME.part` to `NAME`, durable, many at a time, replacing nothing.
//!
//! The order is fixed: sync every file, then rename, then sync every folder once. The journal
//! commits after that, and the caller sees to it. A crash at any point leaves either the part
//! file or the whole final file.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::disk::durable::{self, Covered};
use crate::disk::error::Error;
use crate::disk::part::PartFile;
use crate::disk::together::{Durable, Together};
use crate::disk::tree::{Folder, sync_directory};
use crate::fault;

/// How publishing one file ended.
#[derive(Debug)]
pub enum Published {
    /// It stands under its final name, and the name is durable.
    Done,
    /// The final name is taken by another file. The part is whole and durable, and waits.
    NameTaken,
    /// The system refused the name. The part is whole and durable.
    Refused(Error),
    /// A sync failed: neither the bytes nor the name may be trusted to last.
    NotDurable(Error),
}

/// Publishes a group. The answers are in the order of the files.
pub fn publish(group: &[(&PartFile, &Folder)]) -> Vec<Published> {
    publish_together(&mut Together::default(), group)
}

/// Publishes one group of many, with what is known of the disk.
pub fn publish_together(together: &mut Together, group: &[(&PartFile, &Folder)]) -> Vec<Published> {
    let parts: Vec<&PartFile> = group.iter().map(|(part, _)| *part).collect();
    let synced = together.bytes.sync(&parts);
    let mut answers: Vec<Published> = synced
        .into_iter()
        .map(|synced| match synced {
            Ok(()) => Published::Done,
            Err(error) => Published::NotDurable(error),
        })
        .collect();
    fault::point("group-synced");
    for ((part, folder), answer) in group.iter().zip(&mut answers) {
        if matches!(answer, Published::Done) {
            *answer = rename(part, folder);
        }
    }
    fault::point("group-renamed");
    sync_names(together, group, &mut answers);
    fault::point("folders-synced");
    answers
}

/// Makes the new names durable, those of new folders on the way too. One sync for each folder, whatever
/// the number of names in it.
fn sync_names(together: &mut Together, group: &[(&PartFile, &Folder)], answers: &mut [Published]) {
    let mut places: BTreeMap<&Path, (&OwnedFd, Vec<usize>)> = BTreeMap::new();
    for (place, (_, folder)) in group.iter().enumerate() {
        if matches!(answers[place], Published::Done) {
            for (path, handle) in folder.to_sync() {
                places.entry(path).or_insert((handle, Vec::new())).1.push(place);
            }
        }
    }
    let names: Vec<Names<'_>> =
        places.iter().map(|(path, (handle, _))| Names { path, handle: handle.as_fd() }).collect();
    for (synced, (_, waiting)) in together.names.sync(&names).into_iter().zip(places.into_values()) {
        let Err(error) = synced else { continue };
        // The names may not be durable: the rows stay as they are, and recovery adopts the files.
        for place in waiting {
            answers[place] = Published::NotDurable(error.again());
        }
    }
    for ((_, folder), answer) in group.iter().zip(answers) {
        if matches!(answer, Published::Done) {
            folder.became_durable();
        }
    }
}

impl Durable for &PartFile {
    fn sync(&self) -> Result<(), Error> {
        PartFile::sync(self)
    }

    fn sync_all(group: &[Self]) -> Option<Result<(), Error>> {
        let covered: Vec<_> = group.iter().map(|part| part.covered()).collect();
        let failed = |e| Error::io("sync the file system of", covered[0].path, e);
        Some(durable::sync_file_system(&covered)?.map_err(failed))
    }

    fn expect(group: &[Self]) {
        // All are on their way before the first one is waited for.
        group.iter().for_each(|part| part.begin_writeback());
    }

    fn waiting_bytes(&self) -> u64 {
        self.len()
    }
}

/// The names in a folder.
struct Names<'a> {
    path: &'a Path,
    handle: BorrowedFd<'a>,
}

impl Durable for Names<'_> {
    fn sync(&self) -> Result<(), Error> {
        sync_directory(self.handle, self.path)
    }

    fn sync_all(group: &[Self]) -> Option<Result<(), Error>> {
        let cover = |names: &Self| Covered { handle: names.handle, path: names.path, step: "syncdir" };
        let covered: Vec<_> = group.iter().map(cover).collect();
        let failed = |e| Error::io("sync the file system of", covered[0].path, e);
        Some(durable::sync_file_system(&covered)?.map_err(failed))
    }

    fn waiting_bytes(&self) -> u64 {
        0
    }
}

/// Gives the part its final name, if the name of the part still means the file that was written.
fn rename(part: &PartFile, folder: &Folder) -> Published {
    match folder.part_is(part) {
        Ok(true) => {}
        Ok(false) => return Published::Refused(Error::InTheWay { path: folder.part_path() }),
        Err(error) => return Published::Refused(error),
    }
    if let Err(e) = fault::rename(&folder.part_path(), folder.name()) {
        return Published::Refused(Error::io("publish file", &folder.final_path(), e));
    }
    match rename_new(&folder.handle, &folder.part_name(), folder.name()) {
        Ok(true) => {
            fault::point("renamed");
            Published::Done
        }
        Ok(false) => Published::NameTaken,
        Err(e) => Published::Refused(Error::io("publish file", &folder.final_path(), e)),
    }
}

/// Gives `new` to what is called `old`, unless something is called `new` already: then `false`.
pub(super) fn rename_new(folder: &OwnedFd, old: &str, new: &str) -> Result<bool, Errno> {
    rename_between(folder, old, folder, new)
}

/// The same from one folder to another.
pub(super) fn rename_between(from: &OwnedFd, old: &str, folder: &OwnedFd, new: &str) -> Result<bool, Errno> {
    match no_replace(from, old, folder, new) {
        Ok(()) => return Ok(true),
        Err(Errno::EXIST) => return Ok(false),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        Err(e) => return Err(e),
    }
    // No such rename here: a link to the new name replaces nothing either.
    match rustix::fs::linkat(from, old, folder, new, AtFlags::empty()) {
        Ok(()) => rustix::fs::unlinkat(from, old, AtFlags::empty()).map(|()| true),
        Err(Errno::EXIST) => Ok(false),
        // No links either (exFAT, some shares): look, then rename. The locks keep rollbook's own
        // hands off; only a stranger within these microseconds could be replaced.
        Err(Errno::PERM | Errno::NOTSUP | Errno::NOSYS | Errno::INVAL) => {
            match rustix::fs::statat(folder, new, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Ok(false),
                Err(Errno::NOENT) => rustix::fs::renameat(from, old, folder, new).map(|()| true),
                Err(e) => Err(e),
            }
        }
        Err(e) => Err(e),
    }
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn no_replace(from: &OwnedFd, old: &str, folder: &OwnedFd, new: &str) -> Result<(), Errno> {
    rustix::fs::renameat_with(from, old, folder, new, rustix::fs::RenameFlags::NOREPLACE)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn no_replace(_: &OwnedFd, _: &str, _: &OwnedFd, _: &str) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}
