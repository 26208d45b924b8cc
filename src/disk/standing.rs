//! Files that stand already, put there by somebody else: read, made durable, or brought into place.
//!
//! A file in the destination is opened from a handle on the root, and no link on the way is followed.
//! Nothing of it is changed: not its bytes, not its name, not its times.

use std::collections::HashSet;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::disk::error::{Error, LINK_FILE};
use crate::disk::part::{self, PartFile};
use crate::disk::publish::{self, Published};
use crate::disk::tree::{Destination, Folder, enter, sync_directory};
use crate::fault;
use crate::model::adoption::LocalFile;
use crate::model::checksum::{Digests, Hasher, Sha256Digest};

/// How a file outside of the destination is brought into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bring {
    /// A second name of the same file.
    Link,
    /// A copy; where the file system can, one that shares the bytes until one of the two changes.
    Copy,
}

/// A file that stands in the destination, opened for reading.
#[derive(Debug)]
pub struct Standing {
    file: File,
    /// Its folder and those above it, from the root on.
    folders: Vec<(OwnedFd, PathBuf)>,
    path: PathBuf,
}

/// What stands where a certain file should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// Nothing.
    Nothing,
    /// The very file.
    It,
    /// Something else.
    Another,
}

/// Folders whose names were made durable in this run.
#[derive(Debug, Default)]
pub struct Durable(Mutex<HashSet<PathBuf>>);

impl Destination {
    /// Opens a file that stands at `path`, relative to the destination. Creates nothing.
    ///
    /// # Errors
    /// If it is not there, is no plain file, or a link is on the way.
    pub fn standing(&self, path: &str) -> Result<Standing, Error> {
        let mut walked = self.directory().to_owned();
        let root = self.root().map_err(|e| Error::io("open directory", &walked, e))?;
        let mut folders = vec![(root, walked.clone())];
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        for component in above.split('/').filter(|component| !component.is_empty()) {
            walked.push(component);
            let (handle, _) = folders.last().expect("the root at least");
            let handle = enter(handle, component, &walked)?;
            folders.push((handle, walked.clone()));
        }
        let (folder, _) = folders.last().expect("the root at least");
        let path = walked.join(name);
        let file = open(folder, name, &path)?;
        Ok(Standing { file, folders, path })
    }

    /// Says whether the file of this digest stands at `path`, relative to the destination. One of another
    /// length, where that is known, is not read.
    ///
    /// # Errors
    /// If nobody can tell: it cannot be read, or something is on the way; interrupted if `go_on` says no.
    pub fn stands(
        &self,
        path: &str,
        size_bytes: Option<u64>,
        sha256: Sha256Digest,
        go_on: impl Fn() -> bool,
    ) -> Result<Stands, Error> {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(folder) = self.existing(above)? else { return Ok(Stands::Nothing) };
        match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat)
                if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
                    && size_bytes.is_none_or(|wanted| stat.st_size.unsigned_abs() == wanted) => {}
            Ok(_) => return Ok(Stands::Another),
            Err(Errno::NOENT) => return Ok(Stands::Nothing),
            Err(e) => return Err(Error::io("look at file", &self.directory().join(path), e)),
        }
        let found = self.standing(path)?.sha256(go_on)?;
        Ok(if found == sha256 { Stands::It } else { Stands::Another })
    }
}

impl Standing {
    /// The open file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Its folder, and its name there.
    pub(super) fn place(&self) -> (&OwnedFd, &std::ffi::OsStr) {
        let (folder, _) = self.folders.last().expect("the root at least");
        (folder, self.path.file_name().unwrap_or_default())
    }

    /// Reads the whole file, if it is still the one that the walk met.
    ///
    /// # Errors
    /// If it cannot be read or changed meanwhile; interrupted if `go_on` says no.
    pub fn digests(&mut self, met: &LocalFile, go_on: impl Fn() -> bool) -> Result<Digests, Error> {
        read(&mut self.file, &self.path, met, go_on)
    }

    /// Copies the whole file into an empty part file, and reads what was written through `hasher`.
    /// Where the file system can, the two share their bytes until one of them changes.
    ///
    /// # Errors
    /// If it cannot be read or written, or is no plain file; interrupted if `go_on` says no.
    pub fn copy_into(
        &mut self,
        part: &mut PartFile,
        hasher: &mut Hasher,
        go_on: impl Fn() -> bool,
    ) -> Result<(), Error> {
        let reading = |source| Error::reading(&self.path, source);
        if !self.file.metadata().map_err(reading)?.is_file() {
            return Err(reading(std::io::Error::other("it is no plain file")));
        }
        if !part.clone_from(&self.file)? {
            let mut piece = vec![0; part::PIECE_BYTES];
            loop {
                let read = std::io::Read::read(&mut self.file, &mut piece).map_err(reading)?;
                if read == 0 {
                    break;
                }
                if !go_on() {
                    return Err(reading(std::io::ErrorKind::Interrupted.into()));
                }
                part.append(&[Bytes::copy_from_slice(&piece[..read])])?;
            }
        }
        part.hash(hasher)
    }

    /// Reads the whole file, and gives its SHA-256.
    ///
    /// # Errors
    /// If it cannot be read; interrupted if `go_on` says no.
    pub fn sha256(&mut self, go_on: impl Fn() -> bool) -> Result<Sha256Digest, Error> {
        let mut hasher = Hasher::default();
        part::hash(&mut self.file, None, &mut hasher, go_on).map_err(|e| Error::reading(&self.path, e))?;
        Ok(hasher.finish().sha256)
    }

