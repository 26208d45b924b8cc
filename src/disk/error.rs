//! What can go wrong with the disk: what was tried, where, and the system's own word.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// A failure of the disk.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused an operation.
    #[error("cannot {action}: {path}: {source}")]
    Io {
        /// What was tried, as a verb and its object.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's own word.
        source: io::Error,
    },
    /// The directory the journal writes to is not there: unmounted, most likely.
    #[error("destination is absent: {directory}: {missing}")]
    Absent {
        /// The directory.
        directory: PathBuf,
        /// What was looked for and not found.
        missing: String,
    },
    /// The directory belongs to another journal.
    #[error("destination belongs to another journal: {directory}")]
    Foreign {
        /// The directory.
        directory: PathBuf,
    },
    /// A folder on the way is a link or a file.
    #[error("not a folder of ours, a link or a file stands in the way: {path}")]
    InTheWay {
        /// Where.
        path: PathBuf,
    },
    /// Another run holds the lock.
    #[error("another run holds the lock: {path}")]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The process that holds it, if it said so.
        pid: Option<u32>,
    },
}

impl Error {
    pub(super) fn io(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Io { action, path: path.to_owned(), source: source.into() }
    }

    /// A file under `path` cannot be read.
    #[must_use]
    pub fn reading(path: &Path, source: io::Error) -> Self {
        Self::io("read file", path, source)
    }

    /// A part file was let go after an earlier error.
    #[must_use]
    pub fn lost() -> Self {
        Self::io("go on with part file", Path::new(""), io::Error::other("an earlier write failed"))
    }

    /// Whether the whole destination is affected, so that going on with other files is pointless:
    /// full, read-only, gone, or failing.
    #[must_use]
    pub fn ends_the_run(&self) -> bool {
        match self {
            Self::Absent { .. } | Self::Foreign { .. } | Self::Locked { .. } => true,
            Self::InTheWay { .. } => false,
            Self::Io { source, .. } => matches!(
                Errno::from_io_error(source),
                Some(
                    Errno::NOSPC
                        | Errno::DQUOT
                        | Errno::ROFS
                        | Errno::NODEV
                        | Errno::NXIO
                        | Errno::STALE
                        | Errno::NOTCONN
                )
            ),
        }
    }
}
