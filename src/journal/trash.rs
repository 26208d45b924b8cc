//! The trash: files of assets that are gone from iCloud, on their way there, in it, and back.
//!
//! A row in the trash has a `trash_path` and is released: nothing fetches it and no scrub looks for
//! it. Without a `trashed_at` its file is *in motion*: the intent is in the journal, and the file
//! stands under one of the two paths. So a crash at any step is settled by one look at the disk.

use rusqlite::{Connection, named_params};

use crate::journal::Journal;
use crate::journal::Reader;
use crate::journal::absence::{Wanted, remember};
use crate::journal::error::Error;
use crate::journal::{moves, place, row};
use crate::model::checksum::Sha256Digest;
use crate::model::events::Note;
use crate::model::ids::{AccountId, AssetName, FileId, RunId};
use crate::model::xmp;

/// A file in the trash, on its way there, or due for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trashed {
    /// The row.
    pub id: FileId,
    /// The record name of its asset.
    pub asset: AssetName,
    /// Where it stands, or stood, as a photo.
    pub path: String,
    /// Where it stands in the trash; nothing as long as it is not meant to.
    pub trash_path: Option<String>,
    /// When it came there, in Unix seconds; nothing while it is in motion.
    pub trashed_at: Option<i64>,
    /// Its length.
    pub size_bytes: u64,
    /// The digest of its bytes.
    pub sha256: Option<Sha256Digest>,
    /// Its asset is in iCloud again.
    pub restored: bool,
    /// The digest of the sidecar that we wrote beside it, if it has one.
    pub sidecar: Option<Sha256Digest>,
}

const COLUMNS: &str = "f.file_id, a.record_name, f.path, f.trash_path, f.trashed_at,
    coalesce(f.disk_bytes, f.size_bytes) AS size_bytes, f.sha256 AS sha256,
    a.removed_at IS NULL AS restored,
    (SELECT s.sha256 FROM sidecar s WHERE s.file_id = f.file_id) AS sidecar";

impl Reader {
    /// Files whose asset is gone from iCloud and that are not in the trash.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn due_for_trash(&self, account: AccountId) -> Result<Vec<Trashed>, Error> {
        due(&*self.pool.get()?, account)
    }

    /// Everything in the trash or in motion, oldest first.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn trash(&self, account: AccountId) -> Result<Vec<Trashed>, Error> {
        list(&*self.pool.get()?, account)
    }

    /// Those of the trash that are named.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn named_in_trash(&self, account: AccountId, wanted: &Wanted) -> Result<Vec<Trashed>, Error> {
        named(&*self.pool.get()?, account, wanted)
    }
}

impl Journal {
    /// Says where files are to go in the trash, before they go.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn intend_trash(&self, now: i64, files: Vec<(FileId, String)>) -> Result<(), Error> {
        self.writer.run(move |c| intend(c, now, &files)).await
    }

    /// Says that files of the trash are to come back, before they do.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn intend_back(&self, files: Vec<FileId>) -> Result<(), Error> {
        self.writer.run(move |c| intend_back(c, &files)).await
    }

    /// Gives a file that is to come back another path than those that are taken.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn another_path(
        &self,
        account: AccountId,
        file: FileId,
        asset: AssetName,
        taken: Vec<String>,
    ) -> Result<String, Error> {
        self.writer.run(move |c| another_path(c, account, file, &asset, &taken)).await
    }

    /// Records that files stand in the trash.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn trashed(&self, run: Option<RunId>, now: i64, files: Vec<FileId>) -> Result<(), Error> {
        self.writer.run(move |c| trashed(c, run, now, &files)).await
    }

    /// Records under which names files lie in the trash that other hands moved there.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn moved_in_trash(
        &self,
        run: Option<RunId>,
        now: i64,
        files: Vec<(FileId, String)>,
    ) -> Result<(), Error> {
        self.writer.run(move |c| moved_in_trash(c, run, now, &files)).await
    }

    /// Records that files that were to go to the trash did not.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn not_trashed(&self, files: Vec<FileId>) -> Result<(), Error> {
        self.writer.run(move |c| not_trashed(c, &files)).await
    }

    /// Records that files that were to come back did not, and are in the trash as before.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn still_in_trash(&self, files: Vec<(FileId, i64)>) -> Result<(), Error> {
        self.writer.run(move |c| still_in_trash(c, &files)).await
    }

    /// Records that files stand in their places as photos; `kept`: because a person said so.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn in_place(
        &self,
        run: Option<RunId>,
        now: i64,
        files: Vec<FileId>,
        kept: bool,
    ) -> Result<(), Error> {
        self.writer.run(move |c| in_place(c, run, now, &files, kept)).await
    }

    /// Records that files of the trash are no more.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn purged(&self, run: RunId, now: i64, files: Vec<FileId>) -> Result<(), Error> {
        self.writer.run(move |c| purged(c, run, now, &files)).await
    }
}

