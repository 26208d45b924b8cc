//! What can go wrong with the journal.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::model::ids::{AssetName, FileId};

/// A failure of the journal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The row is no longer ours: the caller must stop writing to its part file.
    #[error("claim on file {0} is lost")]
    LostClaim(FileId),
    /// A journal made by a later rollbook.
    #[error("journal has schema version {found}, this rollbook knows up to {known}: {path}")]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// The version it says.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// Some other SQLite database, or none at all.
    #[error("not a rollbook journal: {path}")]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// A journal that no run has filled yet.
    #[error("journal is empty: {path}")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The linked SQLite has the WAL-reset defect.
    #[error("SQLite {0} can corrupt a journal in WAL mode; 3.51.3 or later is needed")]
    OldSqlite(&'static str),
    /// The file is a journal no more, or not a whole one.
    #[error("journal is damaged: {path}: {detail}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The journal cannot be opened.
    #[error("cannot open journal: {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A word or number that no rollbook writes.
    #[error("journal holds an unknown {what}: {value}")]
    UnknownWord {
        /// Which column.
        what: &'static str,
        /// What it holds.
        value: String,
    },
    /// A row that others go by is gone.
    #[error("the journal does not say where the files of {0} go: the row of its original is gone")]
    NoStem(AssetName),
    /// SQLite refused.
    #[error("journal: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// No reader could be had.
    #[error("journal readers: {0}")]
    Pool(#[from] r2d2::Error),
    /// The writer has ended: an earlier commit failed, or the program is closing.
    #[error("journal writer has stopped: {reason}")]
    WriterStopped {
        /// What stopped it.
        reason: String,
        /// What kind of thing stopped it.
        trouble: Trouble,
    },
}

/// Who can help when the journal refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The disk under it is full.
    Full,
    /// The disk under it fails, or cannot be written.
    Disk,
    /// Another program held it for longer than we wait.
    Busy,
    /// The system does not let us open it, or its log.
    Closed,
    /// What is in the file is not what was written.
    Damage,
    /// Anything else.
    Other,
}

impl Error {
    /// Says who can help.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        use rusqlite::ErrorCode as Code;
        let source = match self {
            Self::WriterStopped { trouble, .. } => return *trouble,
            Self::Damaged { .. } | Self::UnknownWord { .. } => return Trouble::Damage,
            Self::Sqlite(source) | Self::Open { source, .. } => source,
            _ => return Trouble::Other,
        };
        match source.sqlite_error_code() {
            Some(Code::DiskFull) => Trouble::Full,
            Some(Code::SystemIoFailure | Code::ReadOnly) => Trouble::Disk,
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => Trouble::Busy,
            Some(Code::CannotOpen | Code::PermissionDenied) => Trouble::Closed,
            Some(Code::DatabaseCorrupt | Code::NotADatabase) => Trouble::Damage,
            _ => Trouble::Other,
        }
    }

    /// What SQLite said of the file at `path`, by name where it says that the file is damaged. It says of a
    /// log that cannot be opened no more than of the journal: which it is, is found out here.
    pub(super) fn of(path: &Path, source: rusqlite::Error) -> Self {
        let mut path = path.to_owned();
        if source.sqlite_error_code() == Some(rusqlite::ErrorCode::CannotOpen) {
            path = closed_log(&path).unwrap_or(path);
        }
        let error = Self::Open { path: path.clone(), source };
        match (error.trouble(), error) {
            (Trouble::Damage, Self::Open { source, .. }) => {
                Self::Damaged { path, detail: source.to_string() }
            }
            (_, error) => error,
        }
    }
}

/// The log of a journal, if it is there and cannot be opened. Its index is left alone: a handle on that, closed
/// again, would let go the locks of every other connection of this process.
fn closed_log(journal: &Path) -> Option<PathBuf> {
    let mut log = journal.as_os_str().to_owned();
    log.push("-wal");
    let log = PathBuf::from(log);
    let opened = || Connection::open_with_flags(&log, OpenFlags::SQLITE_OPEN_READ_ONLY);
    (log.exists() && opened().is_err()).then_some(log)
}
