//! The run lock: one run for each data directory, held by the system, gone with the process.
//!
//! It is what makes a claim of another run *known* to be dead. The file stays; only the lock on
//! it counts. The process id in it is for the message, never for a decision.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::disk::error::Error;

/// Holds the lock until it is dropped.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// Takes the lock at `path`.
    ///
    /// # Errors
    /// [`Error::Locked`] with the holder's process id if another run has it.
    pub fn acquire(path: &Path) -> Result<Self, Error> {
        let io = |e| Error::io("open lock", path, e);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.take(32).read_to_string(&mut text);
                return Err(Error::Locked { path: path.to_owned(), pid: text.trim().parse().ok() });
            }
            Err(TryLockError::Error(e)) => return Err(Error::io("lock", path, e)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|e| Error::io("write lock", path, e))?;
        Ok(Self { _file: file })
    }
}
