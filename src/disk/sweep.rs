//! A look at whether files still stand, without opening one: a folder is entered once for all of its
//! files that come in a row, and nothing is made or changed.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use crate::disk::tree::Destination;

/// What stands under a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Surely nothing.
    Absent,
    /// A plain file of this length.
    File(u64),
    /// Something else, or the system does not say.
    Other,
    /// Nobody knows: its folder cannot be entered, and why. It may be a link to where the person put the folder.
    Closed(Arc<str>),
}

/// A folder that is open, is not there, or cannot be entered, and why.
type Entered = Result<Option<OwnedFd>, Arc<str>>;

impl Destination {
    /// Says of each path what stands there. The paths are relative to the destination.
    pub fn presence<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> Vec<Presence> {
        let mut found = Vec::new();
        let mut last: Option<(&str, Entered)> = None;
        for path in paths {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            let entered = match last.take() {
                Some((at, entered)) if at == folder => entered,
                _ => self.existing(folder).map_err(|error| error.to_string().into()),
            };
            found.push(match &entered {
                Ok(Some(handle)) => look(handle, name),
                Ok(None) => Presence::Absent,
                Err(why) => Presence::Closed(Arc::clone(why)),
            });
            last = Some((folder, entered));
        }
        found
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
