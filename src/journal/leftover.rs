//! Leftovers: part files of versions that nobody waits for any more.
//!
//! The row that a part file belonged to goes on to another version, or is superseded. The journal
//! keeps the name of the part in the same operation until it is removed, so a run that ends in
//! between leaves no litter for good.

use rusqlite::{Connection, named_params};

use crate::journal::Journal;
use crate::journal::Reader;
use crate::journal::error::Error;
use crate::model::checksum::AppleChecksum;
use crate::model::ids::{AccountId, AssetId, AssetName, FileId};
use crate::model::layout;

/// A part file that may stand beside `path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The path of its file, relative to the destination.
    pub path: String,
    /// The tag in its name.
    pub tag: String,
}

const SELECT: &str = "SELECT f.path, f.checksum, a.record_name, l.account_id
    FROM asset_file f JOIN asset a USING (asset_id) JOIN library l ON l.library_id = f.library_id
    WHERE state <> 'verified' AND claim_run_id IS NULL AND superseded_at IS NULL";

impl Reader {
    /// Part files of an account that nobody waits for, and that earlier runs did not get to.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn leftovers(&self, account: AccountId) -> Result<Vec<Leftover>, Error> {
        of_account(&*self.pool.get()?, account)
    }
}

impl Journal {
    /// Forgets leftovers that are removed.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn cleared(&self, account: AccountId, leftovers: Vec<Leftover>) -> Result<(), Error> {
        self.writer.run(move |c| cleared(c, account, &leftovers)).await
    }
}

/// Notes the part of a row, if it may have one.
pub(super) fn of_file(connection: &Connection, file: FileId) -> Result<Vec<Leftover>, Error> {
    keep(connection, &format!("{SELECT} AND file_id = :id"), file.0)
}

/// Notes the parts of an asset's rows.
pub(super) fn of_asset(connection: &Connection, asset: AssetId) -> Result<Vec<Leftover>, Error> {
    keep(connection, &format!("{SELECT} AND f.asset_id = :id"), asset.0)
}

fn keep(connection: &Connection, sql: &str, id: i64) -> Result<Vec<Leftover>, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(named_params! { ":id": id }, |row| {
        let (checksum, name): (String, String) = (row.get(1)?, row.get(2)?);
        let tag = layout::part_tag(&AssetName(name), &AppleChecksum::parse(&checksum));
        Ok((Leftover { path: row.get(0)?, tag }, row.get::<_, i64>(3)?))
    })?;
    let mut leftovers = Vec::new();
    for row in rows {
        let (leftover, account) = row?;
        let mut statement = connection.prepare_cached(
            "INSERT INTO leftover (account_id, path, tag) VALUES (:account, :path, :tag)
             ON CONFLICT DO NOTHING",
        )?;
        statement
            .execute(named_params! { ":account": account, ":path": leftover.path, ":tag": leftover.tag })?;
        leftovers.push(leftover);
    }
    Ok(leftovers)
}

/// What earlier runs of an account did not get to.
pub(super) fn of_account(connection: &Connection, account: AccountId) -> Result<Vec<Leftover>, Error> {
    let mut statement =
        connection.prepare_cached("SELECT path, tag FROM leftover WHERE account_id = :account")?;
    let rows = statement.query_map(named_params! { ":account": account.0 }, |row| {
        Ok(Leftover { path: row.get(0)?, tag: row.get(1)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Forgets leftovers that are removed.
pub(super) fn cleared(
    connection: &Connection,
    account: AccountId,
    leftovers: &[Leftover],
) -> Result<(), Error> {
    for Leftover { path, tag } in leftovers {
        let mut statement = connection.prepare_cached(
            "DELETE FROM leftover WHERE account_id = :account AND path = :path AND tag = :tag",
        )?;
        statement.execute(named_params! { ":account": account.0, ":path": path, ":tag": tag })?;
    }
    Ok(())
}
