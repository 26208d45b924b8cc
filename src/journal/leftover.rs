//! Leftovers: part files of versions that nobody waits for any more.
//!
//! The row that a part file belonged to goes on to another version, or is superseded. The journal
//! names the part in the same breath, so that it can be removed; one that is not, because the run
//! ended there, is litter and does no harm.

use rusqlite::{Connection, named_params};

use crate::journal::error::Error;
use crate::model::checksum::AppleChecksum;
use crate::model::ids::{AssetId, AssetName, FileId};
use crate::model::layout;

/// A part file that may stand beside `path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The path of its file, relative to the destination.
    pub path: String,
    /// The tag in its name.
    pub tag: String,
}

const SELECT: &str = "SELECT path, checksum, record_name FROM asset_file JOIN asset USING (asset_id)
    WHERE state <> 'verified' AND claim_run_id IS NULL AND superseded_at IS NULL";

/// The part of a row, if it may have one.
pub(super) fn of_file(connection: &Connection, file: FileId) -> Result<Vec<Leftover>, Error> {
    collect(connection, &format!("{SELECT} AND file_id = :id"), file.0)
}

/// The parts of an asset's rows.
pub(super) fn of_asset(connection: &Connection, asset: AssetId) -> Result<Vec<Leftover>, Error> {
    collect(connection, &format!("{SELECT} AND asset_id = :id"), asset.0)
}

fn collect(connection: &Connection, sql: &str, id: i64) -> Result<Vec<Leftover>, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(named_params! { ":id": id }, |row| {
        let (checksum, name): (String, String) = (row.get(1)?, row.get(2)?);
        let tag = layout::part_tag(&AssetName(name), &AppleChecksum::parse(&checksum));
        Ok(Leftover { path: row.get(0)?, tag })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
