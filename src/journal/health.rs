//! Health: whether a journal is what was written to it.
//!
//! Two looks. [`check_pages`] is what a start does after a run that was not closed: the structure of
//! the file. [`examine`] is what a person asks for: every page, every
//! index, every constraint, and what only this program knows must be true. Neither changes a byte,
//! and neither lets the log flow into the file.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _};

use crate::journal::error::{Error, Trouble};
use crate::journal::schema;

/// Findings of one kind that are told. More say nothing new about a file that is damaged.
const TOLD_MAX: usize = 10;

/// A journal up to this size, some 8000 files, is checked at every start: it takes about 35 ms. A larger
/// one is checked after a run that was not closed, and whenever a snapshot reads it: a million files
/// (1 GB) take four seconds.
const SMALL_BYTES: u64 = 8 * 1024 * 1024;

/// The smallest page of any SQLite database.
const SQLITE_PAGE_MIN: u64 = 512;

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// What was looked at.
    pub what: &'static str,
    /// What is wrong with it.
    pub detail: String,
}

/// What a look at a whole journal brought.
#[derive(Clone, Debug, Default)]
pub struct Examination {
    /// How many things were looked at.
    pub looked_at: usize,
    /// What is wrong; empty for a sound journal.
    pub flaws: Vec<Flaw>,
    /// Files that it knows.
    pub files: u64,
    /// Of those, verified ones.
    pub files_verified: u64,
}

