//! The two syncs that all promises rest on. No other code makes bytes or names durable.
//!
//! A failed sync is never repeated on the same data: the kernel may have dropped the pages, and
//! calls the next sync a success.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::io::Errno;

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
