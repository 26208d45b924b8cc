//! Looking at files that are here already, without changing anything: their length, their bytes.
//!
//! Folders are walked from the handle of the root, and no link is followed, as everywhere. Rows come
//! in an order in which neighbours share a folder, so the last folder is kept open.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::disk::error::Error;
use crate::disk::part::PIECE_BYTES;
use crate::disk::publish::rename_new;
use crate::disk::tree::{Destination, MARKER, Place, sync_directory};
use crate::fault;

/// Longest name that file systems allow, in bytes.
const NAME_BYTES_MAX: usize = 255;
/// Files of one name that were set aside on one day, before something else must be wrong.
const ASIDE_MAX: u32 = 1000;

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Missing,
    /// Something that is no file: what it is, in words.
    NoFile(&'static str),
    /// A regular file.
    File {
        /// How long it is.
        size_bytes: u64,
        /// When it was last written to, in Unix seconds, as the file system says.
        modified_at: i64,
    },
}

/// Looks at the files of one destination.
#[derive(Debug)]
pub struct Inspector {
    destination: Arc<Destination>,
    folder: Option<(String, Option<OwnedFd>)>,
}

/// A file that is open for reading back.
#[derive(Debug)]
pub struct Opened {
    file: File,
    path: PathBuf,
}

impl Inspector {
    /// Begins to look.
    #[must_use]
    pub fn new(destination: Arc<Destination>) -> Self {
        Self { destination, folder: None }
    }

    /// What stands at `path`.
    ///
    /// # Errors
    /// If the system does not say, or a folder on the way is a link or a file.
    pub fn look(&mut self, path: &str) -> Result<Found, Error> {
        let full = self.destination.directory().join(path);
        fault::step("look", &full).map_err(|e| Error::io("look at file", &full, e))?;
        let (folder, name) = self.enter(path)?;
        let Some(folder) = folder else { return Ok(Found::Missing) };
        match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => {
                    Found::File { size_bytes: stat.st_size.unsigned_abs(), modified_at: stat.st_mtime }
                }
                FileType::Directory => Found::NoFile("a folder"),
                FileType::Symlink => Found::NoFile("a link"),
                _ => Found::NoFile("a device, pipe or socket"),
            }),
            Err(Errno::NOENT) => Ok(Found::Missing),
            Err(e) => Err(Error::io("look at file", &full, e)),
        }
    }

    /// Whether nothing stands in the way of a new file: neither under its final name nor under that of its
    /// part. What cannot be looked at is not clear.
    pub fn is_clear(&mut self, place: &Place) -> bool {
        let nothing = |folder: &OwnedFd, name: &str| {
            matches!(rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW), Err(Errno::NOENT))
        };
        match self.enter(&place.path) {
            Ok((Some(folder), name)) => nothing(folder, name) && nothing(folder, &place.part_name()),
            Ok((None, _)) => true,
            Err(_) => false,
        }
    }

    /// Opens the file at `path` for reading it back.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(&mut self, path: &str) -> Result<Opened, Error> {
        let full = self.destination.directory().join(path);
        let refused = |e| Error::io("read file", &full, e);
        fault::step("readback", &full).map_err(refused)?;
        let (folder, name) = self.enter(path)?;
        let Some(folder) = folder else { return Err(Error::io("read file", &full, Errno::NOENT)) };
        // NONBLOCK: a pipe that took the name between look and open must not hang us.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(folder, name, flags, Mode::empty())
            .map_err(|e| Error::io("read file", &full, e))?;
        Ok(Opened { file: File::from(file), path: full })
    }

    /// Renames a damaged file to a name beside its own that says so, and replaces nothing there.
    /// Gives the new path, durable; `None` if the name means another file by now than the one that was
    /// read.
    ///
    /// # Errors
    /// The system's word; the file then stands where it stood.
    pub fn set_aside(&mut self, path: &str, read: &Opened, date: &str) -> Result<Option<String>, Error> {
        let full = self.destination.directory().join(path);
        let refused = |e: Errno| Error::io("set damaged file aside", &full, e);
        let (folder, name) = self.enter(path)?;
        let Some(folder) = folder else { return Ok(None) };
        let held = rustix::fs::fstat(&read.file).map_err(refused)?;
        match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(named) if (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino) => {}
            Ok(_) | Err(Errno::NOENT) => return Ok(None),
            Err(e) => return Err(refused(e)),
        }
        for number in 1..=ASIDE_MAX {
            let aside = aside_name(name, date, number);
            fault::rename(&full, &aside).map_err(|e| Error::io("set damaged file aside", &full, e))?;
            if rename_new(folder, name, &aside).map_err(refused)? {
                sync_directory(folder, &full)?;
                let parent = path.rsplit_once('/').map(|(parent, _)| parent);
                return Ok(Some(parent.map_or(aside.clone(), |parent| format!("{parent}/{aside}"))));
            }
        }
        Err(Error::InTheWay { path: full })
    }

    /// The folder of `path`, `None` if it is not there, and the name in it.
    fn enter<'p>(&mut self, path: &'p str) -> Result<(Option<&OwnedFd>, &'p str), Error> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        if self.folder.as_ref().is_none_or(|(known, _)| known != parent) {
            let handle = self.destination.existing(parent)?;
            self.folder = Some((parent.to_owned(), handle));
        }
        Ok((self.folder.as_ref().and_then(|(_, handle)| handle.as_ref()), name))
    }
}

impl Opened {
    /// Reads it from end to end. Asks `go_on` after each piece.
    ///
    /// # Errors
    /// The system's word; `Interrupted` if it should not go on.
    pub fn read(&mut self, go_on: impl Fn() -> bool, mut take: impl FnMut(&[u8])) -> Result<u64, Error> {
        let mut buffer = vec![0; PIECE_BYTES];
        let mut total = 0;
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => return Ok(total),
                Ok(read) => {
                    take(&buffer[..read]);
                    total += read as u64;
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io("read file", &self.path, e)),
            }
            if !go_on() {
                return Err(Error::io("read file", &self.path, std::io::ErrorKind::Interrupted));
            }
        }
    }
}

impl Destination {
    /// Checks that the marker is still there: a disk that went away has no files either.
    ///
    /// # Errors
    /// [`Error::Absent`].
    pub fn check_present(&self) -> Result<(), Error> {
        let directory = self.directory();
        let root = self.root().map_err(|e| Error::io("open directory", directory, e))?;
        match rustix::fs::statat(root, MARKER, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(()),
            Err(Errno::NOENT) => Err(Error::Absent {
                directory: directory.to_owned(),
                missing: format!("no marker file {MARKER}"),
            }),
            Err(e) => Err(Error::io("look for marker", directory, e)),
        }
    }
}

/// The name of a file that was set aside: `NAME.damaged-2026-11-24`, and with a number from the
/// second on.
fn aside_name(name: &str, date: &str, number: u32) -> String {
    let suffix = if number == 1 { format!(".damaged-{date}") } else { format!(".damaged-{date}-{number}") };
    let mut end = name.len().min(NAME_BYTES_MAX - suffix.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_for_a_damaged_file_fits_and_says_the_day() {
        assert_eq!(aside_name("a.JPG", "2026-11-24", 1), "a.JPG.damaged-2026-11-24");
        assert_eq!(aside_name("a.JPG", "2026-11-24", 2), "a.JPG.damaged-2026-11-24-2");
        let long = aside_name(&"ü".repeat(127), "2026-11-24", 12);
        assert!(long.len() <= NAME_BYTES_MAX && long.ends_with(".damaged-2026-11-24-12"), "{long}");
    }
}
