//! Questions: read-only, on connections of their own, while a run is on.

use rusqlite::{Connection, named_params};

use crate::journal::Reader;
use crate::journal::Verb;
use crate::journal::error::Error;
use crate::journal::row;
use crate::journal::story::Which;
use crate::model::asset::{Rendition, Zone};
use crate::model::ids::{AccountId, FileId, LibraryId};

/// Files and bytes of one standing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The journal in a handful of numbers, read from the tally at any size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Assets known, those that are gone from iCloud not counted.
    pub assets: u64,
    /// Of those, the hidden ones.
    pub assets_hidden: u64,
    /// Assets that are gone from iCloud; their files stay.
    pub assets_removed: u64,
    /// Of those, the ones with a file in scope that is not verified.
    pub assets_open: u64,
    /// Not begun.
    pub pending: Tally,
    /// Begun.
    pub partial: Tally,
    /// Proved and in place.
    pub verified: Tally,
    /// Failed, with a reason.
    pub failed: Tally,
    /// Waiting for a fresh URL.
    pub expired_url: Tally,
    /// Outside the selection.
    pub excluded: Tally,
    /// Moved or deleted on purpose.
    pub released: Tally,
    /// Versions that Apple no longer offers.
    pub superseded: Tally,
    /// Records that cannot be used.
    pub record_problems: u64,
}

impl Summary {
    /// What still wants its bytes: everything in scope that is not verified.
    #[must_use]
    pub fn open(&self) -> Tally {
        [self.pending, self.partial, self.failed, self.expired_url]
            .iter()
            .fold(Tally::default(), |sum, t| Tally { files: sum.files + t.files, bytes: sum.bytes + t.bytes })
    }
}

impl Reader {
    /// Files and bytes by standing, of one account or of all.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn summary(&self, username: Option<&str>) -> Result<Summary, Error> {
        summary(&*self.pool.get()?, username)
    }

    /// Every library and its numbers.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn libraries(&self) -> Result<Vec<Library>, Error> {
        libraries(&*self.pool.get()?)
    }

    /// Up to `limit` rows of `v_problem`.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn problems(&self, limit: usize) -> Result<Vec<Problem>, Error> {
        problems(&*self.pool.get()?, limit)
    }

    /// The last run that asked Apple for photos, if there was one.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn last_run(&self) -> Result<Option<Run>, Error> {
        last_run(&*self.pool.get()?, "sync,plan")
    }

    /// The last run for `verb`, if there was one.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn last_run_for(&self, verb: Verb) -> Result<Option<Run>, Error> {
        last_run(&*self.pool.get()?, verb.as_str())
    }

    /// Up to `limit` rows of a library that want a fresh URL.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub async fn expired(&self, library: LibraryId, limit: usize) -> Result<Vec<Expired>, Error> {
        let pool = self.pool.clone();
        let read = move || expired(&*pool.get()?, library, limit);
        tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| Ok(Vec::new()))
    }
}

pub(super) const SUMMARY: &str = "
    SELECT standing, sum(files) AS files, sum(bytes) AS bytes
    FROM tally JOIN library USING (library_id) JOIN account USING (account_id)
    WHERE username = coalesce(:username, username) GROUP BY standing";

/// Reads the summary of one account, or of all.
pub(super) fn summary(connection: &Connection, account: Option<&str>) -> Result<Summary, Error> {
    let mut summary = Summary::default();
    let mut statement = connection.prepare_cached(SUMMARY)?;
    let mut rows = statement.query(named_params! { ":username": account })?;
    while let Some(row) = rows.next()? {
        let standing: String = row.get(0)?;
        let tally = Tally { files: row::bytes(row, "files")?, bytes: row::bytes(row, "bytes")? };
        match standing.as_str() {
            "assets" => summary.assets = tally.files,
            "assets-open" => summary.assets_open = tally.files,
            "assets-hidden" => summary.assets_hidden = tally.files,
            "assets-removed" => summary.assets_removed = tally.files,
            "pending" => summary.pending = tally,
            "partial" => summary.partial = tally,
            "verified" => summary.verified = tally,
            "failed" => summary.failed = tally,
            "expired-url" => summary.expired_url = tally,
            "excluded" => summary.excluded = tally,
            "released" => summary.released = tally,
            "superseded" => summary.superseded = tally,
            _ => return Err(Error::UnknownWord { what: "standing", value: standing }),
        }
    }
    summary.assets = summary.assets.saturating_sub(summary.assets_removed);
    summary.record_problems = connection.query_row(
        "SELECT count(*) FROM record_problem JOIN library USING (library_id)
                 JOIN account USING (account_id)
             WHERE resolved_at IS NULL AND username = coalesce(:username, username)",
        named_params! { ":username": account },
        |row| row.get::<_, i64>(0).map(i64::unsigned_abs),
    )?;
    Ok(summary)
}

