//! Runs, accounts and libraries: the frame around the files.

use rusqlite::{Connection, OptionalExtension as _, named_params};

use crate::journal::Journal;
use crate::journal::Place;
use crate::journal::Reader;
use crate::journal::Tally;
use crate::journal::changes;
use crate::journal::error::Error;
use crate::journal::row::int;
use crate::model::asset::Zone;
use crate::model::backoff;
use crate::model::ids::{AccountId, LibraryId, RunId};

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Bringing files home.
    Sync,
    /// Only saying what would come.
    Plan,
    /// Taking over files that are here already.
    Adopt,
    /// Reading files back.
    Verify,
    /// Setting Apple, journal and disk against each other.
    Audit,
}

impl Verb {
    /// The word in the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Plan => "plan",
            Self::Adopt => "adopt",
            Self::Verify => "verify",
            Self::Audit => "audit",
        }
    }
}

impl Reader {
    /// Until when Apple asked this account to wait, in Unix seconds.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn next_allowed_at(&self, username: &str, now: i64) -> Result<Option<i64>, Error> {
        Ok(next_allowed_at(&*self.pool.get()?, username)?.filter(|at| *at <= latest(now)))
    }

    /// The row of an account, if there is one.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn account_id(&self, username: &str) -> Result<Option<AccountId>, Error> {
        account_id(&*self.pool.get()?, username)
    }

    /// Before when nobody of this journal may sign in with a password, in Unix seconds.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn sign_in_allowed_at(&self, now: i64) -> Result<Option<i64>, Error> {
        Ok(sign_in_allowed_at(&*self.pool.get()?)?.filter(|at| *at <= latest(now)))
    }

    /// The account, and whether every library of it was listed from end to end at least once.
    ///
    /// # Errors
    /// If the journal cannot be read; so for every question below.
    pub fn known_account(&self, username: &str) -> Result<Option<(AccountId, bool)>, Error> {
        known_account(&*self.pool.get()?, username)
    }
}

impl Journal {
    /// The same for another purpose.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn begin_run_for(&self, account: AccountId, verb: Verb, now: i64) -> Result<RunId, Error> {
        self.writer.run(move |c| begin(c, account, verb, now)).await
    }

    /// Closes a run that read files back.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn end_reading(
        &self,
        run: RunId,
        now: i64,
        outcome: &'static str,
        read: Reading,
    ) -> Result<(), Error> {
        self.writer.run(move |c| end_reading(c, run, now, outcome, read)).await
    }

    /// Closes a run: what came of it, files verified, bytes fetched.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn end_run(
        &self,
        run: RunId,
        now: i64,
        outcome: &'static str,
        done: Tally,
    ) -> Result<(), Error> {
        self.writer.run(move |c| end(c, run, now, outcome, done.files, done.bytes)).await
    }

    /// Finds or makes the row of an account.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn account(&self, username: &str, dsid: &str, now: i64) -> Result<AccountId, Error> {
        let (username, dsid) = (username.to_owned(), dsid.to_owned());
        self.writer.run(move |c| account(c, &username, &dsid, now)).await
    }

    /// Remembers until when Apple asked this account to wait.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn wait_until(&self, username: &str, at: i64, now: i64) -> Result<(), Error> {
        let username = username.to_owned();
        self.writer.run(move |c| wait_until(c, &username, at, now)).await
    }

    /// Remembers until when Apple put off signing in with a password, for all accounts.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn put_off_sign_ins(&self, at: i64) -> Result<(), Error> {
        self.writer.run(move |c| put_off_sign_ins(c, at)).await
    }

    /// Finds or makes the row of a library, and stores what Apple says it holds.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn library(
        &self,
        account: AccountId,
        zone: &Zone,
        apple_count: Option<u64>,
    ) -> Result<LibraryId, Error> {
        let zone = zone.clone();
        self.writer.run(move |c| library(c, account, &zone, apple_count)).await
    }

    /// Records that a library was listed from end to end.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn enumerated(&self, at: Place, found: Enumerated) -> Result<(), Error> {
        self.writer.run(move |c| enumerated(c, at.run, at.library, at.now, &found)).await
    }
}

