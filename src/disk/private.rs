//! What is nobody else's business: the data directory, and the session and passwords in it.
//!
//! The directory is 0700 and its files 0600. A private file is replaced as a whole: a crash leaves
//! the old one or the new one.

use std::fmt::Write as _;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::disk::desk::Desk;
use crate::disk::error::Error;
use crate::disk::lock::RunLock;
use crate::disk::secret_file::replace;
use crate::disk::snapshots::Snapshots;

/// The directory that holds the journal, the session and the lock.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// Creates the directory if need be, for its owner alone.
    ///
    /// # Errors
    /// If it cannot be made or closed to others.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let io = |e| Error::io("create data directory", path, e);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
        Ok(Self(path.to_owned()))
    }

    /// The directory as it is; it may not be there.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The journal. Made here, empty and closed to others, so that SQLite never makes a readable
    /// one: it holds signed URLs while files are on their way.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn journal(&self) -> Result<PathBuf, Error> {
        let path = self.0.join("journal.db");
        let creating = |e| Error::io("create journal", &path, e);
        // A pipe in its place would wait for a reader; that it is none of ours is said by who opens it.
        if std::fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            return Ok(path);
        }
        OpenOptions::new().append(true).create(true).mode(0o600).open(&path).map_err(creating)?;
        Ok(path)
    }

    /// The path of the journal, which may not be there.
    #[must_use]
    pub fn journal_path(&self) -> PathBuf {
        self.0.join("journal.db")
    }

    /// The journal's place and its snapshots.
    #[must_use]
    pub fn snapshots(&self) -> Snapshots {
        Snapshots::of(&self.0, self.journal_path())
    }

    /// Takes the run lock, and ends what a killed command left of journals half made.
    ///
    /// # Errors
    /// [`Error::Locked`] if another run has it.
    pub fn lock(&self) -> Result<RunLock, Error> {
        let lock = RunLock::acquire(&self.0.join("lock"))?;
        self.snapshots().settle(Timestamp::now().as_second())?;
        Ok(lock)
    }

    /// The file of an account's session.
    #[must_use]
    pub fn session(&self, username: &str) -> PrivateFile {
        PrivateFile { path: self.0.join(format!("session-{}.json", plain(username))) }
    }

    /// The file of an account's saved password, sealed by the caller.
    #[must_use]
    pub fn sealed_password(&self, username: &str) -> PrivateFile {
        PrivateFile { path: self.0.join(format!("password-{}.sealed", plain(username))) }
    }

    /// Where whoever signs in `username` waits for a code.
    #[must_use]
    pub fn desk(&self, username: &str) -> Desk {
        Desk::at(&self.0, &plain(username))
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// A username as part of a file name. Escaped, so that two accounts never share a file.
fn plain(username: &str) -> String {
    let mut name = String::new();
    for byte in username.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'@' | b'_') {
            name.push(char::from(byte));
        } else {
            let _ = write!(name, "%{byte:02x}");
        }
    }
    name
}

/// A file of one account that nobody else may read: its session, or its sealed password.
#[derive(Clone, Debug)]
pub struct PrivateFile {
    path: PathBuf,
}

impl PrivateFile {
    /// Where it stands.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file, if there is one. One that others could read is closed to them first.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    pub fn load(&self) -> io::Result<Option<Vec<u8>>> {
        match std::fs::metadata(&self.path) {
            // A pipe would be waited for, and a device read for ever.
            Ok(meta) if !meta.is_file() => return Err(io::Error::other("it is no plain file")),
            Ok(meta) if meta.permissions().mode() & 0o077 != 0 => {
                std::fs::set_permissions(&self.path, Permissions::from_mode(0o600))?;
            }
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        }
        std::fs::read(&self.path).map(Some)
    }

    /// Replaces the file, durably and as a whole.
    ///
    /// # Errors
    /// If it cannot be written; the old one stays.
    pub fn save(&self, bytes: &[u8]) -> io::Result<()> {
        replace(&self.path, bytes)?;
        self.sync_folder();
        Ok(())
    }

    /// Removes the file. `false`: there was none.
    ///
    /// # Errors
    /// If it is there and cannot be removed.
    pub fn remove(&self) -> io::Result<bool> {
        match std::fs::remove_file(&self.path) {
            Ok(()) => {
                self.sync_folder();
                Ok(true)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Makes a change of the name durable. One that a power cut forgets leaves the old file, which
    /// is still whole, so a folder that cannot be synced is no failure.
    fn sync_folder(&self) {
        if let Some(parent) = self.path.parent() {
            let _ = File::open(parent).and_then(|directory| directory.sync_all());
        }
    }
}

/// Reads a text file that a person wrote, such as a configuration.
///
/// # Errors
/// What the system says.
pub fn read_text(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path)
}

/// Longest session of another tool. Theirs have some hundred bytes.
const SESSION_BYTES_MAX: u64 = 1024 * 1024;

/// Reads a session file of another tool: the one of this name, else one whose name differs in capitals only.
/// It is left as it is.
///
/// # Errors
/// What the system says.
pub fn read_session(folder: &Path, name: &str) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut path = folder.join(name);
    if !path.try_exists()? {
        let is_it = |of: &std::fs::DirEntry| of.file_name().to_string_lossy().to_lowercase() == name;
        let found = std::fs::read_dir(folder)?.filter_map(Result::ok).find(is_it);
        path = found.map_or(path, |found| found.path());
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(SESSION_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}