/// What must be true, and the statement that names the rows for which it is not.
const INVARIANTS: [(&str, &str); 11] = [
    (
        "asset",
        "SELECT record_name || ' has ' || count(*) || ' rows in library ' || library_id
         FROM asset GROUP BY library_id, record_name HAVING count(*) > 1",
    ),
    (
        "version",
        "SELECT path || ' is a version of ' || rendition || ' that has ' || count(*) || ' rows'
         FROM asset_file GROUP BY asset_id, rendition, checksum HAVING count(*) > 1",
    ),
    (
        "state",
        "SELECT f.path || ' is ' || f.state || ', and its history says ' || coalesce(h.to_state, 'pending')
         FROM asset_file f LEFT JOIN (
             SELECT file_id, to_state, max(history_id) FROM history GROUP BY file_id) h USING (file_id)
         WHERE f.state <> coalesce(h.to_state, 'pending')",
    ),
    // A line that leads nowhere and names no move is a note, such as of a file that went to the trash.
    (
        "history",
        "SELECT 'line ' || history_id || ' is no legal move: ' || from_state || ', ' || event || ', ' || to_state
         FROM history h
         WHERE (from_state <> to_state OR event IN (SELECT event FROM legal_move)) AND NOT EXISTS (
             SELECT 1 FROM legal_move m
             WHERE (m.from_state, m.event, m.to_state) = (h.from_state, h.event, h.to_state))",
    ),
    (
        "tally",
        "SELECT 'library ' || library_id || ' counts ' || t.files || ' files and ' || t.bytes || ' bytes as '
             || standing || ', and there are ' || coalesce(c.files, 0) || ' and ' || coalesce(c.bytes, 0)
         FROM tally t LEFT JOIN (
             SELECT library_id, standing, count(*) AS files, sum(size_bytes) AS bytes
             FROM asset_file GROUP BY library_id, standing) c USING (library_id, standing)
         WHERE standing NOT LIKE 'assets%'
           AND (t.files, t.bytes) <> (coalesce(c.files, 0), coalesce(c.bytes, 0))
         UNION ALL
         SELECT 'library ' || library_id || ' counts ' || t.files || ' as ' || t.standing || ', and there are '
             || iif(t.standing = 'assets', c.assets, iif(t.standing = 'assets-open', c.open,
                    iif(t.standing = 'assets-hidden', c.hidden, c.removed)))
         FROM tally t JOIN (
             SELECT library_id, count(asset_id) AS assets, coalesce(sum(files_open > 0), 0) AS open,
                    coalesce(sum(hidden AND removed_at IS NULL), 0) AS hidden,
                    coalesce(sum(removed_at IS NOT NULL), 0) AS removed
             FROM library LEFT JOIN asset USING (library_id) GROUP BY library_id) c USING (library_id)
         WHERE t.standing LIKE 'assets%'
           AND t.files <> iif(t.standing = 'assets', c.assets, iif(t.standing = 'assets-open', c.open,
                    iif(t.standing = 'assets-hidden', c.hidden, c.removed)))",
    ),
    (
        "tally",
        "SELECT 'library ' || library_id || ' has no count of ' || standing FROM (
             SELECT DISTINCT library_id, standing FROM asset_file
             EXCEPT SELECT library_id, standing FROM tally)",
    ),
    (
        "tally",
        "SELECT 'library ' || library_id || ' counts ' || t.unchecked || ' verified files that were never read back, and '
             || 'there are ' || coalesce(c.unchecked, 0)
         FROM (SELECT library_id, sum(unchecked) AS unchecked FROM tally GROUP BY library_id) t LEFT JOIN (
             SELECT library_id, count(*) AS unchecked FROM asset_file INDEXED BY asset_file_scrub
             WHERE state = 'verified' AND released_at IS NULL AND checked_at IS NULL
             GROUP BY library_id) c USING (library_id)
         WHERE t.unchecked <> coalesce(c.unchecked, 0)",
    ),
    (
        "open files",
        "SELECT record_name || ' counts ' || files_open || ' open files, and there are ' || coalesce(c.open, 0)
         FROM asset LEFT JOIN (
             SELECT asset_id, sum(is_open) AS open FROM asset_file GROUP BY asset_id) c USING (asset_id)
         WHERE files_open <> coalesce(c.open, 0)",
    ),
    (
        "library",
        "SELECT f.path || ' is in library ' || f.library_id || ', and its asset in ' || a.library_id
         FROM asset_file f JOIN asset a USING (asset_id) WHERE f.library_id <> a.library_id",
    ),
    (
        "address",
        "SELECT f.path || ' is verified, and its signed address is still here'
         FROM signed_url JOIN asset_file f USING (file_id) WHERE f.state = 'verified'",
    ),
    (
        "reference",
        "SELECT \"table\" || ' row ' || coalesce(rowid, '?') || ' names a row of ' || parent || ' that is not there'
         FROM pragma_foreign_key_check
         UNION ALL
         SELECT path || ' names a run that is not there' FROM asset_file
         WHERE moved_run_id NOT IN (SELECT run_id FROM run) OR claim_run_id NOT IN (SELECT run_id FROM run)",
    ),
];

/// Whether a log was left behind: whoever wrote last did not close the journal.
pub(super) fn log_is_left(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    PathBuf::from(log).metadata().is_ok_and(|log| log.len() > 0)
}

/// Refuses a file that is shorter than any journal and not empty: SQLite would take it for a new one. And
/// what is no file at all: SQLite would wait for the other end of a pipe for ever.
pub(super) fn check_length(path: &Path) -> Result<(), Error> {
    let found = path.metadata();
    if found.as_ref().is_ok_and(|found| !found.is_file()) {
        return Err(Error::NotAJournal { path: path.to_owned() });
    }
    match found.map_or(0, |file| file.len()) {
        0 | SQLITE_PAGE_MIN.. => Ok(()),
        len => {
            Err(Error::Damaged { path: path.to_owned(), detail: format!("only {len} bytes are left of it") })
        }
    }
}

/// Whether a check costs nothing that anybody would notice.
pub(super) fn is_small(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.len() <= SMALL_BYTES)
}