/// A library and its numbers.
#[derive(Clone, Debug)]
pub struct Library {
    /// The row.
    pub id: LibraryId,
    /// The account it belongs to.
    pub username: String,
    /// Its zone.
    pub zone: Zone,
    /// What Apple says it holds.
    pub apple_count: Option<u64>,
    /// What the last complete enumeration found.
    pub enumerated_count: Option<u64>,
    /// When that ended, in Unix seconds.
    pub enumerated_at: Option<i64>,
}

/// Reads every library.
pub(super) fn libraries(connection: &Connection) -> Result<Vec<Library>, Error> {
    let mut statement = connection.prepare(
        "SELECT library_id, username, database, zone_name, zone_owner, zone_type,
                apple_count, enumerated_count, enumerated_at
         FROM library JOIN account USING (account_id) ORDER BY library_id",
    )?;
    let mut rows = statement.query([])?;
    let mut libraries = Vec::new();
    while let Some(row) = rows.next()? {
        libraries.push(Library {
            id: LibraryId(row.get("library_id")?),
            username: row.get("username")?,
            zone: Zone {
                database: row::database(row, "database")?,
                name: row.get("zone_name")?,
                owner: row.get("zone_owner")?,
                kind: row.get("zone_type")?,
            },
            apple_count: row.get::<_, Option<i64>>("apple_count")?.map(i64::unsigned_abs),
            enumerated_count: row.get::<_, Option<i64>>("enumerated_count")?.map(i64::unsigned_abs),
            enumerated_at: row.get("enumerated_at")?,
        });
    }
    Ok(libraries)
}

/// A row that wants a fresh URL.
#[derive(Clone, Debug)]
pub struct Expired {
    /// The row.
    pub id: FileId,
    /// The record names to look up: the asset's and the master's.
    pub asset: String,
    /// See `asset`.
    pub master: String,
    /// Where the file goes, for messages.
    pub path: String,
    /// Which file of the asset.
    pub rendition: Rendition,
    /// Its checksum: a URL to other bytes is no renewal.
    pub checksum: String,
    /// URLs in a row that the host refused.
    pub urls_refused: u32,
}

pub(super) const EXPIRED: &str = "
    SELECT f.file_id, a.record_name, a.master_name, f.path, f.rendition, f.checksum, f.urls_refused
    FROM asset_file f INDEXED BY asset_file_expired JOIN asset a USING (asset_id)
    WHERE f.library_id = :library AND f.state = 'expired-url'
      AND f.excluded_by IS NULL AND f.released_at IS NULL AND f.superseded_at IS NULL
    ORDER BY f.file_id LIMIT :limit";

/// Reads up to `limit` rows of a library that want a fresh URL, oldest first.
pub(super) fn expired(
    connection: &Connection,
    library: LibraryId,
    limit: usize,
) -> Result<Vec<Expired>, Error> {
    let mut statement = connection.prepare_cached(EXPIRED)?;
    let mut rows = statement.query(named_params! { ":library": library.0, ":limit": limit as i64 })?;
    let mut expired = Vec::new();
    while let Some(row) = rows.next()? {
        expired.push(Expired {
            id: FileId(row.get("file_id")?),
            asset: row.get("record_name")?,
            master: row.get("master_name")?,
            path: row.get("path")?,
            rendition: row::rendition(row, "rendition")?,
            checksum: row.get("checksum")?,
            urls_refused: row.get("urls_refused")?,
        });
    }
    Ok(expired)
}

