//! Absence: verified files that no longer stand where they did, and what became of them.
//!
//! A file that the person moved has its new path learned; one that they deleted is released, or wanted
//! again, as they chose. The history says so either way.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use crate::journal::Journal;
use crate::journal::Reader;
use crate::journal::error::Error;
use crate::journal::{moves, place, row, sidecar};
use crate::model::checksum::Sha256Digest;
use crate::model::events::Note;
use crate::model::file_system::FileSystem;
use crate::model::ids::{AccountId, FileId, RunId};

/// A file that should stand somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The row.
    pub id: FileId,
    /// Where it should stand, relative to the destination.
    pub path: String,
    /// Its length.
    pub size_bytes: u64,
    /// The digest of its bytes.
    pub sha256: Sha256Digest,
    /// It was missed before, and released; or it lies in the trash.
    pub released: bool,
    /// Where it lies in the trash, should it be there.
    pub trash_path: Option<String>,
}

/// How far the look at whether files still stand has come. A round ends with the last file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// The file after which it goes on.
    pub after: FileId,
    /// Files missed in this round so far.
    pub missing: u64,
    /// When a round last ended, in Unix seconds.
    pub ended_at: Option<i64>,
}

/// A file that was found under another path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundElsewhere {
    /// The row.
    pub id: FileId,
    /// Where it stood.
    pub from: String,
    /// Where it stands.
    pub to: String,
}

/// What came of learning where files are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// Files whose place is known.
    pub moved: Vec<FileId>,
    /// Files in whose places some of those stand, and that are not where they should be. They have another
    /// path now, and nothing stands there.
    pub displaced: Vec<FileId>,
}

/// What becomes of files that the person deleted here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// They stay away: nothing comes back by surprise.
    #[default]
    Released,
    /// They are fetched again.
    Refetched,
}

/// What came of wanting released files back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refetched {
    /// Files that are wanted again.
    pub files: u64,
    /// Paths of those that stay away: Apple no longer has them.
    pub gone: Vec<String>,
    /// Paths of those that stay away because the person's choices leave them out.
    pub left_out: Vec<String>,
}

/// Which released files are wanted back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of them.
    All,
    /// The file at this path, those below this folder, or those of assets of this name.
    Named(String),
}

impl Reader {
    /// How far the look at whether files still stand has come.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn sweep(&self, account: AccountId) -> Result<Sweep, Error> {
        sweep(&*self.pool.get()?, account)
    }

    /// Up to `limit` files that should stand somewhere, behind `after`.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn expected(&self, account: AccountId, after: FileId, limit: usize) -> Result<Vec<Expected>, Error> {
        expected(&*self.pool.get()?, account, after, limit)
    }

    /// Those of `paths`, as `told_by` tells names, where no verified file of that length is known to stand.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn unknown_paths(
        &self,
        account: AccountId,
        paths: Vec<(String, u64)>,
        told_by: &FileSystem,
    ) -> Result<Vec<String>, Error> {
        unknown_paths(&*self.pool.get()?, account, paths, told_by)
    }

    /// Verified files of the account that have one of these lengths; none that is in the trash, or on its way
    /// to another path. Reads all of its rows.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn of_lengths(&self, account: AccountId, lengths: &HashSet<u64>) -> Result<Vec<Expected>, Error> {
        of_lengths(&*self.pool.get()?, account, lengths)
    }
}

impl Journal {
    /// Remembers how far the sweep has come.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn swept(&self, account: AccountId, sweep: Sweep) -> Result<(), Error> {
        self.writer.run(move |c| swept(c, account, sweep)).await
    }

    /// Learns where files were moved to, also to each other's places, as `told_by` tells names.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn relocated(
        &self,
        account: AccountId,
        run: RunId,
        now: i64,
        files: Vec<FoundElsewhere>,
        told_by: FileSystem,
    ) -> Result<Learned, Error> {
        self.writer.run(move |c| relocated(c, account, run, now, &files, &told_by)).await
    }

    /// Does with files that are gone what the person chose.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn missing(
        &self,
        run: RunId,
        now: i64,
        files: Vec<FileId>,
        policy: Missing,
    ) -> Result<(), Error> {
        self.writer.run(move |c| missing(c, run, now, &files, policy)).await
    }

    /// Makes the next sync look at every file, whatever it knows: some were missed.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn look_again(&self, account: AccountId) -> Result<(), Error> {
        let from_the_start = Sweep { after: FileId(0), missing: 0, ended_at: None };
        self.writer.run(move |c| swept(c, account, from_the_start)).await
    }

    /// Takes released files back that stand in their places again.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn returned(&self, run: RunId, now: i64, files: Vec<FileId>) -> Result<(), Error> {
        self.writer.run(move |c| returned(c, run, now, &files)).await
    }

    /// Wants released files back.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn refetch(&self, username: &str, wanted: Wanted, now: i64) -> Result<Refetched, Error> {
        let username = username.to_owned();
        self.writer.run(move |c| refetch(c, &username, &wanted, now)).await
    }
}