/// Whether the last run never came to its end. It costs a handful of rows.
pub(super) fn last_run_is_unfinished(connection: &Connection) -> Result<bool, rusqlite::Error> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM run WHERE ended_at IS NULL
             AND run_id > (SELECT coalesce(max(run_id), 0) FROM run WHERE ended_at IS NOT NULL))",
        [],
        |row| row.get(0),
    )
}

/// Checks that the file is whole, without comparing indexes with their tables.
pub(super) fn check_pages(connection: &Connection, path: &Path) -> Result<(), Error> {
    let damaged = |detail| Error::Damaged { path: path.to_owned(), detail };
    let found = lines(connection, "PRAGMA quick_check(2)").map_err(|e| Error::of(path, e))?;
    match found.as_slice() {
        [only] if only == "ok" => Ok(()),
        [first, ..] => Err(damaged(first.replace('\n', "; "))),
        [] => Err(damaged("the check says nothing".to_owned())),
    }
}

/// Looks at everything: pages, indexes, constraints, schema, and what must be true of the rows.
///
/// # Errors
/// If there is no journal of ours to look at. A damaged one is an answer.
pub fn examine(path: &Path) -> Result<Examination, Error> {
    let mut examination = Examination::default();
    match look(path, &mut examination) {
        Err(error) if error.trouble() == Trouble::Damage => {
            examination.flaws.push(Flaw { what: "file", detail: told(&error) });
        }
        done => done?,
    }
    Ok(examination)
}

fn told(error: &Error) -> String {
    match error {
        Error::Damaged { detail, .. } => detail.clone(),
        other => other.to_string(),
    }
}

fn look(path: &Path, to: &mut Examination) -> Result<(), Error> {
    let connection = schema::open_reader(path)?;
    let version = schema::identify(&connection, path)?;
    if version == 0 {
        return Err(Error::Empty { path: path.to_owned() });
    }
    let mut note = |what, details: Vec<String>| {
        to.looked_at += 1;
        to.flaws.extend(details.into_iter().take(TOLD_MAX).map(|detail| Flaw { what, detail }));
    };
    let of = |source| Error::of(path, source);
    let mut pages = lines(&connection, "PRAGMA integrity_check(10)").map_err(of)?;
    pages.retain(|line| line != "ok");
    let pages_sound = pages.is_empty();
    note("pages", pages);
    note("schema", changed_schema(&connection, version).map_err(of)?);
    // On broken pages every other answer is a guess.
    if pages_sound {
        for (what, sql) in INVARIANTS {
            note(what, lines(&connection, &format!("{sql} LIMIT {TOLD_MAX}")).map_err(of)?);
        }
    }
    let files: (i64, i64) = connection
        .query_row("SELECT count(*), coalesce(sum(state = 'verified'), 0) FROM asset_file", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .map_err(of)?;
    (to.files, to.files_verified) = (files.0.unsigned_abs(), files.1.unsigned_abs());
    Ok(())
}

/// Objects of ours that are gone or altered. What a person added is theirs.
fn changed_schema(connection: &Connection, version: i64) -> Result<Vec<String>, rusqlite::Error> {
    const OURS: &str = "SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL";
    let blank = schema::blank(version)?;
    let mut wanted = blank.prepare(OURS)?;
    let wanted = wanted.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut found = connection
        .prepare("SELECT sql FROM sqlite_schema WHERE type || ' ' || name = ?1 AND sql IS NOT NULL")?;
    let mut changed = Vec::new();
    for object in wanted {
        let (name, sql): (String, String) = object?;
        let is: Option<String> = found.query_row([&name], |row| row.get(0)).optional()?;
        match is {
            None => changed.push(format!("{name} is gone")),
            Some(is) if is != sql => changed.push(format!("{name} was altered")),
            Some(_) => {}
        }
    }
    Ok(changed)
}

/// The first column of every row, as text.
fn lines(connection: &Connection, sql: &str) -> Result<Vec<String>, rusqlite::Error> {
    let mut statement = connection.prepare(sql)?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    lines.collect()
}