/// A line of `v_problem`.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The path of a file, or the name of a record.
    pub name: String,
    /// What kind of problem.
    pub kind: String,
    /// What was seen.
    pub detail: String,
}

/// Reads up to `limit` problems.
pub(super) fn problems(connection: &Connection, limit: usize) -> Result<Vec<Problem>, Error> {
    let mut statement = connection.prepare("SELECT name, kind, detail FROM v_problem LIMIT :limit")?;
    let mut rows = statement.query(named_params! { ":limit": limit as i64 })?;
    let mut problems = Vec::new();
    while let Some(row) = rows.next()? {
        problems.push(Problem { name: row.get(0)?, kind: row.get(1)?, detail: row.get(2)? });
    }
    Ok(problems)
}

/// A line of `v_run`.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its number.
    pub id: i64,
    /// The account it worked for.
    pub account: String,
    /// What it was for: `sync`, `plan`, `adopt`, `verify` or `audit`.
    pub verb: String,
    /// When it began, in Unix seconds.
    pub started_at: i64,
    /// When it ended; `None` while it lasts or if it was killed.
    pub ended_at: Option<i64>,
    /// What came of it.
    pub outcome: String,
    /// Files verified in it.
    pub files_done: u64,
    /// Bytes it fetched.
    pub bytes_fetched: u64,
    /// Bytes it read back from the disk.
    pub bytes_read: u64,
    /// What it found wrong there.
    pub findings: u64,
}

const RUNS: &str = "
    SELECT run_id, account, verb, started_at, ended_at, outcome, files_done, bytes_fetched, bytes_read,
           findings FROM v_run";

/// Reads the last run for one of these verbs, of any account: words between commas.
pub(super) fn last_run(connection: &Connection, verbs: &str) -> Result<Option<Run>, Error> {
    let sql = format!("{RUNS} WHERE instr(:verbs, verb) > 0 ORDER BY run_id DESC LIMIT 1");
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(named_params! { ":verbs": verbs })?;
    rows.next()?.map(run).transpose()
}

/// Reads the latest runs that were at work between two moments, oldest first.
pub(super) fn runs(connection: &Connection, which: &Which) -> Result<Vec<Run>, Error> {
    let sql = format!(
        "{RUNS} WHERE (:run IS NULL OR run_id = :run) AND (:until IS NULL OR started_at <= :until)
           AND (:since IS NULL OR coalesce(ended_at, started_at) >= :since)
         ORDER BY run_id DESC LIMIT :limit"
    );
    let mut statement = connection.prepare(&sql)?;
    let limit = i64::try_from(which.limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(named_params! {
        ":run": which.run, ":since": which.since, ":until": which.until, ":limit": limit,
    })?;
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        runs.push(run(row)?);
    }
    runs.reverse();
    Ok(runs)
}

fn run(row: &rusqlite::Row<'_>) -> Result<Run, Error> {
    Ok(Run {
        id: row.get("run_id")?,
        account: row.get("account")?,
        verb: row.get("verb")?,
        started_at: row.get("started_at")?,
        ended_at: row.get("ended_at")?,
        outcome: row.get("outcome")?,
        files_done: row::bytes(row, "files_done")?,
        bytes_fetched: row::bytes(row, "bytes_fetched")?,
        bytes_read: row::bytes(row, "bytes_read")?,
        findings: row::bytes(row, "findings")?,
    })
}

/// Reads the ids of all accounts.
pub(super) fn accounts(connection: &Connection) -> Result<Vec<AccountId>, Error> {
    let mut statement = connection.prepare("SELECT account_id FROM account ORDER BY account_id")?;
    let rows = statement.query_map([], |row| row.get(0).map(AccountId))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many lines `v_problem` has.
pub(super) fn problems_total(connection: &Connection) -> Result<u64, Error> {
    let total: i64 = connection.query_row("SELECT count(*) FROM v_problem", [], |row| row.get(0))?;
    Ok(total.unsigned_abs())
}