/// Reads how far the sweep has come.
pub(super) fn sweep(connection: &Connection, account: AccountId) -> Result<Sweep, Error> {
    let found = connection
        .query_row(
            "SELECT after_file_id, missing, ended_at FROM sweep WHERE account_id = :account",
            named_params! { ":account": account.0 },
            |row| {
                let missing: i64 = row.get(1)?;
                Ok(Sweep {
                    after: FileId(row.get(0)?),
                    missing: missing.unsigned_abs(),
                    ended_at: row.get(2)?,
                })
            },
        )
        .optional()?;
    Ok(found.unwrap_or(Sweep { after: FileId(0), missing: 0, ended_at: None }))
}

/// Remembers how far the sweep has come.
pub(super) fn swept(connection: &Connection, account: AccountId, sweep: Sweep) -> Result<(), Error> {
    connection.execute(
        "INSERT INTO sweep (account_id, after_file_id, missing, ended_at)
         VALUES (:account, :after, :missing, :ended_at)
         ON CONFLICT (account_id) DO UPDATE SET after_file_id = excluded.after_file_id,
             missing = excluded.missing, ended_at = excluded.ended_at",
        named_params! {
            ":account": account.0, ":after": sweep.after.0, ":missing": row::int(sweep.missing),
            ":ended_at": sweep.ended_at,
        },
    )?;
    Ok(())
}

/// Reads up to `limit` files of an account that should stand somewhere, behind `after`.
pub(super) fn expected(
    connection: &Connection,
    account: AccountId,
    after: FileId,
    limit: usize,
) -> Result<Vec<Expected>, Error> {
    // By row, not by an index: the order is that of the rows, and nearly all of them are wanted.
    let mut statement = connection.prepare_cached(
        "SELECT file_id, path, coalesce(disk_bytes, size_bytes) AS size_bytes, sha256, released_at IS NOT NULL AS released,
             trash_path
         FROM asset_file NOT INDEXED
         WHERE file_id > :after AND state = 'verified'
           AND library_id IN (SELECT library_id FROM library WHERE account_id = :account)
           AND file_id NOT IN (SELECT file_id FROM relocation)
         ORDER BY file_id LIMIT :limit",
    )?;
    let values = named_params! { ":account": account.0, ":after": after.0, ":limit": limit as i64 };
    let mut rows = statement.query(values)?;
    let mut files = Vec::new();
    while let Some(row) = rows.next()? {
        files.push(read(row)?);
    }
    Ok(files)
}

fn read(row: &Row<'_>) -> Result<Expected, Error> {
    let sha256 = row::digest(row, "sha256")?;
    Ok(Expected {
        id: FileId(row.get("file_id")?),
        path: row.get("path")?,
        size_bytes: row::bytes(row, "size_bytes")?,
        sha256: sha256.ok_or_else(|| Error::UnknownWord { what: "sha256", value: "NULL".into() })?,
        released: row.get("released")?,
        trash_path: row.get("trash_path")?,
    })
}

/// Verified files of an account that have one of these lengths.
pub(super) fn of_lengths(
    connection: &Connection,
    account: AccountId,
    lengths: &HashSet<u64>,
) -> Result<Vec<Expected>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT file_id, path, coalesce(disk_bytes, size_bytes) AS size_bytes, sha256, released_at IS NOT NULL AS released,
             trash_path
         FROM asset_file f
         WHERE state = 'verified' AND trash_path IS NULL
           AND coalesce(disk_bytes, size_bytes) IN (SELECT value FROM json_each(:sizes))
           AND library_id IN (SELECT library_id FROM library WHERE account_id = :account)
           AND file_id NOT IN (SELECT file_id FROM relocation)
         ORDER BY file_id",
    )?;
    let sizes: Vec<String> = lengths.iter().map(u64::to_string).collect();
    let sizes = format!("[{}]", sizes.join(","));
    let mut rows = statement.query(named_params! { ":account": account.0, ":sizes": sizes })?;
    let mut files = Vec::new();
    while let Some(row) = rows.next()? {
        files.push(read(row)?);
    }
    Ok(files)
}

/// Those of `paths` where no verified file of that length is known to stand.
pub(super) fn unknown_paths(
    connection: &Connection,
    account: AccountId,
    paths: Vec<(String, u64)>,
    told_by: &FileSystem,
) -> Result<Vec<String>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT path FROM asset_file WHERE path_key = :key AND state = 'verified' AND released_at IS NULL
           AND coalesce(disk_bytes, size_bytes) = :size",
    )?;
    let mut unknown = Vec::new();
    for (path, size_bytes) in paths {
        let values = named_params! { ":key": place::key(account, &path), ":size": row::int(size_bytes) };
        let known: Option<String> = statement.query_row(values, |row| row.get(0)).optional()?;
        if !known.is_some_and(|known| told_by.is_same(&known, &path)) {
            unknown.push(path);
        }
    }
    Ok(unknown)
}

