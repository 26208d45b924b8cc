//! Salvage: what a new journal takes over from a broken one.
//!
//! Photos and their proofs are on the disk, and Apple lists the rest. What neither knows is small:
//! whose journal it was, which destination is whose, and until when Apple asked to wait. Each is
//! read by itself, so that damage in one place costs that place only.

use std::path::Path;

use rusqlite::{Connection, Row, named_params};

use crate::journal::error::Error;
use crate::journal::schema;

/// An account of a journal, with its destination.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    username: String,
    dsid: Option<String>,
    next_allowed_at: Option<i64>,
    created_at: i64,
    destination: Option<Destination>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Destination {
    id: String,
    directory: String,
    created_at: i64,
}

/// What could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Salvaged {
    accounts: Vec<Account>,
    sign_in_allowed_at: Option<i64>,
}

impl Salvaged {
    /// Accounts that were read, and of those the ones whose destination was.
    #[must_use]
    pub fn accounts(&self) -> (usize, usize) {
        let with = self.accounts.iter().filter(|account| account.destination.is_some());
        (self.accounts.len(), with.count())
    }
}

/// Reads what can be read of the journal at `path`, whatever its state.
#[must_use]
pub fn salvage(path: &Path) -> Salvaged {
    let Ok(connection) = schema::open_reader(path) else { return Salvaged::default() };
    if !matches!(schema::identify(&connection, path), Ok(1..)) {
        return Salvaged::default();
    }
    let whole =
        "SELECT username, dsid, next_allowed_at, a.created_at, d.destination_id, d.directory, d.created_at
                 FROM account a LEFT JOIN destination d USING (account_id) ORDER BY account_id";
    let alone = "SELECT username, dsid, next_allowed_at, created_at, NULL, NULL, NULL
                 FROM account ORDER BY account_id";
    let accounts = rows(&connection, whole).or_else(|_| rows(&connection, alone)).unwrap_or_default();
    let sign_in = connection.query_row("SELECT sign_in_allowed_at FROM governor", [], |row| row.get(0));
    Salvaged { accounts, sign_in_allowed_at: sign_in.unwrap_or_default() }
}

fn rows(connection: &Connection, sql: &str) -> Result<Vec<Account>, rusqlite::Error> {
    connection.prepare(sql)?.query_map([], account)?.collect()
}

fn account(row: &Row<'_>) -> Result<Account, rusqlite::Error> {
    let id: Option<String> = row.get(4)?;
    let destination = match id {
        Some(id) => Some(Destination { id, directory: row.get(5)?, created_at: row.get(6)? }),
        None => None,
    };
    Ok(Account {
        username: row.get(0)?,
        dsid: row.get(1)?,
        next_allowed_at: row.get(2)?,
        created_at: row.get(3)?,
        destination,
    })
}

/// Makes a new journal at `path`, where an empty file stands, with what was salvaged.
///
/// It is durable, and one file, when this returns.
///
/// # Errors
/// If it cannot be written.
pub fn start_anew(path: &Path, salvaged: &Salvaged) -> Result<(), Error> {
    let mut connection = schema::open_writer(path)?;
    let transaction = connection.transaction()?;
    for account in &salvaged.accounts {
        transaction.execute(
            "INSERT INTO account (username, dsid, next_allowed_at, created_at)
             VALUES (:username, :dsid, :wait, :created)",
            named_params! {
                ":username": account.username, ":dsid": account.dsid,
                ":wait": account.next_allowed_at, ":created": account.created_at,
            },
        )?;
        if let Some(destination) = &account.destination {
            transaction.execute(
                "INSERT INTO destination (account_id, destination_id, directory, created_at)
                 VALUES (:account, :id, :directory, :created)",
                named_params! {
                    ":account": transaction.last_insert_rowid(), ":id": destination.id,
                    ":directory": destination.directory, ":created": destination.created_at,
                },
            )?;
        }
    }
    transaction.execute(
        "UPDATE governor SET sign_in_allowed_at = :at",
        named_params! { ":at": salvaged.sign_in_allowed_at },
    )?;
    transaction.commit()?;
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    connection.close().map_err(|(_, source)| Error::of(path, source))
}
