//! A verified file of ours gets other bytes: the one place where what stands under a final name is replaced.
//!
//! It is read first and compared with the digest that the journal holds. What takes its place is whole and
//! durable before it does, and takes it by an exchange of the two names, so that what was really there can be
//! looked at afterwards: if it was not the file that was read, the names are exchanged back, and it stays.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::disk::error::Error;
use crate::disk::part::{self, PartFile};
use crate::disk::tree::{Destination, Folder, Place, sync_directory};
use crate::fault;
use crate::model::checksum::{Hasher, Sha256Digest};

/// A file that was read whole, and is what the journal says.
#[derive(Debug)]
pub struct Read {
    /// Its bytes.
    pub bytes: Vec<u8>,
    folder: Folder,
    met: Met,
}

impl Read {
    /// How many names it has: where there are others, they keep the bytes they have.
    #[must_use]
    pub fn names(&self) -> u64 {
        self.met.names
    }
}

/// Which file was met, and how it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Met {
    device: u64,
    inode: u64,
    changed: (i64, i64),
    mode: u32,
    owner: (u32, u32),
    names: u64,
}

/// What reading a file came to.
#[derive(Debug)]
pub enum Look {
    /// It is what the journal says.
    Ours(Box<Read>),
    /// It is gone, or not what the journal says.
    Other,
    /// It is longer than was asked for.
    TooLong,
}

/// What stands under a name after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// What was to be written.
    New,
    /// What stood there before.
    Old,
    /// Anything else.
    Other,
}

impl Destination {
    /// Reads a file of ours whole, if it has the digest that the journal holds.
    ///
    /// # Errors
    /// The system's word.
    pub fn read_own(&self, place: &Place, expected: Sha256Digest, bytes_max: u64) -> Result<Look, Error> {
        let folder = self.folder(place)?;
        let reading = |e: std::io::Error| Error::reading(&folder.final_path(), e);
        let file = match folder.open_final() {
            Err(Error::Io { source, .. })
                if matches!(Errno::from_io_error(&source), Some(Errno::NOENT | Errno::LOOP)) =>
            {
                return Ok(Look::Other);
            }
            file => file?,
        };
        let stat = rustix::fs::fstat(&file).map_err(|e| reading(e.into()))?;
        if stat.st_size.unsigned_abs() > bytes_max {
            return Ok(Look::TooLong);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(stat.st_size).unwrap_or_default());
        (&file).take(bytes_max + 1).read_to_end(&mut bytes).map_err(reading)?;
        if digest(&bytes) != expected {
            return Ok(Look::Other);
        }
        let met = met(&stat);
        Ok(Look::Ours(Box::new(Read { bytes, folder, met })))
    }

    /// Puts `bytes` in the place of a file that was read, with its time, owner and attributes. `false`: another
    /// file stands there by now, or it has other names, and stays.
    /// Durable when this returns.
    ///
    /// # Errors
    /// The system's word: under the name stands what stood there, or the new file, whole.
    pub fn replace_own(&self, read: &Read, bytes: Vec<u8>) -> Result<bool, Error> {
        let (folder, path) = (&read.folder, read.folder.final_path());
        let refused = |e: Errno| Error::io("replace file", &path, e);
        let old = folder.open_final()?;
        let modified = old.metadata().and_then(|meta| meta.modified());
        let mut part = PartFile::create(folder, bytes.len() as u64)?;
        part.append(&[Bytes::from(bytes)])?;
        part.set_owner(read.met.owner);
        part.set_mode(Mode::from_raw_mode(read.met.mode & 0o7777));
        part.take_attributes_of(&old)?;
        if let Ok(modified) = modified {
            part.set_modified_at(modified);
        }
        part.sync()?;
        let (old, new) = (folder.name(), folder.part_name());
        fault::exchange(&folder.part_path(), old).map_err(|e| Error::io("replace file", &path, e))?;
        if !exchange(&folder.handle, old, &new, read.met).map_err(refused)? {
            folder.remove_part()?;
            return Ok(false);
        }
        sync_directory(&folder.handle, folder.path())?;
        // What the exchange left under the part's name is the file that was read.
        folder.remove_part()?;
        Ok(true)
    }

    /// Says what a replacement that was cut off came to, and removes what it left beside the file.
    ///
    /// # Errors
    /// The system's word.
    pub fn settle_own(&self, place: &Place, old: Sha256Digest, new: Sha256Digest) -> Result<Standing, Error> {
        let folder = self.folder(place)?;
        let found = match folder.open_final() {
            Ok(file) => sha256_of(file, &folder)?,
            Err(_) => None,
        };
        if found == Some(new) {
            sync_directory(&folder.handle, folder.path())?;
            folder.remove_part()?;
            Ok(Standing::New)
        } else if found == Some(old) {
            folder.remove_part()?;
            Ok(Standing::Old)
        } else {
            // What lies beside it may be the only copy of what was proved: it stays, and audit names it.
            Ok(Standing::Other)
        }
    }
}

/// Exchanges two names. `false`: what was under `old` is not what was met, and both are as they were.
fn exchange(folder: &OwnedFd, old: &str, new: &str, expected: Met) -> Result<bool, Errno> {
    let is_met = |name: &str| -> Result<bool, Errno> {
        let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let found = met(&stat);
        // The exchange itself changes the time of change.
        Ok((found.device, found.inode, found.mode) == (expected.device, expected.inode, expected.mode))
    };
    let stat = match rustix::fs::statat(folder, old, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(false),
        Err(e) => return Err(e),
    };
    if met(&stat) != expected || stat.st_nlink > 1 {
        return Ok(false);
    }
    match swap(folder, old, new) {
        Ok(()) if is_met(new)? => Ok(true),
        Ok(()) => swap(folder, old, new).map(|()| false),
        // No exchange here: only a stranger within these microseconds could be replaced.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            rustix::fs::renameat(folder, new, folder, old).map(|()| true)
        }
        Err(e) => Err(e),
    }
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn swap(folder: &OwnedFd, old: &str, new: &str) -> Result<(), Errno> {
    rustix::fs::renameat_with(folder, old, folder, new, rustix::fs::RenameFlags::EXCHANGE)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn swap(_: &OwnedFd, _: &str, _: &str) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

#[expect(clippy::useless_conversion, reason = "the widths of these numbers differ between systems")]
fn met(stat: &rustix::fs::Stat) -> Met {
    let changed = (stat.st_ctime, i64::try_from(stat.st_ctime_nsec).unwrap_or_default());
    Met {
        device: stat.st_dev.into(),
        inode: stat.st_ino.into(),
        changed,
        mode: stat.st_mode.into(),
        owner: (stat.st_uid, stat.st_gid),
        names: stat.st_nlink.into(),
    }
}

fn digest(bytes: &[u8]) -> Sha256Digest {
    Sha256Digest(Sha256::digest(bytes).into())
}

fn sha256_of(mut file: File, folder: &Folder) -> Result<Option<Sha256Digest>, Error> {
    let reading = |e: std::io::Error| Error::reading(&folder.final_path(), e);
    if !file.metadata().map_err(reading)?.is_file() {
        return Ok(None);
    }
    let mut hasher = Hasher::default();
    part::hash(&mut file, None, &mut hasher, || true).map_err(reading)?;
    Ok(Some(hasher.finish().sha256))
}
