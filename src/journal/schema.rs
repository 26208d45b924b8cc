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
    let open = |source| match source {
        rusqlite::Error::SqliteFailure(e, _) if e.code == rusqlite::ErrorCode::NotADatabase => {
            Error::NotAJournal { path: path.to_owned() }
        }
        source => Error::Open { path: path.to_owned(), source },
    };
    let mut connection = Connection::open(path).map_err(open)?;
    connection.busy_timeout(BUSY_WAIT)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |r| r.get(0)).map_err(open)?;
    let id: i64 = connection.pragma_query_value(None, "application_id", |r| r.get(0)).map_err(open)?;
    let empty: bool =
        connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |r| r.get(0))?;
    if id != APPLICATION_ID && !empty {
        return Err(Error::NotAJournal { path: path.to_owned() });
    }
    let known = MIGRATIONS.len() as i64;
    if version > known {
        return Err(Error::NewerSchema { path: path.to_owned(), found: version, known });
    }
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