/// Files that the policy wants in the trash: verified, here, and their asset gone. One that the
/// person took back out stays, unless its asset came back and went again.
pub(super) fn due(connection: &Connection, account: AccountId) -> Result<Vec<Trashed>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM asset a INDEXED BY asset_removed JOIN asset_file f USING (asset_id)
         WHERE a.removed_at IS NOT NULL AND a.removed_as <> 'moved'
           AND a.library_id IN (SELECT library_id FROM library WHERE account_id = :account)
           AND f.state = 'verified' AND f.released_at IS NULL
           AND (f.kept_at IS NULL OR f.kept_at < a.removed_at)
         ORDER BY f.file_id"
    );
    read(connection, &sql, named_params! { ":account": account.0 })
}

/// Everything in the trash or in motion, oldest first.
pub(super) fn list(connection: &Connection, account: AccountId) -> Result<Vec<Trashed>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM asset_file f INDEXED BY asset_file_trash JOIN asset a USING (asset_id)
         WHERE f.trash_path IS NOT NULL
           AND f.library_id IN (SELECT library_id FROM library WHERE account_id = :account)
         ORDER BY f.trashed_at, f.file_id"
    );
    read(connection, &sql, named_params! { ":account": account.0 })
}

/// Those of the trash that are named.
pub(super) fn named(
    connection: &Connection,
    account: AccountId,
    wanted: &Wanted,
) -> Result<Vec<Trashed>, Error> {
    let name = match wanted {
        Wanted::All => None,
        Wanted::Named(name) => Some(name.trim_end_matches('/')),
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM asset_file f INDEXED BY asset_file_trash JOIN asset a USING (asset_id)
         WHERE f.trash_path IS NOT NULL
           AND f.library_id IN (SELECT library_id FROM library WHERE account_id = :account)
           AND (:name IS NULL OR f.path = :name OR f.trash_path = :name OR a.filename = :name
                OR substr(f.path, 1, length(:name) + 1) = :name || '/')
         ORDER BY f.file_id"
    );
    read(connection, &sql, named_params! { ":account": account.0, ":name": name })
}

fn read(
    connection: &Connection,
    sql: &str,
    values: &[(&str, &dyn rusqlite::ToSql)],
) -> Result<Vec<Trashed>, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut files = Vec::new();
    while let Some(row) = rows.next()? {
        files.push(Trashed {
            id: FileId(row.get("file_id")?),
            asset: AssetName(row.get("record_name")?),
            path: row.get("path")?,
            trash_path: row.get("trash_path")?,
            trashed_at: row.get("trashed_at")?,
            size_bytes: row::bytes(row, "size_bytes")?,
            sha256: row::digest(row, "sha256")?,
            restored: row.get("restored")?,
            sidecar: row::digest(row, "sidecar")?,
        });
    }
    Ok(files)
}

/// Says where files are to go, before they go: from here on they are in motion.
pub(super) fn intend(connection: &Connection, now: i64, files: &[(FileId, String)]) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "UPDATE asset_file SET trash_path = :to, trashed_at = NULL, released_at = coalesce(released_at, :now)
         WHERE file_id = :file AND state = 'verified'",
    )?;
    for (file, to) in files {
        statement.execute(named_params! { ":file": file.0, ":to": to, ":now": now })?;
    }
    Ok(())
}

/// Says that files in the trash are to come back, before they do.
pub(super) fn intend_back(connection: &Connection, files: &[FileId]) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "UPDATE asset_file SET trashed_at = NULL WHERE file_id = :file AND trash_path IS NOT NULL",
    )?;
    for file in files {
        statement.execute(named_params! { ":file": file.0 })?;
    }
    Ok(())
}

