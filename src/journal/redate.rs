//! Dates that are added to files: which JPEGs are still to be looked at, and what came of it.
//!
//! The intent comes first: a row of `rewrite`. Then the file is replaced, and then its row gets the digest
//! of what stands there now and keeps that of the bytes that Apple's checksum proved.

use rusqlite::{Connection, named_params};

use crate::journal::Journal;
use crate::journal::Reader;
use crate::journal::absence::remember;
use crate::journal::album_view;
use crate::journal::error::Error;
use crate::journal::row::{self, int};
use crate::model::asset::Captured;
use crate::model::checksum::{AppleChecksum, Sha256Digest};
use crate::model::events::Note;
use crate::model::ids::{AccountId, AssetName, FileId, RunId};
use crate::model::layout;

/// A JPEG that is to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undated {
    /// The row.
    pub file: FileId,
    /// Where it stands.
    pub path: String,
    /// The tag in the name of its part file.
    pub tag: String,
    /// The digest of what stands there.
    pub sha256: Sha256Digest,
    /// When it was taken.
    pub captured: Captured,
}

/// A replacement that no commit has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// The row.
    pub file: FileId,
    /// Where it stands.
    pub path: String,
    /// The tag in the name of its part file.
    pub tag: String,
    /// The digest of what stood there.
    pub from: Sha256Digest,
    /// The digest of what is to stand there.
    pub to: Sha256Digest,
}

/// What a look at a JPEG came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateLook {
    /// It has a date.
    Has,
    /// It stays as it is, for this reason.
    Left(&'static str),
}

impl Reader {
    /// Up to `limit` verified JPEGs behind `after` that were not looked at as they are now.
    ///
    /// # Errors
    /// If the journal cannot be read; so for all that follows here.
    pub fn undated(&self, account: AccountId, after: FileId, limit: usize) -> Result<Vec<Undated>, Error> {
        undated(&*self.pool.get()?, account, after, limit)
    }

    /// Replacements that were begun and that no commit has ended.
    ///
    /// # Errors
    /// See [`Reader::undated`].
    pub fn unfinished_dates(&self, account: AccountId) -> Result<Vec<Rewrite>, Error> {
        unfinished(&*self.pool.get()?, account)
    }
}

impl Journal {
    /// Says what a file is about to become, before it does.
    ///
    /// # Errors
    /// If the journal cannot be written; so for all that follows here.
    pub async fn intend_date(&self, file: FileId, to: Sha256Digest, size_bytes: u64) -> Result<(), Error> {
        self.writer.run(move |c| intend(c, file, to, size_bytes)).await
    }

    /// Records that a file has become what was intended. Call after it is durable.
    ///
    /// # Errors
    /// See [`Journal::intend_date`].
    pub async fn date_written(&self, run: Option<RunId>, now: i64, file: FileId) -> Result<(), Error> {
        self.writer.run(move |c| written(c, run, now, file)).await
    }

    /// Takes an intent back: the file is what it was.
    ///
    /// # Errors
    /// See [`Journal::intend_date`].
    pub async fn date_given_up(&self, file: FileId) -> Result<(), Error> {
        self.writer.run(move |c| given_up(c, file)).await
    }

    /// Remembers looks, so that these bytes are not looked at again.
    ///
    /// # Errors
    /// See [`Journal::intend_date`].
    pub async fn date_looked(&self, looks: Vec<(FileId, DateLook)>) -> Result<(), Error> {
        self.writer.run(move |c| looked(c, &looks)).await
    }
}

pub(super) fn undated(
    connection: &Connection,
    account: AccountId,
    after: FileId,
    limit: usize,
) -> Result<Vec<Undated>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT f.file_id, f.path, f.checksum, f.sha256, a.record_name, a.captured_ms, a.captured_offset_s
         FROM asset_file f JOIN asset a USING (asset_id) JOIN library l ON l.library_id = f.library_id
         LEFT JOIN exif_look e USING (file_id)
         WHERE f.file_id > :after AND l.account_id = :account AND f.state = 'verified'
           AND f.released_at IS NULL AND f.uti = 'public.jpeg' AND a.captured_ms IS NOT NULL
           AND e.sha256 IS NOT f.sha256
         ORDER BY f.file_id LIMIT :limit",
    )?;
    let values = named_params! { ":after": after.0, ":account": account.0, ":limit": limit as i64 };
    let mut rows = statement.query(values)?;
    let mut files = Vec::new();
    while let Some(found) = rows.next()? {
        files.push(Undated {
            file: FileId(found.get("file_id")?),
            path: found.get("path")?,
            tag: tag(found)?,
            sha256: needed(found, "sha256")?,
            captured: Captured {
                at_ms: found.get("captured_ms")?,
                offset_seconds: found.get("captured_offset_s")?,
            },
        });
    }
    Ok(files)
}

