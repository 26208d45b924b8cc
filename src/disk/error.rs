//! What can go wrong with the disk: what was tried, where, and the system's own word.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// With less room than this the run ends rather than trying smaller files.
const FREE_BYTES_MIN: u64 = 256 * 1024 * 1024;

/// What is tried when a view gets a link, and when a tree is brought in by links.
pub(super) const MAKE_LINK: &str = "make link";
pub(super) const LINK_FILE: &str = "link file";

/// Which link could not be made, where another way would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkOf {
    /// Of a view: albums as folders, or an exit kit.
    View,
    /// Of a tree that is brought into the destination.
    Tree,
}

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
    /// A file is to move from one mount to another: something is mounted below the destination.
    #[error(
        "files move within one mounted file system only, to the trash and back too, and these folders are mounted \
         apart: {from}, {to}"
    )]
    MountedApart {
        /// Where it stands.
        from: PathBuf,
        /// Where it was to go.
        to: PathBuf,
    },
    /// More is wanted than there is room for.
    #[error("no room for {needed_bytes} bytes, {free_bytes} are free and {kept_bytes} stay so: {path}")]
    NoRoom {
        /// The file, or the folder of several.
        path: PathBuf,
        /// How many files.
        files: u64,
        /// What they need.
        needed_bytes: u64,
        /// What this user may still write.
        free_bytes: u64,
        /// Of that, what stays free.
        kept_bytes: u64,
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

    /// The same error once more: one failure can be the failure of many files.
    #[must_use]
    pub fn again(&self) -> Self {
        match self {
            Self::Io { action, path, source } => {
                let source = match source.raw_os_error() {
                    Some(errno) => io::Error::from_raw_os_error(errno),
                    None => io::Error::new(source.kind(), source.to_string()),
                };
                Self::Io { action, path: path.clone(), source }
            }
            Self::Absent { directory, missing } => {
                Self::Absent { directory: directory.clone(), missing: missing.clone() }
            }
            Self::Foreign { directory } => Self::Foreign { directory: directory.clone() },
            Self::InTheWay { path } => Self::InTheWay { path: path.clone() },
            Self::MountedApart { from, to } => Self::MountedApart { from: from.clone(), to: to.clone() },
            Self::Locked { path, pid } => Self::Locked { path: path.clone(), pid: *pid },
            Self::NoRoom { path, files, needed_bytes, free_bytes, kept_bytes } => Self::NoRoom {
                path: path.clone(),
                files: *files,
                needed_bytes: *needed_bytes,
                free_bytes: *free_bytes,
                kept_bytes: *kept_bytes,
            },
        }
    }

    /// The file at `from` cannot be moved into the folder `to`.
    pub(super) fn moving(from: &Path, to: &Path, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        if source.kind() == io::ErrorKind::CrossesDevices {
            let from = from.parent().unwrap_or(from).to_owned();
            return Self::MountedApart { from, to: to.to_owned() };
        }
        Self::io("move file", from, source)
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

    /// Whether room would cure it.
    #[must_use]
    pub fn is_about_room(&self) -> bool {
        matches!(self, Self::NoRoom { .. }) || self.is_full()
    }

    /// Whether the system says that the disk, or this user's share of it, is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }

    /// Which link the two places cannot share: they are not on one file system, or it has none of this
    /// kind. `None`: that is not what is wrong.
    #[must_use]
    pub fn refused_link(&self) -> Option<LinkOf> {
        let Self::Io { action, source, .. } = self else { return None };
        let of = match *action {
            MAKE_LINK => LinkOf::View,
            LINK_FILE => LinkOf::Tree,
            _ => return None,
        };
        let cannot = [Errno::XDEV, Errno::PERM, Errno::OPNOTSUPP, Errno::NOTTY, Errno::INVAL, Errno::MLINK];
        Errno::from_io_error(source).is_some_and(|errno| cannot.contains(&errno)).then_some(of)
    }

    /// Whether it only says that somebody asked to stop.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::Interrupted)
    }

    /// Whether the whole destination is affected, so that going on with other files is pointless:
    /// full, read-only, gone, or failing.
    #[must_use]
    pub fn ends_the_run(&self) -> bool {
        match self {
            Self::Absent { .. } | Self::Foreign { .. } | Self::Locked { .. } => true,
            Self::InTheWay { .. } | Self::MountedApart { .. } => false,
            // One huge file must not keep the small ones from coming; an almost full disk does.
            Self::NoRoom { free_bytes, .. } => *free_bytes < FREE_BYTES_MIN,
            Self::Io { source, .. } => matches!(
                Errno::from_io_error(source),
                Some(
                    Errno::NOSPC
                        | Errno::DQUOT
                        | Errno::ROFS
                        | Errno::NODEV
                        | Errno::NXIO
                        | Errno::STALE
                        | Errno::MFILE
                        | Errno::NFILE
                        | Errno::NOTCONN
                )
            ),
        }
    }
}
