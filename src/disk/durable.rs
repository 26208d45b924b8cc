//! The syncs that all promises rest on. No other code makes bytes or names durable.
//!
//! A failed sync is never repeated on the same data: the kernel may have dropped the pages, and
//! calls the next sync a success.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::io::Errno;

use crate::disk::space;
use crate::fault;

/// Makes the bytes of a file durable.
///
/// File systems that have no such thing say so, and are believed.
/// # Errors
/// The system's word.
pub(super) fn sync_file(file: impl AsFd, path: &Path) -> std::io::Result<()> {
    if !fault::step("sync", path)? {
        return Ok(());
    }
    match rustix::fs::fdatasync(file) {
        Ok(()) | Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Makes the names in a folder durable.
///
/// # Errors
/// The system's word.
pub(super) fn sync_folder(handle: impl AsFd, path: &Path) -> std::io::Result<()> {
    if !fault::step("syncdir", path)? {
        return Ok(());
    }
    match rustix::fs::fsync(handle) {
        Ok(()) | Err(Errno::INVAL | Errno::NOTSUP | Errno::ROFS) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// What a sync of a whole file system is to make durable.
pub(super) struct Covered<'a> {
    /// An open file or folder.
    pub(super) handle: BorrowedFd<'a>,
    /// Where it is.
    pub(super) path: &'a Path,
    /// The step that makes it durable alone.
    pub(super) step: &'static str,
}

/// Makes everything durable that a file system holds, and so all of `group`. `None`: they do not lie on
/// one, or there is no such sync here, or it does not tell failures.
pub(super) fn sync_file_system(group: &[Covered<'_>]) -> Option<std::io::Result<()>> {
    let first = group.first().filter(|_| space::syncfs_tells_failures())?;
    let device = |of: &Covered<'_>| rustix::fs::fstat(of.handle).ok().map(|stat| stat.st_dev);
    let ours = device(first)?;
    if group.iter().any(|of| device(of) != Some(ours)) {
        return None;
    }
    match fault::step("syncfs", first.path) {
        Ok(true) => {}
        Ok(false) => return Some(Ok(())),
        Err(e) => return Some(Err(e)),
    }
    if let Err(e) = space::sync_file_system(first.handle) {
        return Some(Err(e));
    }
    // For who reads the log: this is what the step made durable.
    group.iter().for_each(|of| fault::covered(of.step, of.path));
    Some(Ok(()))
}
