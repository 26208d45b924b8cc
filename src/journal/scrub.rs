//! Reading back: which verified files are due, and what was found when they were read.
//!
//! The oldest check comes first, and before it what was never read back since it came home. What is
//! right moves to the end of the line by its `checked_at`, so a scrub that is stopped at any point
//! goes on where it was.

use rusqlite::{Connection, named_params};

use crate::journal::Journal;
use crate::journal::error::Error;
use crate::journal::moves;
use crate::journal::row;
use crate::model::checksum::Sha256Digest;
use crate::model::ids::{FileId, LibraryId, RunId};

/// A verified file that is to be read back.
#[derive(Clone, Debug)]
pub struct DueFile {
    /// The row.
    pub id: FileId,
    /// The record name of its asset.
    pub asset: String,
    /// Where it stands, relative to the destination.
    pub path: String,
    /// How long it is.
    pub size_bytes: u64,
    /// What its bytes must be.
    pub sha256: Sha256Digest,
    /// When it was verified.
    pub verified_at: i64,
    /// When they last were; `None` if never since they came home.
    pub checked_at: Option<i64>,
}

impl DueFile {
    /// Its place in the line.
    #[must_use]
    pub fn turn(&self) -> Turn {
        Turn { checked_at: self.checked_at, file: self.id }
    }
}

/// A place in the line. Never checked comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    checked_at: Option<i64>,
    file: FileId,
}

/// What was found wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Which kind of wrong.
    pub kind: DamageKind,
    /// What was seen.
    pub detail: String,
    /// The name that a damaged file was given, beside its old one.
    pub kept_as: Option<String>,
}

/// Kinds of wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamageKind {
    /// Nothing stands under its name. Only told: the sweep decides what becomes of it.
    Missing,
    /// Other bytes than were verified: rot, or somebody edited it.
    Damaged,
    /// Something that is no file stands under its name.
    Replaced,
    /// The system cannot read it. It may be right.
    Unreadable,
}

impl DamageKind {
    /// The word in the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Damaged => "damaged",
            Self::Replaced => "replaced",
            Self::Unreadable => "unreadable",
        }
    }
}

const NEVER_CHECKED: &str = "
    SELECT f.file_id, a.record_name, f.path, coalesce(f.disk_bytes, f.size_bytes) AS size_bytes,
           f.sha256, f.verified_at, f.checked_at
    FROM asset_file f INDEXED BY asset_file_scrub JOIN asset a USING (asset_id)
    WHERE f.library_id = :library AND f.state = 'verified' AND f.released_at IS NULL
      AND f.checked_at IS NULL AND f.file_id > :file
    ORDER BY f.file_id LIMIT :limit";

const CHECKED_BEFORE: &str = "
    SELECT f.file_id, a.record_name, f.path, coalesce(f.disk_bytes, f.size_bytes) AS size_bytes,
           f.sha256, f.verified_at, f.checked_at
    FROM asset_file f INDEXED BY asset_file_scrub JOIN asset a USING (asset_id)
    WHERE f.library_id = :library AND f.state = 'verified' AND f.released_at IS NULL
      AND f.checked_at < :before AND (f.checked_at, f.file_id) > (:at, :file)
    ORDER BY f.checked_at, f.file_id LIMIT :limit";

impl Journal {
    /// Records that verified files were read back and are right.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn checked(&self, files: Vec<(FileId, Sha256Digest)>, now: i64) -> Result<(), Error> {
        self.writer.run(move |c| checked(c, &files, now)).await
    }

    /// Forgets checks that are still to come: the clock was wrong when they were noted, and their files would
    /// not be due for as long as it was ahead.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn forget_checks_to_come(&self, library: LibraryId, now: i64) -> Result<(), Error> {
        self.writer.run(move |c| forget_checks_to_come(c, library, now)).await
    }

    /// Records what was found wrong with a verified file. Unless it only could not be read, it is
    /// lost, and wanted again.
    ///
    /// # Errors
    /// [`Error::LostClaim`] if the row is not verified any more.
    pub async fn damaged(&self, run: RunId, file: FileId, now: i64, damage: Damage) -> Result<(), Error> {
        self.writer.run(move |c| damaged(c, run, file, now, &damage)).await
    }
}

/// Reads up to `limit` files of a library that were not checked since `before`, behind `after`.
pub(super) fn due(
    connection: &Connection,
    library: LibraryId,
    before: i64,
    after: Option<Turn>,
    limit: usize,
) -> Result<Vec<DueFile>, Error> {
    let mut files = Vec::new();
    let (at, file) = after.map_or((None, 0), |turn| (turn.checked_at, turn.file.0));
    if at.is_none() {
        let mut statement = connection.prepare_cached(NEVER_CHECKED)?;
        let values = named_params! { ":library": library.0, ":file": file, ":limit": limit as i64 };
        read(&mut statement, values, &mut files)?;
    }
    let left = limit.saturating_sub(files.len());
    if left > 0 {
        let mut statement = connection.prepare_cached(CHECKED_BEFORE)?;
        let (at, file) = at.map_or((i64::MIN, 0), |at| (at, file));
        let values = named_params! {
            ":library": library.0, ":before": before, ":at": at, ":file": file, ":limit": left as i64,
        };
        read(&mut statement, values, &mut files)?;
    }
    Ok(files)
}

