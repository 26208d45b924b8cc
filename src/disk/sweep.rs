//! A look at whether files still stand, without opening one: a folder is entered once for all of its
//! files that come in a row, and nothing is made or changed.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use crate::disk::error::Error;
use crate::disk::tree::{Destination, enter};

/// What stands under a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Surely nothing.
    Absent,
    /// A plain file of this length.
    File(u64),
    /// Something else, or the system does not say.
    Other,
}

/// The folder that was entered last.
pub(super) enum Entered {
    Open(OwnedFd),
    Absent,
    Other,
}

impl Destination {
    /// Says of each path what stands there. The paths are relative to the destination.
    ///
    /// # Errors
    /// If the destination itself cannot be looked into.
    pub fn presence<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> Result<Vec<Presence>, Error> {
        let mut found = Vec::new();
        let mut last: Option<(&str, Entered)> = None;
        for path in paths {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            let entered = match last.take() {
                Some((at, entered)) if at == folder => entered,
                _ => self.enter_all(folder)?,
            };
            found.push(match &entered {
                Entered::Open(handle) => look(handle, name),
                Entered::Absent => Presence::Absent,
                Entered::Other => Presence::Other,
            });
            last = Some((folder, entered));
        }
        Ok(found)
    }

    /// Enters a folder, and makes none on the way.
    pub(super) fn enter_all(&self, folder: &str) -> Result<Entered, Error> {
        let mut walked = self.directory().to_owned();
        let mut handle = self.root().map_err(|e| Error::io("open directory", &walked, e))?;
        for component in folder.split('/').filter(|component| !component.is_empty()) {
            walked.push(component);
            handle = match enter(&handle, component, &walked) {
                Ok(handle) => handle,
                Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                    return Ok(Entered::Absent);
                }
                // A link, perhaps to where the person put the folder: that is for them to know.
                Err(_) => return Ok(Entered::Other),
            };
        }
        Ok(Entered::Open(handle))
    }
}

fn look(folder: &OwnedFd, name: &str) -> Presence {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
            Presence::File(stat.st_size.unsigned_abs())
        }
        Err(Errno::NOENT) => Presence::Absent,
        _ => Presence::Other,
    }
}
