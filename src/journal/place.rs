//! Places: choosing a path that no other row has, once.
//!
//! The candidates come from [`crate::model::layout`]; here the first free one is taken, in the
//! same operation that stores it.

use rusqlite::{Connection, named_params};

use crate::journal::claim::Claim;
use crate::journal::error::Error;
use crate::model::asset::{Asset, Offer};
use crate::model::ids::{AccountId, LibraryId};
use crate::model::layout;

/// A path and its folded key.
pub(super) struct FreePath {
    pub(super) text: String,
    pub(super) key: i64,
}

/// The first stem under `folder` whose every file name is free: the asset's files share it.
pub(super) fn free_stem(
    connection: &Connection,
    library: LibraryId,
    asset: &Asset,
    folder: &str,
) -> Result<String, Error> {
    let account = account_of(connection, library)?;
    for stem in layout::stems(asset) {
        let stem = if folder.is_empty() { stem } else { format!("{folder}/{stem}") };
        let mut free = true;
        for offer in &asset.offers {
            let key = key(account, &layout::file_name(&stem, asset, offer));
            free = free && is_free(connection, key)?;
        }
        if free {
            return Ok(stem);
        }
    }
    unreachable!("candidates never end")
}

/// A free path for one offer under the asset's stem.
pub(super) fn free_path(
    connection: &Connection,
    library: LibraryId,
    asset: &Asset,
    stem: &str,
    offer: &Offer,
) -> Result<FreePath, Error> {
    let wanted = layout::file_name(stem, asset, offer);
    let others = layout::other_paths(&wanted, &asset.name);
    let account = account_of(connection, library)?;
    first_free(connection, account, std::iter::once(wanted.clone()).chain(others))
}

/// Moves a claimed row to another name, because a stranger's file holds its own.
///
/// `refused` are names found taken on disk in this attempt. Returns the new path.
pub(super) fn rename(connection: &Connection, claim: &mut Claim, refused: &[String]) -> Result<(), Error> {
    let file = claim.file();
    let others = layout::other_paths(&refused[0], &file.asset_name).filter(|path| !refused.contains(path));
    let account = account_of(connection, file.library)?;
    let free = first_free(connection, account, others)?;
    let mut statement = connection.prepare_cached(
        "UPDATE asset_file SET path = :path, path_key = :key
         WHERE file_id = :file AND claim_run_id = :run AND claim_worker = :worker",
    )?;
    let moved = statement.execute(named_params! {
        ":path": free.text, ":key": free.key, ":file": file.id.0,
        ":run": claim.run.0, ":worker": claim.worker,
    })?;
    if moved != 1 {
        return Err(Error::LostClaim(file.id));
    }
    claim.file_mut().path = free.text;
    Ok(())
}

fn first_free(
    connection: &Connection,
    account: AccountId,
    mut candidates: impl Iterator<Item = String>,
) -> Result<FreePath, Error> {
    loop {
        let text = candidates.next().expect("candidates never end");
        let key = key(account, &text);
        if is_free(connection, key)? {
            return Ok(FreePath { text, key });
        }
    }
}

/// The key of a path within its account: each account has a directory of its own.
fn key(account: AccountId, path: &str) -> i64 {
    layout::path_key(&format!("{account}/{path}"))
}

fn account_of(connection: &Connection, library: LibraryId) -> Result<AccountId, Error> {
    let mut statement =
        connection.prepare_cached("SELECT account_id FROM library WHERE library_id = :library")?;
    Ok(AccountId(statement.query_row(named_params! { ":library": library.0 }, |row| row.get(0))?))
}

fn is_free(connection: &Connection, key: i64) -> Result<bool, Error> {
    let mut statement =
        connection.prepare_cached("SELECT NOT EXISTS (SELECT 1 FROM asset_file WHERE path_key = :key)")?;
    Ok(statement.query_row(named_params! { ":key": key }, |row| row.get(0))?)
}