fn read(
    statement: &mut rusqlite::Statement<'_>,
    values: &[(&str, &dyn rusqlite::ToSql)],
    files: &mut Vec<DueFile>,
) -> Result<(), Error> {
    let mut rows = statement.query(values)?;
    while let Some(row) = rows.next()? {
        let sha256 = row::digest(row, "sha256")?;
        files.push(DueFile {
            id: FileId(row.get("file_id")?),
            asset: row.get("record_name")?,
            path: row.get("path")?,
            size_bytes: row::bytes(row, "size_bytes")?,
            // The schema wants a digest in every verified row.
            sha256: sha256.ok_or_else(|| Error::UnknownWord { what: "sha256", value: "NULL".into() })?,
            verified_at: row.get("verified_at")?,
            checked_at: row.get("checked_at")?,
        });
    }
    Ok(())
}

/// How the line stands: how many files are due, and the oldest check of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Verified files that were never read back since they came home.
    pub never_checked: u64,
    /// Verified files whose last check is older than asked for, those included.
    pub due: u64,
    /// When the one that waits longest was last read back; `None` if none was ever.
    pub oldest_check_at: Option<i64>,
}

/// Reads how the line stands, from the tally and its index.
pub(super) fn line(connection: &Connection, library: LibraryId, before: i64) -> Result<Line, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT (SELECT coalesce(sum(unchecked), 0) FROM tally WHERE library_id = :library),
                (SELECT count(*) FROM asset_file INDEXED BY asset_file_scrub
                 WHERE library_id = :library AND state = 'verified' AND released_at IS NULL
                   AND checked_at < :before),
                (SELECT min(checked_at) FROM asset_file INDEXED BY asset_file_scrub
                 WHERE library_id = :library AND state = 'verified' AND released_at IS NULL
                   AND checked_at IS NOT NULL)",
    )?;
    let values = named_params! { ":library": library.0, ":before": before };
    Ok(statement.query_row(values, |row| {
        let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
        let never_checked = count(0)?;
        Ok(Line { never_checked, due: never_checked + count(1)?, oldest_check_at: row.get(2)? })
    })?)
}

/// Records that files were read back and are right. One that changed meanwhile is left alone.
pub(super) fn checked(
    connection: &Connection,
    files: &[(FileId, Sha256Digest)],
    now: i64,
) -> Result<(), Error> {
    let mut check = connection.prepare_cached(
        "UPDATE asset_file SET checked_at = :now
         WHERE file_id = :file AND state = 'verified' AND sha256 = :sha256",
    )?;
    let mut resolve = connection.prepare_cached(
        "UPDATE damage SET resolved_at = :now
         WHERE file_id = :file AND kind = 'unreadable' AND resolved_at IS NULL",
    )?;
    for (file, sha256) in files {
        check.execute(named_params! { ":now": now, ":file": file.0, ":sha256": &sha256.0[..] })?;
        resolve.execute(named_params! { ":now": now, ":file": file.0 })?;
    }
    Ok(())
}

/// Forgets checks that are still to come.
pub(super) fn forget_checks_to_come(
    connection: &Connection,
    library: LibraryId,
    now: i64,
) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "UPDATE asset_file INDEXED BY asset_file_scrub SET checked_at = NULL
         WHERE library_id = :library AND state = 'verified' AND released_at IS NULL
           AND checked_at > :now",
    )?;
    statement.execute(named_params! { ":library": library.0, ":now": now })?;
    Ok(())
}

/// Records what was found wrong. Unless it only could not be read, the file is wanted again.
pub(super) fn damaged(
    connection: &Connection,
    run: RunId,
    file: FileId,
    now: i64,
    damage: &Damage,
) -> Result<(), Error> {
    let unreadable = damage.kind == DamageKind::Unreadable;
    // One open line for a file, however often it could not be read.
    connection.execute(
        "UPDATE damage SET resolved_at = :now
         WHERE file_id = :file AND kind = 'unreadable' AND resolved_at IS NULL",
        named_params! { ":now": now, ":file": file.0 },
    )?;
    connection.execute(
        "INSERT INTO damage (file_id, run_id, at, kind, detail, kept_as)
         VALUES (:file, :run, :now, :kind, :detail, :kept_as)",
        named_params! {
            ":file": file.0, ":run": run.0, ":now": now, ":kind": damage.kind.as_str(),
            ":detail": damage.detail, ":kept_as": damage.kept_as,
        },
    )?;
    if unreadable { Ok(()) } else { moves::lost(connection, run, file, now) }
}
