//! Publishing: from `NAME.part` to `NAME`, durable, many at a time, replacing nothing.
//!
//! The order is fixed: sync every file, then rename, then sync every folder once. The journal
//! commits after that, and the caller sees to it. A crash at any point leaves either the part
//! file or the whole final file.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::disk::error::Error;
use crate::disk::part::PartFile;
use crate::disk::together::Together;
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
    let synced = together.sync(group);
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
    // One sync for each folder, whatever the number of files in it.
    let mut folders: BTreeMap<&std::path::Path, Vec<usize>> = BTreeMap::new();
    for (place, (_, folder)) in group.iter().enumerate() {
        if matches!(answers[place], Published::Done) {
            folders.entry(folder.path()).or_default().push(place);
        }
    }
    for (path, places) in folders {
        if let Err(error) = sync_directory(&group[places[0]].1.handle, path) {
            // The names may not be durable: the rows stay as they are, and recovery adopts the files.
            for place in places {
                answers[place] = Published::NotDurable(error.again());
            }
        }
    }
    fault::point("folders-synced");
    answers
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
