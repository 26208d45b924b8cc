//! Opening a journal: settings of the connection, and migrations up to the schema of this program.
//!
//! A migration runs in one transaction with the version it leads to, so a crash leaves the old
//! schema or the new one. A released migration is never edited; a new file is added.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::journal::error::Error;

/// Marks the file as ours (`file` and `sqlite3` can show it): "roll" in ASCII.
const APPLICATION_ID: i64 = 0x726f_6c6c;
/// The first SQLite without the WAL-reset defect (data race on two connections, 3.7.0 to 3.51.2).
const SQLITE_MIN: i32 = 3_051_003;
/// How long to wait for another program's lock, such as a person's open transaction.
const BUSY_WAIT: Duration = Duration::from_secs(10);
/// Each migration, in order; its place plus one is the version it leads to.
const MIGRATIONS: [&str; 1] = [include_str!("../../migrations/0001_journal.sql")];

/// Opens the one writing connection, and brings the schema up to date.
pub(super) fn open_writer(path: &Path) -> Result<Connection, Error> {
    if rusqlite::version_number() < SQLITE_MIN {
        return Err(Error::OldSqlite(rusqlite::version()));
    }
    let mut connection = Connection::open(path).map_err(|source| unusable(path, source))?;
    connection.busy_timeout(BUSY_WAIT)?;
    let version = identify(&connection, path)?;
    // FULL costs nothing once commits are grouped, and NORMAL forgets acknowledged commits.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA cache_size = -16384;
         PRAGMA temp_store = MEMORY;
         PRAGMA wal_autocheckpoint = 4000;
         PRAGMA journal_size_limit = 67108864;",
    )?;
    migrate(&mut connection, version)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Checks, before anything relies on it, that an existing file is a journal this program can read.
pub(super) fn check_readable(path: &Path) -> Result<(), Error> {
    let connection =
        Connection::open_with_flags(path, reader_flags()).map_err(|source| unusable(path, source))?;
    connection.busy_timeout(BUSY_WAIT)?;
    let version = identify(&connection, path)?;
    // An empty file is what a first start makes first, and leaves when it is killed at once.
    if version == 0 { Err(Error::Empty { path: path.to_owned() }) } else { Ok(()) }
}

/// Reads whose file it is and which schema it has; 0 is an empty one.
fn identify(connection: &Connection, path: &Path) -> Result<i64, Error> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let unusable = |source| unusable(path, source);
    let version = pragma("user_version").map_err(unusable)?;
    let id = pragma("application_id").map_err(unusable)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(unusable)?;
    if id != APPLICATION_ID && tables > 0 {
        return Err(Error::NotAJournal { path: path.to_owned() });
    }
    let known = MIGRATIONS.len() as i64;
    if version > known {
        return Err(Error::NewerSchema { path: path.to_owned(), found: version, known });
    }
    Ok(version)
}

fn unusable(path: &Path, source: rusqlite::Error) -> Error {
    match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => Error::NotAJournal { path: path.to_owned() },
        _ => Error::Open { path: path.to_owned(), source },
    }
}

fn migrate(connection: &mut Connection, from: i64) -> Result<(), Error> {
    for (place, sql) in MIGRATIONS.iter().enumerate().skip(from as usize) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", place as i64 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

/// How readers open the same file: they cannot write, by flag and by pragma.
pub(super) fn reader_flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI
}

/// Settings of a reading connection.
pub(super) fn prepare_reader(connection: &mut Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(BUSY_WAIT)?;
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -8192;")
}
