//! Doubt: a kind of file whose checksums prove nothing.
//!
//! That a checksum can be verified rests on recorded answers, not on Apple's word. Should the first
//! files of a rendition all come whole and none of them match, then it is our reading of the
//! checksum that is wrong and not every single file: such files are checked by their length from
//! then on, and their rows say so. One match ends the doubt: a mismatch among matches is corruption.

use rusqlite::{Connection, OptionalExtension as _, named_params};

use crate::journal::Journal;
use crate::journal::claim::libraries_of;
use crate::journal::error::Error;
use crate::journal::row;
use crate::model::asset::Rendition;
use crate::model::ids::RunId;

/// Files of one rendition that must all mismatch. Fewer could be one bad day of one server.
pub const MISMATCHES_MIN: i64 = 20;

impl Journal {
    /// Weighs whether checksums of a rendition prove anything, after one that did not match. `true`
    /// if doubt begins with it.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn weigh_doubt(&self, run: RunId, rendition: Rendition, now: i64) -> Result<bool, Error> {
        self.writer.run(move |c| weigh(c, run, rendition, now)).await
    }

    /// The renditions whose checksums prove nothing, in the account of a run.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub async fn doubted(&self, run: RunId) -> Result<Vec<Rendition>, Error> {
        self.writer.run(move |c| doubted(c, run)).await
    }

    /// Ends the doubt about a rendition: one of its checksums matched.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn end_doubt(&self, run: RunId, rendition: Rendition) -> Result<(), Error> {
        self.writer.run(move |c| end(c, run, rendition)).await
    }
}

/// Called after a mismatch. `true` if doubt about this rendition begins with it.
pub(super) fn weigh(
    connection: &Connection,
    run: RunId,
    rendition: Rendition,
    now: i64,
) -> Result<bool, Error> {
    let mut mismatches = 0;
    for library in libraries_of(connection, run)? {
        let mut statement = connection.prepare_cached(
            "SELECT count(*) FROM asset_file INDEXED BY asset_file_failed
             WHERE library_id = :library AND state = 'failed' AND error_kind = 'wrong-bytes'
               AND rendition = :rendition",
        )?;
        let binding = named_params! { ":library": library.0, ":rendition": rendition.as_str() };
        mismatches += statement.query_row(binding, |row| row.get::<_, i64>(0))?;
        // Read only once there are enough mismatches: it may look at every row.
        if mismatches >= MISMATCHES_MIN && is_proved(connection, run, rendition)? {
            return Ok(false);
        }
    }
    if mismatches < MISMATCHES_MIN {
        return Ok(false);
    }
    let begun = connection.execute(
        "INSERT INTO doubted_rendition (account_id, rendition, since_at, run_id)
         SELECT account_id, :rendition, :now, run_id FROM run WHERE run_id = :run
         ON CONFLICT DO NOTHING",
        named_params! { ":rendition": rendition.as_str(), ":now": now, ":run": run.0 },
    )?;
    Ok(begun > 0)
}

/// Whether a checksum ever matched a file of this rendition, in the account of `run`.
fn is_proved(connection: &Connection, run: RunId, rendition: Rendition) -> Result<bool, Error> {
    for library in libraries_of(connection, run)? {
        let found = connection
            .query_row(
                "SELECT 1 FROM asset_file WHERE library_id = :library AND rendition = :rendition
                   AND verified_by IN ('apple-signature', 'sha256') LIMIT 1",
                named_params! { ":library": library.0, ":rendition": rendition.as_str() },
                |_| Ok(()),
            )
            .optional()?;
        if found.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The renditions in doubt, for the account of `run`.
pub(super) fn doubted(connection: &Connection, run: RunId) -> Result<Vec<Rendition>, Error> {
    let mut statement = connection.prepare(
        "SELECT rendition FROM doubted_rendition JOIN run USING (account_id) WHERE run.run_id = :run",
    )?;
    let mut rows = statement.query(named_params! { ":run": run.0 })?;
    let mut doubted = Vec::new();
    while let Some(found) = rows.next()? {
        doubted.push(row::rendition(found, "rendition")?);
    }
    Ok(doubted)
}

/// A checksum of this rendition matched after all.
pub(super) fn end(connection: &Connection, run: RunId, rendition: Rendition) -> Result<(), Error> {
    connection.execute(
        "DELETE FROM doubted_rendition WHERE rendition = :rendition
           AND account_id = (SELECT account_id FROM run WHERE run_id = :run)",
        named_params! { ":rendition": rendition.as_str(), ":run": run.0 },
    )?;
    Ok(())
}
