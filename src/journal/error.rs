//! What can go wrong with the journal.

use std::path::PathBuf;

use crate::model::ids::FileId;

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
    /// The linked SQLite has the WAL-reset defect.
    #[error("SQLite {0} can corrupt a journal in WAL mode; 3.51.3 or later is needed")]
    OldSqlite(&'static str),
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
        /// The disk under the journal is full or cannot be written.
        disk: bool,
        /// Another program held the journal for longer than we wait.
        busy: bool,
    },
}

impl Error {
    /// Whether the disk under the journal is full or cannot be written.
    #[must_use]
    pub fn is_disk(&self) -> bool {
        use rusqlite::ErrorCode;
        let source = match self {
            Self::WriterStopped { disk, .. } => return *disk,
            Self::Sqlite(source) | Self::Open { source, .. } => source,
            _ => return false,
        };
        matches!(
            source.sqlite_error_code(),
            Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::ReadOnly)
        )
    }

    /// Whether another program held the journal for longer than we wait.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        use rusqlite::ErrorCode;
        let source = match self {
            Self::WriterStopped { busy, .. } => return *busy,
            Self::Sqlite(source) | Self::Open { source, .. } => source,
            _ => return false,
        };
        matches!(source.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }
}