    /// Its length.
    ///
    /// # Errors
    /// The system's word.
    pub fn size_bytes(&self) -> Result<u64, Error> {
        Ok(self.file.metadata().map_err(|e| Error::reading(&self.path, e))?.len())
    }

    /// Makes its bytes durable, and its name with those of all folders above it.
    ///
    /// # Errors
    /// The system's word.
    pub fn make_durable(&self, durable: &Durable) -> Result<(), Error> {
        part::sync_whole(&self.file, &self.path).map_err(|e| Error::reading(&self.path, e))?;
        for (handle, path) in self.folders.iter().rev() {
            let known = || durable.0.lock().unwrap_or_else(PoisonError::into_inner);
            if !known().contains(path) {
                sync_directory(handle, path)?;
                known().insert(path.clone());
            }
        }
        Ok(())
    }
}

/// Reads a whole file anywhere, if it is still the one that the walk met.
///
/// # Errors
/// As [`Standing::digests`].
pub fn digests(path: &Path, met: &LocalFile, go_on: impl Fn() -> bool) -> Result<Digests, Error> {
    read(&mut open(CWD, path, path)?, path, met, go_on)
}

/// Brings a file from outside under the final name in `folder`. `None`: the name is taken, and what
/// stands there stays. The name is durable when this returns. The same bytes under that name were brought by
/// a run that was killed before it could say so.
///
/// # Errors
/// The system's word, such as two file systems that cannot share a link.
pub fn bring(source: &Path, how: Bring, folder: &Folder, digests: &Digests) -> Result<Option<()>, Error> {
    let target = folder.final_path();
    if is_brought(source, folder, digests)? {
        return folder.make_durable().map(Some);
    }
    match how {
        Bring::Link => {
            fault::step("link", &target).map_err(|e| Error::io(LINK_FILE, &target, e))?;
            part::sync_whole(&open(CWD, source, source)?, source).map_err(|e| Error::reading(source, e))?;
            match rustix::fs::linkat(CWD, source, &folder.handle, folder.name(), AtFlags::empty()) {
                Ok(()) => folder.make_durable().map(Some),
                Err(Errno::EXIST) => Ok(None),
                Err(e) => Err(Error::io(LINK_FILE, &target, e)),
            }
        }
        Bring::Copy => copy(source, folder, digests),
    }
}

/// Whether the very bytes stand under the final name already. They are durable then.
fn is_brought(source: &Path, folder: &Folder, digests: &Digests) -> Result<bool, Error> {
    let target = folder.final_path();
    let reading = |e| Error::reading(&target, e);
    // What cannot be opened is a stranger's, and holds its name.
    let Ok(mut file) = open(&folder.handle, folder.name(), &target) else { return Ok(false) };
    let meta = file.metadata().map_err(reading)?;
    let wanted = open(CWD, source, source)?.metadata().map_err(|e| Error::reading(source, e))?;
    if !meta.is_file() || meta.len() != wanted.len() {
        return Ok(false);
    }
    let mut hasher = Hasher::default();
    part::hash(&mut file, None, &mut hasher, || true).map_err(reading)?;
    let is_same = hasher.finish() == *digests;
    if is_same {
        part::sync_whole(&file, &target).map_err(reading)?;
    }
    Ok(is_same)
}

fn copy(source: &Path, folder: &Folder, digests: &Digests) -> Result<Option<()>, Error> {
    let mut from = open(CWD, source, source)?;
    let meta = from.metadata().map_err(|e| Error::reading(source, e))?;
    let mut part = PartFile::create(folder, 0)?;
    if !part.clone_from(&from)? {
        let mut piece = vec![0; part::PIECE_BYTES];
        loop {
            let read = std::io::Read::read(&mut from, &mut piece).map_err(|e| Error::reading(source, e))?;
            if read == 0 {
                break;
            }
            part.append(&[Bytes::copy_from_slice(&piece[..read])])?;
        }
    }
    // What was written is what counts: the source may have changed since it was read.
    let mut hasher = Hasher::default();
    part.hash(&mut hasher)?;
    if hasher.finish() != *digests {
        folder.remove_part()?;
        return Err(Error::reading(source, std::io::Error::other("it changed while it was copied")));
    }
    if let Ok(modified) = meta.modified() {
        part.set_modified_at(modified);
    }
    match publish::publish(&[(&part, folder)]).pop() {
        Some(Published::Done) => Ok(Some(())),
        Some(Published::NameTaken) | None => folder.remove_part().map(|()| None),
        Some(Published::Refused(error) | Published::NotDurable(error)) => Err(error),
    }
}

pub(super) fn open(
    folder: impl std::os::fd::AsFd,
    name: impl rustix::path::Arg,
    path: &Path,
) -> Result<File, Error> {
    // NONBLOCK: a pipe that took the name must not hang us.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::empty())
        .map(File::from)
        .map_err(|e| Error::io("read file", path, e))
}

fn read(file: &mut File, path: &Path, met: &LocalFile, go_on: impl Fn() -> bool) -> Result<Digests, Error> {
    let mut hasher = Hasher::default();
    let is_met = |file: &File| -> Result<bool, Error> {
        let stat = rustix::fs::fstat(file).map_err(|e| Error::io("look at file", path, e))?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        Ok(is_file && stat.st_ino == met.inode && stat.st_size.unsigned_abs() == met.size_bytes)
    };
    let changed = || Error::reading(path, std::io::Error::other("it changed while it was read"));
    if !is_met(file)? {
        return Err(changed());
    }
    let length = part::hash(file, None, &mut hasher, go_on).map_err(|e| Error::reading(path, e))?;
    if length != met.size_bytes || !is_met(file)? {
        return Err(changed());
    }
    Ok(hasher.finish())
}