/// Learns where files were moved to, also to each other's places. Not learned is a name that only this file
/// system tells from that of another file, and one that is promised to a file that is half here.
pub(super) fn relocated(
    connection: &Connection,
    account: AccountId,
    run: RunId,
    now: i64,
    files: &[FoundElsewhere],
    told_by: &FileSystem,
) -> Result<Learned, Error> {
    let (mut moves, mut keys) = (Vec::new(), HashSet::new());
    for file in files {
        let is_to_be_had = match place::holder(connection, account, file.id, &file.to)? {
            // What it is known for is not what stands there: that is the file.
            Some(holder) if holder.is_verified => told_by.is_same(&holder.path, &file.to),
            Some(holder) => !holder.is_half_here,
            None => true,
        };
        if is_to_be_had && keys.insert(place::key(account, &file.to)) {
            moves.push(file);
        }
    }
    for file in &moves {
        place::step_aside(connection, account, file.id)?;
    }
    let mut learned = Learned::default();
    for file in &moves {
        if let Some(holder) = place::holder(connection, account, file.id, &file.to)? {
            let held = holder.path.clone();
            place::another(connection, account, holder.id, &holder.name, &[held])?;
            if holder.is_verified {
                let detail = format!("from {}, where another file of yours stands now", holder.path);
                remember(connection, Some(run), now, holder.id, Note::Relocated, &detail)?;
                learned.displaced.push(holder.id);
            }
        }
        place::stand_at(connection, account, file.id, &file.to)?;
        set_released(connection, file.id, None)?;
        remember(connection, Some(run), now, file.id, Note::Relocated, &format!("from {}", file.from))?;
        learned.moved.push(file.id);
    }
    sidecar::hand_over(connection, &moves, &learned.displaced)?;
    Ok(learned)
}

/// Does with files that are gone what the person chose.
pub(super) fn missing(
    connection: &Connection,
    run: RunId,
    now: i64,
    files: &[FileId],
    policy: Missing,
) -> Result<(), Error> {
    for file in files {
        match policy {
            Missing::Refetched => moves::lost(connection, run, *file, now)?,
            Missing::Released => {
                set_released(connection, *file, Some(now))?;
                remember(connection, Some(run), now, *file, Note::Released, "it was deleted here")?;
            }
        }
    }
    Ok(())
}

/// Takes released files back that stand in their places again.
pub(super) fn returned(connection: &Connection, run: RunId, now: i64, files: &[FileId]) -> Result<(), Error> {
    for file in files {
        set_released(connection, *file, None)?;
        remember(connection, Some(run), now, *file, Note::Returned, "it stands there again")?;
    }
    Ok(())
}

/// Wants released files back. Those that are gone from iCloud, or left out by choice, stay away; where the photo moved to another
/// library, the file there is another row.
pub(super) fn refetch(
    connection: &Connection,
    username: &str,
    wanted: &Wanted,
    now: i64,
) -> Result<Refetched, Error> {
    let name = match wanted {
        Wanted::All => None,
        Wanted::Named(name) => Some(name.trim_end_matches('/')),
    };
    let mut statement = connection.prepare(
        "SELECT f.file_id, f.path, f.superseded_at IS NULL AND a.removed_at IS NULL AS offered,
                f.excluded_by IS NULL AS wanted
         FROM asset_file f INDEXED BY asset_file_released
         JOIN asset a USING (asset_id) JOIN library l ON l.library_id = f.library_id
         JOIN account c USING (account_id)
         WHERE f.released_at IS NOT NULL AND f.trash_path IS NULL AND f.state = 'verified'
           AND a.removed_as IS NOT 'moved' AND c.username = :username
           AND (:name IS NULL OR f.path = :name OR a.filename = :name
                OR substr(f.path, 1, length(:name) + 1) = :name || '/')",
    )?;
    let mut rows = statement.query(named_params! { ":username": username, ":name": name })?;
    let (mut files, mut gone, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        match (row.get("offered")?, row.get("wanted")?) {
            (true, true) => files.push(FileId(row.get("file_id")?)),
            (true, false) => left_out.push(row.get("path")?),
            (false, _) => gone.push(row.get("path")?),
        }
    }
    for file in &files {
        moves::refetched(connection, *file, now)?;
    }
    gone.sort();
    left_out.sort();
    Ok(Refetched { files: files.len() as u64, gone, left_out })
}

fn set_released(connection: &Connection, file: FileId, at: Option<i64>) -> Result<(), Error> {
    let mut statement =
        connection.prepare_cached("UPDATE asset_file SET released_at = :at WHERE file_id = :file")?;
    statement.execute(named_params! { ":file": file.0, ":at": at })?;
    Ok(())
}

/// A line of history that is no move: the file stays verified.
pub(super) fn remember(
    connection: &Connection,
    run: Option<RunId>,
    now: i64,
    file: FileId,
    note: Note,
    detail: &str,
) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO history (history_id, file_id, run_id, at, event, from_state, to_state, detail)
         SELECT 1 + max(coalesce((SELECT max(history_id) FROM history), 0),
                        coalesce((SELECT max(asset_history_id) FROM asset_history), 0)),
                file_id, :run, :now, :event, state, state, :detail
         FROM asset_file WHERE file_id = :file",
    )?;
    statement.execute(named_params! {
        ":file": file.0, ":run": run.map(|run| run.0), ":now": now, ":event": note.as_str(), ":detail": detail,
    })?;
    Ok(())
}
