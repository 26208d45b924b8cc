//! Opening a journal: settings of the connection, and migrations up to the schema of this program.
//!
//! A migration runs in one transaction with the version it leads to, so a crash leaves the old
//! schema or the new one. A released migration is never edited; a new file is added.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::journal::error::Error;
use crate::journal::health;

/// Marks the file as ours (`file` and `sqlite3` can show it): "roll" in ASCII.
const APPLICATION_ID: i64 = 0x726f_6c6c;
/// The first SQLite without the WAL-reset defect (data race on two connections, 3.7.0 to 3.51.2).
const SQLITE_MIN: i32 = 3_051_003;
/// How long to wait for another program's lock, such as a person's open transaction.
const BUSY_WAIT: Duration = Duration::from_secs(10);
/// Each migration, in order; its place plus one is the version it leads to.
const MIGRATIONS: [&str; 1] = [include_str!("../../migrations/0001_journal.sql")];

/// Opens the one writing connection, and brings the schema up to date.
///
/// A journal that was not closed is checked first, and nothing flows from its log into the file
/// before it is found sound.
pub(super) fn open_writer(path: &Path) -> Result<Connection, Error> {
    if rusqlite::version_number() < SQLITE_MIN {
        return Err(Error::OldSqlite(rusqlite::version()));
    }
    health::check_length(path)?;
    let log_was_left = health::log_is_left(path);
    let mut connection = Connection::open(path).map_err(|source| Error::of(path, source))?;
    let opened = |source| Error::of(path, source);
    connection.busy_timeout(BUSY_WAIT).map_err(opened)?;
    keep_log(&connection, true).map_err(opened)?;
    let version = identify(&connection, path)?;
    let is_due = log_was_left || health::is_small(path);
    if version > 0 && (is_due || health::last_run_is_unfinished(&connection).map_err(opened)?) {
        health::check_pages(&connection, path)?;
    }
    keep_log(&connection, false).map_err(opened)?;
    // FULL costs nothing once commits are grouped, and NORMAL forgets acknowledged commits. The cache holds the indexes
    // of a million assets by name and by master: with half of it, the last of them are read and written again and again.
    let settings = connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA cache_size = -32768;
         PRAGMA temp_store = MEMORY;
         PRAGMA wal_autocheckpoint = 4000;
         PRAGMA journal_size_limit = 67108864;",
    );
    settings.and_then(|()| migrate(&mut connection, version)).map_err(opened)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Says whether the log stays as it is when the last connection closes.
pub(super) fn keep_log(connection: &Connection, stays: bool) -> Result<(), rusqlite::Error> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, stays).map(drop)
}

/// Opens a journal that is only looked at.
pub(super) fn open_reader(path: &Path) -> Result<Connection, Error> {
    health::check_length(path)?;
    let connection =
        Connection::open_with_flags(path, reader_flags()).map_err(|source| Error::of(path, source))?;
    connection.busy_timeout(BUSY_WAIT)?;
    keep_log(&connection, true)?;
    Ok(connection)
}

/// The schema of `version` in a journal that is in memory only.
pub(super) fn blank(version: i64) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_in_memory()?;
    for sql in MIGRATIONS.iter().take(version as usize) {
        connection.execute_batch(sql)?;
    }
    Ok(connection)
}

/// Checks, before anything relies on it, that an existing file is a journal this program can read.
pub(super) fn check_readable(path: &Path) -> Result<(), Error> {
    let version = identify(&open_reader(path)?, path)?;
    // An empty file is what a first start makes first, and leaves when it is killed at once.
    if version == 0 { Err(Error::Empty { path: path.to_owned() }) } else { Ok(()) }
}

/// Reads whose file it is and which schema it has; 0 is an empty one. Of a journal of ours only the head is
/// read: its schema is long, and is parsed by whoever asks it something.
pub(super) fn identify(connection: &Connection, path: &Path) -> Result<i64, Error> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let unusable = |source| Error::of(path, source);
    let version = pragma("user_version").map_err(unusable)?;
    let id = pragma("application_id").map_err(unusable)?;
    if id != APPLICATION_ID {
        let tables = "SELECT count(*) FROM sqlite_schema";
        let tables: i64 = connection.query_row(tables, [], |row| row.get(0)).map_err(unusable)?;
        if tables > 0 {
            return Err(Error::NotAJournal { path: path.to_owned() });
        }
    }
    let known = MIGRATIONS.len() as i64;
    if version > known {
        return Err(Error::NewerSchema { path: path.to_owned(), found: version, known });
    }
    Ok(version)
}

fn migrate(connection: &mut Connection, from: i64) -> Result<(), rusqlite::Error> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_is_built_as_the_configuration_of_cargo_says() {
        let connection = Connection::open_in_memory().expect("a journal in memory");
        let mut statement =
            connection.prepare("SELECT compile_options FROM pragma_compile_options").expect("SQL");
        let options = statement.query_map([], |row| row.get::<_, String>(0)).expect("options");
        let options: Vec<String> = options.map(|option| option.expect("a word")).collect();
        assert!(!options.iter().any(|option| option == "ENABLE_MEMORY_MANAGEMENT"), "{options:?}");
        assert!(options.iter().any(|option| option == "DEFAULT_MEMSTATUS=0"), "{options:?}");
        assert!(options.iter().any(|option| option == "DEFAULT_LOOKASIDE=4096,64"), "{options:?}");
        assert!(options.iter().any(|option| option == "ENABLE_NULL_TRIM"), "{options:?}");
    }
}
