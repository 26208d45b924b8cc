//! Emptied folders: those that a relayout moves files out of, until it has looked what is left in them.
//!
//! They are noted together with the intents to move, so a relayout that is killed leaves no empty
//! folder for good.

use rusqlite::{Connection, named_params};

use crate::journal::Journal;
use crate::journal::Reader;
use crate::journal::error::Error;
use crate::model::ids::AccountId;

impl Reader {
    /// Folders of an account that may be empty, relative to the destination, the deepest first.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn emptied(&self, account: AccountId) -> Result<Vec<String>, Error> {
        let connection = self.pool.get()?;
        let mut statement = connection.prepare_cached(
            "SELECT folder FROM emptied_folder WHERE account_id = :account ORDER BY folder DESC",
        )?;
        let found = statement.query_map(named_params! { ":account": account.0 }, |row| row.get(0))?;
        Ok(found.collect::<Result<_, _>>()?)
    }
}

impl Journal {
    /// Forgets the folders of an account: each was looked at, and is gone or holds something.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn forget_emptied(&self, account: AccountId) -> Result<(), Error> {
        self.writer
            .run(move |c| {
                let mut statement =
                    c.prepare_cached("DELETE FROM emptied_folder WHERE account_id = :account")?;
                statement.execute(named_params! { ":account": account.0 })?;
                Ok(())
            })
            .await
    }
}

/// Notes the folder of a file that is to move out of it. The top is no folder.
pub(super) fn note(connection: &Connection, account: AccountId, path: &str) -> Result<(), Error> {
    let Some((folder, _)) = path.rsplit_once('/') else { return Ok(()) };
    let mut statement = connection.prepare_cached(
        "INSERT OR IGNORE INTO emptied_folder (account_id, folder) VALUES (:account, :folder)",
    )?;
    statement.execute(named_params! { ":account": account.0, ":folder": folder })?;
    Ok(())
}
