//! The roll call: every file row of an account, streamed, with what its history last said.
//!
//! One pass over the table in the order of its ids, in one read transaction, so memory is flat and the
//! numbers belong together. Nothing is believed here: the counts are made anew, and the tally that
//! triggers keep is one more thing to compare.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, named_params};

use crate::journal::error::Error;
use crate::journal::query::Tally;
use crate::journal::row;
use crate::model::file_system::FileSystem;
use crate::model::ids::{AccountId, FileId, LibraryId};

/// A file row as the audit reads it.
#[derive(Clone, Debug)]
pub struct RollRow {
    /// The row.
    pub id: FileId,
    /// The library it belongs to.
    pub library: LibraryId,
    /// The record name of its asset; `None` if the asset's row is gone.
    pub asset: Option<String>,
    /// Where it stands, or should.
    pub path: String,
    /// Which file of the asset.
    pub rendition: String,
    /// How long it is.
    pub size_bytes: u64,
    /// Its length on the disk, where the date was added to the bytes that were proved.
    pub dated_bytes: Option<u64>,
    /// Its state, as a word.
    pub state: String,
    /// Its state, or why it is out of scope.
    pub standing: String,
    /// Whether it is out of scope because its library is.
    pub is_left_out: bool,
    /// The state that its history ends with.
    pub last_told: String,
    /// The digest of its bytes, if it is verified.
    pub sha256: Option<Vec<u8>>,
    /// How it was proved.
    pub verified_by: Option<String>,
    /// Apple's checksum of it.
    pub checksum: String,
    /// Whether the person moved or deleted it on purpose.
    pub is_released: bool,
    /// Where it lies in the trash, if it does and is not on its way.
    pub trash_path: Option<String>,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// When it is tried again, if it failed.
    pub retry_at: Option<i64>,
}

const ROLL: &str = "
    SELECT f.file_id, f.library_id, a.record_name, f.path, f.rendition, f.size_bytes, f.state, f.standing,
           f.sha256, f.verified_by, f.checksum, f.disk_bytes, f.released_at IS NOT NULL AS is_released,
           iif(f.trashed_at IS NULL, NULL, f.trash_path) AS trash_path,
           f.excluded_by IS 'library' AND f.superseded_at IS NULL AS is_left_out,
           f.error_kind || ': ' || f.error_detail AS error, f.retry_at,
           coalesce((SELECT h.to_state FROM history h WHERE h.file_id = f.file_id
                     ORDER BY h.history_id DESC LIMIT 1), 'pending') AS last_told
    FROM asset_file f LEFT JOIN asset a USING (asset_id)
    WHERE f.library_id IN (SELECT library_id FROM library WHERE account_id = :account)
    ORDER BY f.file_id";

/// Calls `each` for every file row of an account; ends early when it says `false`.
pub(super) fn roll(
    connection: &Connection,
    account: AccountId,
    mut each: impl FnMut(RollRow) -> bool,
) -> Result<(), Error> {
    let mut statement = connection.prepare(ROLL)?;
    let mut rows = statement.query(named_params! { ":account": account.0 })?;
    while let Some(row) = rows.next()? {
        let go_on = each(RollRow {
            id: FileId(row.get("file_id")?),
            library: LibraryId(row.get("library_id")?),
            asset: row.get("record_name")?,
            path: row.get("path")?,
            rendition: row.get("rendition")?,
            size_bytes: row::bytes(row, "size_bytes")?,
            dated_bytes: row.get::<_, Option<i64>>("disk_bytes")?.map(i64::cast_unsigned),
            state: row.get("state")?,
            standing: row.get("standing")?,
            is_left_out: row.get("is_left_out")?,
            last_told: row.get("last_told")?,
            sha256: row.get("sha256")?,
            verified_by: row.get("verified_by")?,
            checksum: row.get("checksum")?,
            is_released: row.get("is_released")?,
            trash_path: row.get("trash_path")?,
            error: row.get("error")?,
            retry_at: row.get("retry_at")?,
        });
        if !go_on {
            break;
        }
    }
    Ok(())
}