pub(super) fn unfinished(connection: &Connection, account: AccountId) -> Result<Vec<Rewrite>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT f.file_id, f.path, f.checksum, f.sha256, a.record_name, r.to_sha256
         FROM rewrite r CROSS JOIN asset_file f USING (file_id) JOIN asset a USING (asset_id)
         JOIN library l ON l.library_id = f.library_id
         WHERE l.account_id = :account AND f.state = 'verified'",
    )?;
    let mut rows = statement.query(named_params! { ":account": account.0 })?;
    let mut rewrites = Vec::new();
    while let Some(found) = rows.next()? {
        rewrites.push(Rewrite {
            file: FileId(found.get("file_id")?),
            path: found.get("path")?,
            tag: tag(found)?,
            from: needed(found, "sha256")?,
            to: needed(found, "to_sha256")?,
        });
    }
    Ok(rewrites)
}

pub(super) fn intend(
    connection: &Connection,
    file: FileId,
    to: Sha256Digest,
    size_bytes: u64,
) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO rewrite (file_id, to_sha256, to_bytes) VALUES (:file, :to, :bytes)",
    )?;
    statement.execute(named_params! { ":file": file.0, ":to": to.0, ":bytes": int(size_bytes) })?;
    Ok(())
}

pub(super) fn written(
    connection: &Connection,
    run: Option<RunId>,
    now: i64,
    file: FileId,
) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "UPDATE asset_file SET apple_sha256 = coalesce(apple_sha256, sha256), checked_at = NULL,
             (sha256, disk_bytes) = (SELECT to_sha256, to_bytes FROM rewrite r WHERE r.file_id = :file)
         WHERE file_id = :file AND state = 'verified'
           AND EXISTS (SELECT 1 FROM rewrite r WHERE r.file_id = :file)",
    )?;
    if statement.execute(named_params! { ":file": file.0 })? > 0 {
        look(connection, file, "written", None)?;
        remember(
            connection,
            run,
            now,
            file,
            Note::Dated,
            "its date of capture was added to the bytes that were proved",
        )?;
        // A link that shares bytes no longer shares them.
        album_view::make_again(connection, file)?;
    }
    given_up(connection, file)
}

pub(super) fn given_up(connection: &Connection, file: FileId) -> Result<(), Error> {
    let mut statement = connection.prepare_cached("DELETE FROM rewrite WHERE file_id = :file")?;
    statement.execute(named_params! { ":file": file.0 })?;
    Ok(())
}

pub(super) fn looked(connection: &Connection, looks: &[(FileId, DateLook)]) -> Result<(), Error> {
    for (file, found) in looks {
        match found {
            DateLook::Has => look(connection, *file, "has", None)?,
            DateLook::Left(why) => look(connection, *file, "left", Some(why))?,
        }
    }
    Ok(())
}

fn look(connection: &Connection, file: FileId, outcome: &str, detail: Option<&str>) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO exif_look (file_id, sha256, outcome, detail)
         SELECT file_id, sha256, :outcome, :detail FROM asset_file WHERE file_id = :file AND sha256 NOT NULL",
    )?;
    statement.execute(named_params! { ":file": file.0, ":outcome": outcome, ":detail": detail })?;
    Ok(())
}

fn tag(row: &rusqlite::Row<'_>) -> Result<String, Error> {
    let (name, checksum): (String, String) = (row.get("record_name")?, row.get("checksum")?);
    Ok(layout::part_tag(&AssetName(name), &AppleChecksum::parse(&checksum)))
}

fn needed(row: &rusqlite::Row<'_>, column: &'static str) -> Result<Sha256Digest, Error> {
    row::digest(row, column)?.ok_or_else(|| Error::UnknownWord { what: column, value: "NULL".into() })
}