/// Opens a run. The caller holds the run lock.
pub(super) fn begin(
    connection: &Connection,
    account: AccountId,
    verb: Verb,
    now: i64,
) -> Result<RunId, Error> {
    connection.execute(
        "INSERT INTO run (account_id, verb, started_at, pid, version)
         VALUES (:account, :verb, :now, :pid, :version)",
        named_params! {
            ":account": account.0, ":verb": verb.as_str(), ":now": now, ":pid": std::process::id(),
            ":version": env!("CARGO_PKG_VERSION"),
        },
    )?;
    Ok(RunId(connection.last_insert_rowid()))
}

/// Closes a run that read files back: what came of it, what it read, and how much of it was wrong.
pub(super) fn end_reading(
    connection: &Connection,
    run: RunId,
    now: i64,
    outcome: &str,
    read: Reading,
) -> Result<(), Error> {
    connection.execute(
        "UPDATE run SET ended_at = :now, outcome = :outcome, files_done = :files, bytes_read = :bytes,
             findings = :findings
         WHERE run_id = :run",
        named_params! {
            ":now": now, ":outcome": outcome, ":run": run.0, ":files": int(read.files),
            ":bytes": int(read.bytes), ":findings": int(read.findings),
        },
    )?;
    Ok(())
}

/// What a run read back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Files that were read to their ends; where an audit reads none, those that it looked at and found right.
    pub files: u64,
    /// Bytes read back.
    pub bytes: u64,
    /// What was found wrong.
    pub findings: u64,
}

/// Closes a run: what came of it, and how much it did.
pub(super) fn end(
    connection: &Connection,
    run: RunId,
    now: i64,
    outcome: &str,
    files_done: u64,
    bytes_fetched: u64,
) -> Result<(), Error> {
    connection.execute(
        "UPDATE run SET ended_at = :now, outcome = :outcome, files_done = :files, bytes_fetched = :bytes
         WHERE run_id = :run",
        named_params! {
            ":now": now, ":outcome": outcome, ":run": run.0,
            ":files": files_done as i64, ":bytes": bytes_fetched as i64,
        },
    )?;
    Ok(())
}

/// Finds or makes the row of an account.
pub(super) fn account(
    connection: &Connection,
    username: &str,
    dsid: &str,
    now: i64,
) -> Result<AccountId, Error> {
    let id = connection.query_row(
        "INSERT INTO account (username, dsid, created_at) VALUES (:username, :dsid, :now)
         ON CONFLICT (username) DO UPDATE SET dsid = excluded.dsid RETURNING account_id",
        named_params! { ":username": username, ":dsid": dsid, ":now": now },
        |row| row.get(0),
    )?;
    Ok(AccountId(id))
}

/// The row of an account, and whether every library of it was listed from end to end at least once.
pub(super) fn known_account(
    connection: &Connection,
    username: &str,
) -> Result<Option<(AccountId, bool)>, Error> {
    let known = connection
        .query_row(
            "SELECT account_id, coalesce(min(l.enumerated_at IS NOT NULL), 0)
             FROM account LEFT JOIN library l USING (account_id) WHERE username = :username
             GROUP BY account_id",
            named_params! { ":username": username },
            |row| Ok((AccountId(row.get(0)?), row.get(1)?)),
        )
        .optional()?;
    Ok(known)
}

/// The row of an account, if there is one.
pub(super) fn account_id(connection: &Connection, username: &str) -> Result<Option<AccountId>, Error> {
    let mut statement = connection.prepare("SELECT account_id FROM account WHERE username = :username")?;
    let found = statement.query_row(named_params! { ":username": username }, |row| row.get(0).map(AccountId));
    Ok(found.optional()?)
}

/// Until when Apple asked this account to wait, in Unix seconds.
pub(super) fn next_allowed_at(connection: &Connection, username: &str) -> Result<Option<i64>, Error> {
    let at = connection
        .query_row(
            "SELECT next_allowed_at FROM account WHERE username = :username",
            named_params! { ":username": username },
            |row| row.get(0),
        )
        .optional()?;
    Ok(at.flatten())
}

/// Remembers until when Apple asked to wait, across processes.
pub(super) fn wait_until(connection: &Connection, username: &str, at: i64, now: i64) -> Result<(), Error> {
    connection.execute(
        "INSERT INTO account (username, next_allowed_at, created_at) VALUES (:username, :at, :now)
         ON CONFLICT (username) DO UPDATE SET next_allowed_at = excluded.next_allowed_at",
        named_params! { ":username": username, ":at": at, ":now": now },
    )?;
    Ok(())
}