/// Assets of a library, counted anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AssetCount {
    /// In iCloud, as far as the journal knows.
    pub present: u64,
    /// Of those, hidden ones.
    pub hidden: u64,
    /// Gone from iCloud; their files stay.
    pub removed: u64,
}

/// Counts the assets of each library of an account.
pub(super) fn assets(
    connection: &Connection,
    account: AccountId,
) -> Result<BTreeMap<LibraryId, AssetCount>, Error> {
    let mut statement = connection.prepare(
        "SELECT library_id, count(*) FILTER (WHERE removed_at IS NULL) AS present,
                count(*) FILTER (WHERE removed_at IS NULL AND hidden) AS hidden,
                count(*) FILTER (WHERE removed_at IS NOT NULL) AS removed
         FROM asset WHERE library_id IN (SELECT library_id FROM library WHERE account_id = :account)
         GROUP BY library_id",
    )?;
    let mut rows = statement.query(named_params! { ":account": account.0 })?;
    let mut counts = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let count = AssetCount {
            present: row::bytes(row, "present")?,
            hidden: row::bytes(row, "hidden")?,
            removed: row::bytes(row, "removed")?,
        };
        counts.insert(LibraryId(row.get("library_id")?), count);
    }
    Ok(counts)
}

/// Calls `each` for every asset in iCloud that has no file row at all.
pub(super) fn without_files(
    connection: &Connection,
    account: AccountId,
    mut each: impl FnMut(LibraryId, String, String),
) -> Result<(), Error> {
    let mut statement = connection.prepare(
        "SELECT library_id, record_name, filename FROM asset a
         WHERE library_id IN (SELECT library_id FROM library WHERE account_id = :account)
           AND removed_at IS NULL
           AND NOT EXISTS (SELECT 1 FROM asset_file f WHERE f.asset_id = a.asset_id)
           AND NOT EXISTS (SELECT 1 FROM record_problem p WHERE p.library_id = a.library_id
                           AND p.resolved_at IS NULL AND p.record_name IN (a.record_name, a.master_name))",
    )?;
    let mut rows = statement.query(named_params! { ":account": account.0 })?;
    while let Some(row) = rows.next()? {
        each(LibraryId(row.get(0)?), row.get(1)?, row.get(2)?);
    }
    Ok(())
}

/// A record that cannot be used, or not wholly.
#[derive(Clone, Debug)]
pub struct UnusableRecord {
    /// The library it belongs to.
    pub library: LibraryId,
    /// Its name.
    pub record: String,
    /// What kind of problem.
    pub kind: String,
    /// What was found.
    pub detail: String,
}

/// Calls `each` for every unusable record of an account.
pub(super) fn unusable(
    connection: &Connection,
    account: AccountId,
    mut each: impl FnMut(UnusableRecord),
) -> Result<(), Error> {
    let mut statement = connection.prepare(
        "SELECT library_id, record_name, kind, detail FROM record_problem
         WHERE resolved_at IS NULL
           AND library_id IN (SELECT library_id FROM library WHERE account_id = :account)
         ORDER BY library_id, record_name, kind",
    )?;
    let mut rows = statement.query(named_params! { ":account": account.0 })?;
    while let Some(row) = rows.next()? {
        each(UnusableRecord {
            library: LibraryId(row.get(0)?),
            record: row.get(1)?,
            kind: row.get(2)?,
            detail: row.get(3)?,
        });
    }
    Ok(())
}

/// Reads the tally of a library.
pub(super) fn tally(connection: &Connection, library: LibraryId) -> Result<BTreeMap<String, Tally>, Error> {
    let mut statement =
        connection.prepare_cached("SELECT standing, files, bytes FROM tally WHERE library_id = :library")?;
    let mut rows = statement.query(named_params! { ":library": library.0 })?;
    let mut tally = BTreeMap::new();
    while let Some(row) = rows.next()? {
        // Negative numbers are a broken tally too, and must not stop the audit.
        let number = |column| row.get::<_, i64>(column).map(|n| u64::try_from(n).unwrap_or(u64::MAX));
        tally.insert(row.get(0)?, Tally { files: number(1)?, bytes: number(2)? });
    }
    Ok(tally)
}

