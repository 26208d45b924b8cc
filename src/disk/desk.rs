//! The desk: where a run that waits for a code is found, and where the code is left for it.
//!
//! One process waits and holds the run lock; another one, or a person with an editor, brings the
//! code. Four files, all beside the journal, 0600 and never half written:
//!
//! - `waiting-NAME.json`: somebody waits, and since when. True only while its lock is held, which
//!   the system gives back with the process: a killed run waits for nobody.
//! - `request-NAME.json` and `reply-NAME.json`: what another process asks, and what came of it.
//! - `code`: six digits that a person wrote there; `code-NAME` where several accounts could wait.
//!
//! What is in them is for [`crate::cli`] to say.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::secret_file::replace;

/// Longest file that is read. A request is a hundred bytes.
const BYTES_MAX: u64 = 4096;

/// The desk of one account.
#[derive(Clone, Debug)]
pub struct Desk {
    waiting: PathBuf,
    request: PathBuf,
    reply: PathBuf,
    code: PathBuf,
    own_code: PathBuf,
}

/// Says that somebody waits, until it is dropped.
#[derive(Debug)]
pub struct Waiting {
    path: PathBuf,
    _lock: File,
}

impl Desk {
    pub(super) fn at(folder: &Path, name: &str) -> Self {
        Self {
            waiting: folder.join(format!("waiting-{name}.json")),
            request: folder.join(format!("request-{name}.json")),
            reply: folder.join(format!("reply-{name}.json")),
            code: folder.join("code"),
            own_code: folder.join(format!("code-{name}")),
        }
    }

    /// The same desk, with a code file of the account's own: a code goes to no other account.
    #[must_use]
    pub fn among_several(self) -> Self {
        Self { code: self.own_code.clone(), ..self }
    }

    /// Says that somebody waits here from now on. What was left for an earlier one is thrown away.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn wait(&self, notice: &[u8]) -> io::Result<Waiting> {
        for stale in [&self.request, &self.reply] {
            remove(stale)?;
        }
        // Locked under its own name at once: whoever looks in between sees nobody, and looks again.
        let lock = replace(&self.waiting, notice)?;
        lock.lock()?;
        Ok(Waiting { path: self.waiting.clone(), _lock: lock })
    }

    /// What the one who waits says; `None` when nobody does.
    ///
    /// # Errors
    /// If there is a notice that cannot be read.
    pub fn waiting(&self) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(&self.waiting) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => read(file).map(Some),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Leaves a request for the one who waits.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn put_request(&self, request: &[u8]) -> io::Result<()> {
        replace(&self.request, request).map(drop)
    }

    /// Takes the request away, if there is one.
    ///
    /// # Errors
    /// If it is there and cannot be read or removed.
    pub fn take_request(&self) -> io::Result<Option<Vec<u8>>> {
        take(&self.request)
    }

    /// Answers the request.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn put_reply(&self, reply: &[u8]) -> io::Result<()> {
        replace(&self.reply, reply).map(drop)
    }

    /// Takes the reply away, if there is one.
    ///
    /// # Errors
    /// If it is there and cannot be read or removed.
    pub fn take_reply(&self) -> io::Result<Option<Vec<u8>>> {
        take(&self.reply)
    }

    /// Takes away what a person wrote, if `is_code` says that it is one. Else it stays: perhaps
    /// they are still writing.
    ///
    /// # Errors
    /// If it is there and cannot be read, or is a code and cannot be removed: it would be used
    /// again, and wrong codes count.
    pub fn take_code(&self, is_code: impl FnOnce(&[u8]) -> bool) -> io::Result<Option<Vec<u8>>> {
        let Some(bytes) = look(&self.code)?.filter(|bytes| is_code(bytes)) else { return Ok(None) };
        std::fs::remove_file(&self.code)?;
        Ok(Some(bytes))
    }

    /// The file that a person may write a code to.
    #[must_use]
    pub fn code_path(&self) -> &Path {
        &self.code
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // A notice that stays says nothing: its lock is gone.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn take(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let found = look(path)?;
    if found.is_some() {
        std::fs::remove_file(path)?;
    }
    Ok(found)
}

fn look(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match File::open(path) {
        Ok(file) => read(file).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, BYTES_MAX), &mut bytes)?;
    Ok(bytes)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_waits_as_long_as_they_live_and_a_leftover_notice_means_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::at(folder.path(), "a@b.c");
        assert_eq!(desk.waiting().unwrap(), None);
        let waiting = desk.wait(b"since noon").unwrap();
        assert_eq!(desk.waiting().unwrap().as_deref(), Some(&b"since noon"[..]));
        drop(waiting);
        assert_eq!(desk.waiting().unwrap(), None);
        std::fs::write(folder.path().join("waiting-a@b.c.json"), b"killed").unwrap();
        assert_eq!(desk.waiting().unwrap(), None);
    }

    #[test]
    fn what_is_taken_is_gone_and_what_is_no_code_yet_stays() {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::at(folder.path(), "a@b.c");
        desk.put_request(b"1").unwrap();
        assert_eq!(desk.take_request().unwrap().as_deref(), Some(&b"1"[..]));
        assert_eq!(desk.take_request().unwrap(), None);
        std::fs::write(desk.code_path(), b"12").unwrap();
        assert_eq!(desk.take_code(|bytes| bytes.len() == 6).unwrap(), None);
        std::fs::write(desk.code_path(), b"123456").unwrap();
        assert!(desk.take_code(|bytes| bytes.len() == 6).unwrap().is_some());
        assert!(!desk.code_path().exists());
    }
}
