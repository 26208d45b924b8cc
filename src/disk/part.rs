//! A part file: the bytes so far, beside the target, under `NAME.part`.
//!
//! It has no age limit and never a final name. What the journal promised of it is checked before
//! a request leaves: the prefix is read back and its digest compared.

use std::fs::File;
use std::io::{IoSlice, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::disk::durable::{Covered, sync_file};
use crate::disk::error::Error;
use crate::disk::space;
use crate::disk::tree::Folder;
use crate::fault;
use crate::model::checksum::Hasher;

/// Read and write in pieces of this size: larger ones fall out of the cache between the two hashes.
pub const PIECE_BYTES: usize = 256 * 1024;
/// Files of at least this size get their space reserved, so a full disk says so before the
/// download and not after.
const RESERVE_MIN_BYTES: u64 = 1024 * 1024;

/// Chunks in one system call: what Linux takes at most (`IOV_MAX`).
const SLICES_MAX: usize = 1024;
/// Longest value of an extended attribute, and longest list of their names: what Linux allows of each.
#[cfg(target_os = "linux")]
const ATTRIBUTE_BYTES_MAX: usize = 64 * 1024;

/// An open part file.
#[derive(Debug)]
pub struct PartFile {
    file: File,
    path: PathBuf,
    len: u64,
}

impl PartFile {
    /// Begins anew: an empty part file in place of whatever part stood there.
    ///
    /// # Errors
    /// If it cannot be made, or there is no room for `size_bytes`.
    pub fn create(folder: &Folder, size_bytes: u64) -> Result<Self, Error> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let path = folder.part_path();
        fault::step("create", &path).map_err(|e| Error::io("create part file", &path, e))?;
        let name = folder.part_name();
        let open = || rustix::fs::openat(&folder.handle, name.as_str(), flags, Mode::from_raw_mode(0o666));
        let file = match open() {
            Err(Errno::EXIST) => {
                // Removed, not truncated: the old one may be a link, or someone else's.
                folder.remove_part()?;
                open()
            }
            opened => opened,
        };
        let file = file.map_err(|e| Error::io("create part file", &path, e))?;
        let part = Self { file: File::from(file), path, len: 0 };
        // What does not fit leaves nothing behind.
        part.reserve(size_bytes).inspect_err(|_| drop(folder.remove_part()))?;
        Ok(part)
    }

    /// Opens a part file to go on at `offset_bytes`, and reads that prefix through `hasher`.
    ///
    /// Nothing is changed. The caller compares the digest, and then cuts off what was never promised.
    ///
    /// # Errors
    /// If it cannot be opened or read.
    pub fn resume(
        folder: &Folder,
        offset_bytes: u64,
        hasher: &mut Hasher,
        go_on: impl Fn() -> bool,
    ) -> Result<Self, Error> {
        let path = folder.part_path();
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&folder.handle, folder.part_name().as_str(), flags, Mode::empty())
            .map(File::from)
            .map_err(|e| Error::io("open part file", &path, e))?;
        let mut part = Self { file, path, len: offset_bytes };
        part.check_ours()?;
        let read = hash(&mut part.file, Some(offset_bytes), hasher, go_on);
        read.map_err(|e| Error::io("read part file", &part.path, e))?;
        Ok(part)
    }

    /// Cuts the file to `len` bytes and writes on from there.
    ///
    /// # Errors
    /// The system's word.
    pub fn cut(&mut self, len: u64) -> Result<(), Error> {
        fault::step("cut", &self.path)
            .and_then(|_| self.file.set_len(len))
            .and_then(|()| self.file.seek(SeekFrom::Start(len)))
            .map_err(|e| Error::io("cut part file", &self.path, e))?;
        self.len = len;
        Ok(())
    }

    /// Device and inode: which file this is, whatever its name means by now.
    pub(super) fn identity(&self) -> Result<(u64, u64), Error> {
        let stat =
            rustix::fs::fstat(&self.file).map_err(|e| Error::io("look at part file", &self.path, e))?;
        Ok((stat.st_dev, stat.st_ino))
    }

    /// Bytes of the disk that it has already, those that are reserved for it included.
    #[must_use]
    pub fn allocated_bytes(&self) -> u64 {
        rustix::fs::fstat(&self.file).map_or(0, |stat| stat.st_blocks.unsigned_abs().saturating_mul(512))
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it holds nothing yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends the chunks of a piece, without gluing them together first.
    ///
    /// # Errors
    /// The system's word, such as a full disk.
    pub fn append(&mut self, piece: &[Bytes]) -> Result<(), Error> {
        let mut slices: Vec<IoSlice<'_>> = piece.iter().map(|chunk| IoSlice::new(chunk)).collect();
        let total = piece.iter().map(|chunk| chunk.len() as u64).sum();
        fault::write(&self.path, self.len, total).map_err(|e| Error::io("write part file", &self.path, e))?;
        let mut left = &mut slices[..];
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            let count = left.len().min(SLICES_MAX);
            let written = match self.file.write_vectored(&left[..count]) {
                Ok(0) => Err(std::io::ErrorKind::WriteZero.into()),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                written => written,
            };
            let written = written.map_err(|e| Error::io("write part file", &self.path, e))?;
            self.len += written as u64;
            IoSlice::advance_slices(&mut left, written);
        }
        Ok(())
    }

    /// Makes the bytes durable. After an error the file must not be trusted nor synced again.
    ///
    /// # Errors
    /// The system's word.
    pub fn sync(&self) -> Result<(), Error> {
        sync_file(&self.file, &self.path).map_err(|e| Error::io("sync part file", &self.path, e))
    }

    /// What a sync of the whole file system is to make durable of it.
    pub(super) fn covered(&self) -> Covered<'_> {
        Covered { handle: self.file.as_fd(), path: &self.path, step: "sync" }
    }

    /// Lets the system begin to write what it holds, so that a later sync has less to wait for.
    /// A file system that will not is not an error.
    pub(super) fn begin_writeback(&self) {
        // Said of dirty pages this starts their writing, and it is the only call without `unsafe` that does.
        let _ = rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::DontNeed);
    }

    /// Sets the modification time, in Unix milliseconds. The time stands in the journal too, so a file
    /// system that will not is no reason to keep a file back.
    ///
    /// # Errors
    /// The system's word.
    pub fn set_modified(&self, at_ms: i64) -> Result<(), Error> {
        let distance = Duration::from_millis(at_ms.unsigned_abs());
        let at = if at_ms < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(distance)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(distance)
        };
        let Some(at) = at else { return Ok(()) };
        fault::step("utimes", &self.path)
            .and_then(|_| self.file.set_modified(at))
            .map_err(|e| Error::io("set the modification time of file", &self.path, e))
    }

    /// Lets the same people read and write it as another file. Where that cannot be, it is not needed.
    pub(super) fn set_mode(&self, mode: Mode) {
        let _ = rustix::fs::fchmod(&self.file, mode);
    }

    /// Gives it to the people that another file belongs to. Whoever may not do that has it in their own name.
    pub(super) fn set_owner(&self, (user, group): (u32, u32)) {
        let (user, group) = (rustix::fs::Uid::from_raw(user), rustix::fs::Gid::from_raw(group));
        if rustix::fs::fchown(&self.file, Some(user), Some(group)).is_err() {
            let _ = rustix::fs::fchown(&self.file, None, Some(group));
        }
    }

    /// Takes over what people and programs have noted of another file, and who else may read it: its extended
    /// attributes `user.*`, and the list of those with access. Where there are none, there is nothing to do.
    ///
    /// # Errors
    /// If one of them cannot be kept.
    #[cfg(target_os = "linux")]
    pub(super) fn take_attributes_of(&self, other: &File) -> Result<(), Error> {
        const ACCESS: &str = "system.posix_acl_access";
        let mut names = vec![0; ATTRIBUTE_BYTES_MAX];
        let Ok(length) = rustix::fs::flistxattr(other, &mut names[..]) else { return Ok(()) };
        let names =
            names[..length].split(|byte| *byte == 0).filter_map(|name| std::str::from_utf8(name).ok());
        let mut value = vec![0; ATTRIBUTE_BYTES_MAX];
        for name in names.filter(|name| name.starts_with("user.") || *name == ACCESS) {
            let length = rustix::fs::fgetxattr(other, name, &mut value[..]);
            length
                .and_then(|length| {
                    let flags = rustix::fs::XattrFlags::empty();
                    rustix::fs::fsetxattr(&self.file, name, &value[..length], flags)
                })
                .map_err(|e| Error::io("keep an attribute of", &self.path, e))?;
        }
        Ok(())
    }

    /// There are none that we know of.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn take_attributes_of(&self, _: &File) -> Result<(), Error> {
        Ok(())
    }

    /// Sets the modification time to that of another file.
    pub(super) fn set_modified_at(&self, at: SystemTime) {
        let _ = self.file.set_modified(at);
    }

    /// Becomes a copy that shares its bytes with `source` until one of the two changes. `false`: this
    /// file system has no such thing, and nothing was done.
    pub(super) fn clone_from(&mut self, source: &File) -> Result<bool, Error> {
        #[cfg(target_os = "linux")]
        {
            fault::step("clone", &self.path).map_err(|e| Error::io("clone to part file", &self.path, e))?;
            if rustix::fs::ioctl_ficlone(&self.file, source).is_ok() {
                let meta = self.file.metadata().map_err(|e| Error::io("look at part file", &self.path, e))?;
                self.len = meta.len();
                return Ok(true);
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = source;
        Ok(false)
    }

    /// Reads all of it through `hasher`.
    pub(super) fn hash(&mut self, hasher: &mut Hasher) -> Result<(), Error> {
        let read = hash(&mut self.file, None, hasher, || true);
        read.map(|_| ()).map_err(|e| Error::io("read part file", &self.path, e))
    }

    fn reserve(&self, size_bytes: u64) -> Result<(), Error> {
        #[cfg(target_os = "linux")]
        if size_bytes >= RESERVE_MIN_BYTES {
            let keep = rustix::fs::FallocateFlags::KEEP_SIZE;
            // A file system that cannot reserve still writes; only a full one is worth an error.
            if let Err(Errno::NOSPC | Errno::DQUOT) = rustix::fs::fallocate(&self.file, keep, 0, size_bytes) {
                let room = space::room(self.path.parent().unwrap_or(&self.path), Some(0))?;
                return Err(Error::NoRoom {
                    path: self.path.clone(),
                    files: 1,
                    needed_bytes: size_bytes,
                    free_bytes: room.free_bytes,
                    kept_bytes: 0,
                });
            }
        }
        Ok(())
    }

    /// A part file of ours is a regular file with one name.
    fn check_ours(&self) -> Result<(), Error> {
        let stat =
            rustix::fs::fstat(&self.file).map_err(|e| Error::io("look at part file", &self.path, e))?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_nlink <= 1 {
            Ok(())
        } else {
            Err(Error::InTheWay { path: self.path.clone() })
        }
    }
}

/// Makes a whole file durable, however it came to be there.
///
/// # Errors
/// The system's word.
pub fn sync_whole(file: &File, path: &Path) -> std::io::Result<()> {
    sync_file(file, path)
}

/// Reads `file` from its start through `hasher`: all of it, or its first `limit` bytes, which must
/// be there. Asks `go_on` after each piece: a large file takes minutes.
///
/// # Errors
/// If it cannot be read or ends before the limit; `Interrupted` if it should not go on.
pub fn hash(
    file: &mut File,
    limit: Option<u64>,
    hasher: &mut Hasher,
    go_on: impl Fn() -> bool,
) -> std::io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut buffer = vec![0; PIECE_BYTES];
    let mut total = 0;
    while limit.is_none_or(|limit| total < limit) {
        let room = limit.map_or(PIECE_BYTES as u64, |limit| (limit - total).min(PIECE_BYTES as u64));
        let read = file.read(&mut buffer[..room as usize])?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        total += read as u64;
        if !go_on() {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
    }
    match limit {
        Some(limit) if total < limit => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(total),
    }
}