/// Gives a file that is to come back another path: its own is taken by a stranger.
pub(super) fn another_path(
    connection: &Connection,
    account: AccountId,
    file: FileId,
    asset: &AssetName,
    taken: &[String],
) -> Result<String, Error> {
    let path = place::another(connection, account, file, asset, taken)?;
    let mut statement = connection
        .prepare_cached("UPDATE sidecar SET path = :path WHERE file_id = :file AND sha256 NOT NULL")?;
    statement.execute(named_params! { ":path": format!("{path}{}", xmp::SUFFIX), ":file": file.0 })?;
    Ok(path)
}

/// Records that files stand in the trash.
pub(super) fn trashed(
    connection: &Connection,
    run: Option<RunId>,
    now: i64,
    files: &[FileId],
) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "UPDATE asset_file SET trashed_at = :now WHERE file_id = :file AND trash_path IS NOT NULL",
    )?;
    for file in files {
        statement.execute(named_params! { ":file": file.0, ":now": now })?;
        remember(connection, run, now, *file, Note::Trashed, "gone from iCloud; undelete brings it back")?;
    }
    Ok(())
}

/// Records under which names files lie in the trash that other hands moved there, perhaps to each other's.
pub(super) fn moved_in_trash(
    connection: &Connection,
    run: Option<RunId>,
    now: i64,
    files: &[(FileId, String)],
) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "UPDATE asset_file SET trash_path = :to WHERE file_id = :file AND trash_path IS NOT NULL",
    )?;
    for (file, to) in files {
        statement.execute(named_params! { ":file": file.0, ":to": to })?;
        remember(connection, run, now, *file, Note::Relocated, &format!("in the trash, to {to}"))?;
    }
    Ok(())
}

/// Records that files that were to go to the trash did not: each is as it was, and due again.
pub(super) fn not_trashed(connection: &Connection, files: &[FileId]) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "UPDATE asset_file SET trash_path = NULL, trashed_at = NULL, released_at = NULL
         WHERE file_id = :file AND trash_path IS NOT NULL",
    )?;
    for file in files {
        statement.execute(named_params! { ":file": file.0 })?;
    }
    Ok(())
}

/// Records that files that were to come back did not: each is in the trash since when it was.
pub(super) fn still_in_trash(connection: &Connection, files: &[(FileId, i64)]) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "UPDATE asset_file SET trashed_at = :since WHERE file_id = :file AND trash_path IS NOT NULL",
    )?;
    for (file, since) in files {
        statement.execute(named_params! { ":file": file.0, ":since": since })?;
    }
    Ok(())
}

/// Records that files stand in their places as photos. `kept`: because a person said so.
pub(super) fn in_place(
    connection: &Connection,
    run: Option<RunId>,
    now: i64,
    files: &[FileId],
    kept: bool,
) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "UPDATE asset_file SET trash_path = NULL, trashed_at = NULL, released_at = NULL,
             kept_at = iif(:kept, :now, kept_at)
         WHERE file_id = :file AND trash_path IS NOT NULL",
    )?;
    for file in files {
        statement.execute(named_params! { ":file": file.0, ":now": now, ":kept": kept })?;
        remember(connection, run, now, *file, Note::PutBack, "it stands in its place")?;
    }
    Ok(())
}

/// Forgets that a person took files back out, where the asset is in iCloud again: should it go once more,
/// that is another matter.
pub(super) fn forget_kept(connection: &Connection) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "UPDATE asset_file SET kept_at = NULL WHERE file_id IN (
             SELECT f.file_id FROM asset_file f INDEXED BY asset_file_kept JOIN asset a USING (asset_id)
             WHERE f.kept_at IS NOT NULL AND a.removed_at IS NULL)",
    )?;
    statement.execute([])?;
    Ok(())
}

/// Records that files of the trash are no more: should Apple offer them again, they are fetched.
pub(super) fn purged(connection: &Connection, run: RunId, now: i64, files: &[FileId]) -> Result<(), Error> {
    for file in files {
        moves::purged(connection, run, *file, now)?;
    }
    Ok(())
}
