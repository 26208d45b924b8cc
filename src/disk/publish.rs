//! Publishing: from `NAME.part` to `NAME`, durable, many at a time, replacing nothing.
//!
//! The order is fixed: sync every file, then rename, then sync every folder once. The journal
//! commits after that, and the caller sees to it. A crash at any point leaves either the part
//! file or the whole final file.

use std::collections::BTreeMap;
use std::os::fd::AsFd;

use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::disk::error::Error;
use crate::disk::part::PartFile;
use crate::disk::tree::{Folder, sync_directory};

/// How publishing one file ended.
#[derive(Debug)]
pub enum Published {
    /// It stands under its final name, and the name is durable.
    Done,
    /// The final name is taken by another file. The part is whole and durable, and waits.
    NameTaken,
    /// The system refused; the part must not be trusted if its sync failed.
    Failed(Error),
}

/// Publishes a group. The answers are in the order of the files.
pub fn publish(group: &[(&PartFile, &Folder)]) -> Vec<Published> {
    let mut answers: Vec<Published> = group
        .iter()
        .map(|(part, folder)| match part.sync().and_then(|()| rename(folder)) {
            Ok(true) => Published::Done,
            Ok(false) => Published::NameTaken,
            Err(error) => Published::Failed(error),
        })
        .collect();
    // One sync for each folder, whatever the number of files in it.
    let mut folders: BTreeMap<&std::path::Path, Vec<usize>> = BTreeMap::new();
    for (place, (_, folder)) in group.iter().enumerate() {
        if matches!(answers[place], Published::Done) {
            folders.entry(folder.path()).or_default().push(place);
        }
    }
    for (path, places) in folders {
        if let Err(Error::Io { action, path, source }) = sync_directory(&group[places[0]].1.handle, path) {
            // The names may not be durable: the rows stay as they are, and recovery adopts the files.
            for place in places {
                let source = std::io::Error::from(source.kind());
                answers[place] = Published::Failed(Error::Io { action, path: path.clone(), source });
            }
        }
    }
    answers
}

/// Renames the part to the final name unless something stands there. `false`: it is taken.
fn rename(folder: &Folder) -> Result<bool, Error> {
    let (part, name) = (folder.part_name(), folder.name());
    let handle = folder.handle.as_fd();
    let refused = match no_replace(folder) {
        Ok(()) => return Ok(true),
        Err(Errno::EXIST) => return Ok(false),
        Err(e) => e,
    };
    if !matches!(refused, Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) {
        return Err(Error::io("publish file", &folder.final_path(), refused));
    }
    // No such rename here: a link to the new name replaces nothing either.
    match rustix::fs::linkat(handle, part.as_str(), handle, name, AtFlags::empty()) {
        Ok(()) => rustix::fs::unlinkat(handle, part.as_str(), AtFlags::empty())
            .map(|()| true)
            .map_err(|e| Error::io("remove part file", &folder.part_path(), e)),
        Err(Errno::EXIST) => Ok(false),
        // No links either (exFAT, some shares): look, then rename. The run lock keeps rollbook's
        // own hands off; only a stranger within these microseconds could be replaced.
        Err(Errno::PERM | Errno::NOTSUP | Errno::NOSYS | Errno::INVAL) => {
            match rustix::fs::statat(handle, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Ok(false),
                Err(Errno::NOENT) => rustix::fs::renameat(handle, part.as_str(), handle, name)
                    .map(|()| true)
                    .map_err(|e| Error::io("publish file", &folder.final_path(), e)),
                Err(e) => Err(Error::io("look at file", &folder.final_path(), e)),
            }
        }
        Err(e) => Err(Error::io("publish file", &folder.final_path(), e)),
    }
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn no_replace(folder: &Folder) -> Result<(), Errno> {
    let handle = folder.handle.as_fd();
    let flags = rustix::fs::RenameFlags::NOREPLACE;
    rustix::fs::renameat_with(handle, folder.part_name().as_str(), handle, folder.name(), flags)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn no_replace(_: &Folder) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}