/// What the journal knows of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownPath {
    /// A verified file belongs there.
    Verified,
    /// A file that is still to come belongs there; its part file may hold bytes.
    Open,
    /// A file that is out of scope, or was let go, belongs there.
    OutOfScope,
    /// The sidecar of a file belongs there.
    Sidecar,
}

/// Looks a path up, by its key and then by its letters, as the file system that told it compares them.
pub(super) fn known_path(
    connection: &Connection,
    key: i64,
    path: &str,
    told_by: &FileSystem,
) -> Result<Option<KnownPath>, Error> {
    let mut statement =
        connection.prepare_cached("SELECT state, standing, path FROM asset_file WHERE path_key = :key")?;
    let found = statement
        .query_row(named_params! { ":key": key }, |row| {
            let (state, standing): (String, String) = (row.get(0)?, row.get(1)?);
            if !told_by.is_same(&row.get::<_, String>(2)?, path) {
                return Ok(None);
            }
            Ok(Some(match (state.as_str(), standing.as_str()) {
                (_, "released") => KnownPath::OutOfScope,
                ("verified", _) => KnownPath::Verified,
                (state, standing) if state == standing => KnownPath::Open,
                _ => KnownPath::OutOfScope,
            }))
        })
        .optional()?;
    Ok(found.flatten())
}

/// Whether a sidecar that we wrote stands at `path`, beside the file of this key.
pub(super) fn is_sidecar(
    connection: &Connection,
    key: i64,
    path: &str,
    told_by: &FileSystem,
) -> Result<bool, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT s.path FROM asset_file f JOIN sidecar s USING (file_id) WHERE f.path_key = :key",
    )?;
    let sidecar: Option<String> =
        statement.query_row(named_params! { ":key": key }, |row| row.get(0)).optional()?;
    Ok(sidecar.is_some_and(|sidecar| told_by.is_same(&sidecar, path)))
}

/// The folders that hold links of albums of an account.
pub(super) fn album_folders(connection: &Connection, account: AccountId) -> Result<Vec<String>, Error> {
    let mut statement =
        connection.prepare("SELECT DISTINCT directory FROM album_link WHERE account_id = :account")?;
    let rows = statement.query_map(named_params! { ":account": account.0 }, |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether a link of ours stands at `path` below a folder of albums.
pub(super) fn is_album_link(
    connection: &Connection,
    account: AccountId,
    folder: &str,
    path: &str,
) -> Result<bool, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM album_link
             WHERE account_id = :account AND directory = :folder AND path = :path)",
    )?;
    let values = named_params! { ":account": account.0, ":folder": folder, ":path": path };
    Ok(statement.query_row(values, |row| row.get(0))?)
}

/// Whether assets came to a library or left it at or after a moment, as far as the journal knows.
pub(super) fn changed_since(connection: &Connection, library: LibraryId, at: i64) -> Result<bool, Error> {
    // From the end: what is asked about is the latest.
    let mut statement = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM asset_history h JOIN asset a USING (asset_id)
             WHERE a.library_id = :library AND h.at >= :at
               AND h.event IN ('added', 'deleted', 'purged', 'moved', 'restored'))",
    )?;
    Ok(statement.query_row(named_params! { ":library": library.0, ":at": at }, |row| row.get(0))?)
}

/// The last run of an account that asked Apple for photos and finished.
pub(super) fn last_listing(connection: &Connection, account: AccountId) -> Result<Option<i64>, Error> {
    Ok(connection
        .query_row(
            "SELECT run_id FROM run WHERE account_id = :account AND verb IN ('sync', 'plan', 'adopt')
             ORDER BY run_id DESC LIMIT 1",
            named_params! { ":account": account.0 },
            |row| row.get(0),
        )
        .optional()?)
}
