//! Snapshots: a whole copy of the journal in one file, made while others read and write.
//!
//! `VACUUM INTO`, and not the backup interface: that one begins again whenever another connection
//! commits, and copies free pages, where signed URLs of files long home still stand. This one reads
//! one state of the journal, stops no writer, and leaves free pages out. The URLs of files that are
//! still to come are then removed, so a snapshot holds no secret but names.
//!
//! Where the file lies and how it gets its name is [`crate::disk`]'s business.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::journal::error::Error;
use crate::journal::{health, schema};

/// What a journal, or a snapshot of one, holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Its last run; 0 before the first.
    pub run: i64,
    /// When that began, in Unix seconds.
    pub run_started_at: Option<i64>,
    /// Files known.
    pub files: u64,
    /// Of those, verified ones.
    pub files_verified: u64,
    /// The last lines of both histories and the last file: equal in two copies that hold the same, and
    /// growing with all that happens.
    pub(super) mark: [i64; 3],
}

impl Contents {
    /// Reads what the journal at `path` holds.
    ///
    /// # Errors
    /// If it is no journal, or cannot be read.
    pub fn of(path: &Path) -> Result<Self, Error> {
        schema::check_readable(path)?;
        Self::read(&schema::open_reader(path)?).map_err(|source| Error::of(path, source))
    }

    /// How many lines more this one has of what happened to files and assets; runs that found nothing new add
    /// none. One that has fewer is no later copy of the same, and counts as all new.
    #[must_use]
    pub fn lines_since(&self, other: &Self) -> u64 {
        let more = self.mark.iter().zip(other.mark).map(|(own, of_other)| u64::try_from(own - of_other));
        more.sum::<Result<u64, _>>().unwrap_or(u64::MAX)
    }

    /// The same, after so many lines more.
    #[cfg(test)]
    pub(crate) fn with_lines(mut self, lines: i64) -> Self {
        self.mark[0] += lines;
        self
    }

    fn read(connection: &Connection) -> Result<Self, rusqlite::Error> {
        connection.query_row(
            "SELECT (SELECT coalesce(max(run_id), 0) FROM run),
                    (SELECT started_at FROM run ORDER BY run_id DESC LIMIT 1),
                    coalesce(sum(files), 0), coalesce(sum(files) FILTER (WHERE standing = 'verified'), 0),
                    (SELECT coalesce(max(history_id), 0) FROM history),
                    (SELECT coalesce(max(asset_history_id), 0) FROM asset_history),
                    (SELECT coalesce(max(file_id), 0) FROM asset_file)
             FROM tally WHERE standing NOT LIKE 'assets%'",
            [],
            |row| {
                Ok(Self {
                    run: row.get(0)?,
                    run_started_at: row.get(1)?,
                    files: row.get::<_, i64>(2)?.unsigned_abs(),
                    files_verified: row.get::<_, i64>(3)?.unsigned_abs(),
                    mark: [row.get(4)?, row.get(5)?, row.get(6)?],
                })
            },
        )
    }
}

/// Copies the journal at `from` into the empty file at `to`, and checks the copy.
///
/// The copy is not synced: the caller does that before it gives it a name.
///
/// # Errors
/// [`Error::Damaged`] if the journal, or the copy, is not sound.
pub fn copy_out(from: &Path, to: &Path) -> Result<(), Error> {
    schema::check_readable(from)?;
    let reader = schema::open_reader(from)?;
    let target = to.to_string_lossy();
    // The copy is written as the reader is set: at once, and without a sync of each of its steps.
    reader.pragma_update(None, "synchronous", "OFF").map_err(|source| Error::of(from, source))?;
    reader.execute("VACUUM INTO ?1", [&*target]).map_err(|source| Error::of(from, source))?;
    drop(reader);
    let copied = |source| Error::of(to, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copy = Connection::open_with_flags(to, flags).map_err(copied)?;
    // No file beside it, and zeros where an address stood. A copy that is not whole has no name.
    copy.execute_batch(
        "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA secure_delete = ON;
         DELETE FROM signed_url;",
    )
    .map_err(copied)?;
    health::check_pages(&copy, to)
}
