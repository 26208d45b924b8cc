//! The pulse: when an account last got somewhere, and how its last attempt ended.
//!
//! An attempt may end before there is a run: no network, a person needed, a destination that is
//! away. So it is noted with the account.

use rusqlite::{Connection, OptionalExtension as _, named_params};

use crate::journal::Journal;
use crate::journal::Reader;
use crate::journal::error::Error;

/// Newest rows of the history that are looked at for a sign of life: a run that moves files at all
/// has one among them, and the question stays cheap at any size.
const HISTORY_LOOKED_AT: i64 = 10_000;

/// How an attempt to sync ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When, in Unix seconds.
    pub at: i64,
    /// The exit code.
    pub exit: u8,
    /// What a person was told, if it was a problem.
    pub said: Option<String>,
}

/// What is known of an account's last runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// When a run last finished, in Unix seconds, with or without failed files.
    pub finished_at: Option<i64>,
    /// When the run that is under way, or was killed, last brought a file on.
    pub moved_at: Option<i64>,
    /// The last attempt.
    pub attempt: Option<Attempt>,
}

impl Reader {
    /// When an account last got somewhere, and how its last attempt ended.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn pulse(&self, username: &str) -> Result<Pulse, Error> {
        pulse(&*self.pool.get()?, username)
    }

    /// The names of all accounts.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn usernames(&self) -> Result<Vec<String>, Error> {
        usernames(&*self.pool.get()?)
    }
}

impl Journal {
    /// Notes how an attempt to sync an account ended, one that never came to a run too.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn attempted(&self, username: &str, attempt: Attempt) -> Result<(), Error> {
        let username = username.to_owned();
        self.writer.run(move |c| attempted(c, &username, &attempt)).await
    }
}

/// Notes how an attempt ended.
pub(super) fn attempted(connection: &Connection, username: &str, attempt: &Attempt) -> Result<(), Error> {
    connection.execute(
        "INSERT INTO account (username, created_at, attempted_at, attempt_exit, attempt_said)
         VALUES (:username, :at, :at, :exit, :said)
         ON CONFLICT (username) DO UPDATE SET attempted_at = excluded.attempted_at,
             attempt_exit = excluded.attempt_exit, attempt_said = excluded.attempt_said",
        named_params! { ":username": username, ":at": attempt.at, ":exit": attempt.exit, ":said": attempt.said },
    )?;
    Ok(())
}

/// Reads the pulse of an account; of one that the journal does not know nothing is known.
pub(super) fn pulse(connection: &Connection, username: &str) -> Result<Pulse, Error> {
    let found = connection
        .query_row(
            "SELECT account_id, attempted_at, attempt_exit, attempt_said FROM account WHERE username = :username",
            named_params! { ":username": username },
            |row| {
                let at: Option<i64> = row.get(1)?;
                let exit: Option<u8> = row.get(2)?;
                let said = row.get(3)?;
                let attempt = at.zip(exit).map(|(at, exit)| Attempt { at, exit, said });
                Ok((row.get::<_, i64>(0)?, attempt))
            },
        )
        .optional()?;
    let Some((account, attempt)) = found else { return Ok(Pulse::default()) };
    let finished_at = connection
        .query_row(
            "SELECT ended_at FROM run WHERE account_id = :account AND outcome IN ('complete', 'limited', 'incomplete')
             ORDER BY run_id DESC LIMIT 1",
            named_params! { ":account": account },
            |row| row.get(0),
        )
        .optional()?;
    let moved_at = connection.query_row(
        "SELECT max(at) FROM history
         WHERE history_id > (SELECT coalesce(max(history_id), 0) FROM history) - :looked_at
           AND to_state IN ('verified', 'partial')
           AND run_id = (SELECT run_id FROM run WHERE account_id = :account ORDER BY run_id DESC LIMIT 1)
           AND (SELECT ended_at FROM run WHERE account_id = :account ORDER BY run_id DESC LIMIT 1) IS NULL",
        named_params! { ":account": account, ":looked_at": HISTORY_LOOKED_AT },
        |row| row.get(0),
    )?;
    Ok(Pulse { finished_at, moved_at, attempt })
}

/// The names of all accounts of the journal.
pub(super) fn usernames(connection: &Connection) -> Result<Vec<String>, Error> {
    let mut statement = connection.prepare("SELECT username FROM account ORDER BY account_id")?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}