/// Before when nobody of this journal may sign in with a password, in Unix seconds.
pub(super) fn sign_in_allowed_at(connection: &Connection) -> Result<Option<i64>, Error> {
    Ok(connection.query_row("SELECT sign_in_allowed_at FROM governor", [], |row| row.get(0))?)
}

/// The latest time that any wait of now can end. What is noted beyond it was noted by a clock that was
/// wrong, or this one is: it counts for nothing, and Apple says it again.
fn latest(now: i64) -> i64 {
    now.saturating_add(i64::try_from(backoff::RETRY_AFTER_MAX.as_secs()).unwrap_or(i64::MAX))
}

/// Remembers until when Apple put sign-ins off, for all accounts and processes.
pub(super) fn put_off_sign_ins(connection: &Connection, at: i64) -> Result<(), Error> {
    connection.execute(
        "UPDATE governor SET sign_in_allowed_at =
             iif(sign_in_allowed_at BETWEEN :at AND :latest, sign_in_allowed_at, :at)",
        named_params! { ":at": at, ":latest": latest(at) },
    )?;
    Ok(())
}

/// Finds or makes the row of a library, and stores what Apple says it holds.
pub(super) fn library(
    connection: &Connection,
    account: AccountId,
    zone: &Zone,
    apple_count: Option<u64>,
) -> Result<LibraryId, Error> {
    let id = connection.query_row(
        "INSERT INTO library (account_id, database, zone_name, zone_owner, zone_type, apple_count)
         VALUES (:account, :database, :name, :owner, :kind, :count)
         ON CONFLICT (account_id, database, zone_name, zone_owner) DO UPDATE
         SET apple_count = coalesce(excluded.apple_count, apple_count), zone_type = excluded.zone_type
         RETURNING library_id",
        named_params! {
            ":account": account.0, ":database": zone.database.as_str(), ":name": zone.name,
            ":owner": zone.owner, ":kind": zone.kind, ":count": apple_count.map(|c| c as i64),
        },
        |row| row.get(0),
    )?;
    Ok(LibraryId(id))
}

/// What a listing from end to end found.
#[derive(Clone, Debug, Default)]
pub struct Enumerated {
    /// Assets met, each once.
    pub count: u64,
    /// Assets as Apple counts them, if it said.
    pub apple_count: Option<u64>,
    /// The token of the first page.
    pub sync_token: Option<String>,
}

/// Records that a library was listed from end to end: its count, and the token of its first page.
///
/// Problems that this walk did not meet again are resolved.
pub(super) fn enumerated(
    connection: &Connection,
    run: RunId,
    library: LibraryId,
    now: i64,
    found: &Enumerated,
) -> Result<(), Error> {
    let (count, apple) = (int(found.count), found.apple_count.map(int));
    let difference = match apple {
        Some(apple) => apple - changes::present(connection, library)?,
        None => 0,
    };
    let (explained, doubted): (i64, Option<i64>) = connection.query_row(
        "SELECT (SELECT count(DISTINCT record_name) FROM record_problem
                 WHERE library_id = :library AND run_id = :run
                   AND kind IN ('refused', 'malformed', 'missing-master')), count_doubted
         FROM library WHERE library_id = :library",
        named_params! { ":library": library.0, ":run": run.0 },
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    // Explained by records that cannot be used, or met a second time: believed.
    let is_believed = difference == explained || doubted == Some(difference);
    let ahead = if is_believed { difference } else { explained };
    let doubted = (!is_believed).then_some(difference);
    connection.execute(
        "UPDATE library SET enumerated_at = :now, enumerated_count = :count, sync_token = :token,
             apple_count = coalesce(:apple, apple_count), recounted_at = iif(:apple IS NULL, NULL, :now),
             count_ahead = :ahead, count_doubted = :doubted, listed_by = :version, behind_at = NULL
         WHERE library_id = :library",
        named_params! {
            ":now": now, ":count": count, ":apple": apple, ":token": found.sync_token,
            ":ahead": ahead, ":doubted": doubted, ":version": env!("CARGO_PKG_VERSION"),
            ":library": library.0,
        },
    )?;
    connection.execute(
        "UPDATE record_problem SET resolved_at = :now
         WHERE library_id = :library AND run_id <> :run AND resolved_at IS NULL",
        named_params! { ":now": now, ":library": library.0, ":run": run.0 },
    )?;
    Ok(())
}
