//! Where an account's files stand, and what is known of the file system there.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use crate::journal::Journal;
use crate::journal::Reader;
use crate::journal::error::Error;
use crate::model::file_system::{FileSystem, Twins};
use crate::model::ids::AccountId;
use crate::model::views::LinkKind;

/// Where an account's files stand.
#[derive(Clone, Debug)]
pub struct KnownDestination {
    /// The id in its marker.
    pub id: String,
    /// The directory, as the person named it.
    pub directory: String,
    /// What its file system was seen to do.
    pub file_system: FileSystem,
}

impl Reader {
    /// Where an account's files go, if anything of it was ever brought home.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn destination(&self, username: &str) -> Result<Option<KnownDestination>, Error> {
        destination(&*self.pool.get()?, username)
    }
}

impl Journal {
    /// Remembers an account's destination by the id in its marker, and what its file system does.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn add_destination(
        &self,
        account: AccountId,
        id: &str,
        directory: &Path,
        file_system: &FileSystem,
        now: i64,
    ) -> Result<(), Error> {
        let directory = directory.to_string_lossy().into_owned();
        let known = KnownDestination { id: id.to_owned(), directory, file_system: file_system.clone() };
        self.writer.run(move |c| add(c, account, &known, now)).await
    }
}

/// Where an account's files go.
pub(super) fn destination(
    connection: &Connection,
    username: &str,
) -> Result<Option<KnownDestination>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT destination_id, directory, device, letter_case, unicode_form, refused, no_links
         FROM destination JOIN account USING (account_id) WHERE username = :username",
    )?;
    Ok(statement.query_row(named_params! { ":username": username }, read).optional()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<KnownDestination> {
    let twins = |column| {
        let word: Option<String> = row.get(column)?;
        Ok::<_, rusqlite::Error>(word.as_deref().and_then(Twins::parse))
    };
    let no_links: Option<String> = row.get("no_links")?;
    let file_system = FileSystem {
        device: row.get::<_, Option<i64>>("device")?.map(i64::cast_unsigned),
        letter_case: twins("letter_case")?,
        unicode_form: twins("unicode_form")?,
        refused: row.get::<_, Option<String>>("refused")?.unwrap_or_default(),
        no_links: no_links.unwrap_or_default().split(',').filter_map(LinkKind::parse).collect(),
    };
    Ok(KnownDestination { id: row.get("destination_id")?, directory: row.get("directory")?, file_system })
}

/// Remembers a destination.
pub(super) fn add(
    connection: &Connection,
    account: AccountId,
    known: &KnownDestination,
    now: i64,
) -> Result<(), Error> {
    let KnownDestination { id, directory, file_system } = known;
    let is_known = file_system.device.is_some();
    let no_links: Vec<&str> = file_system.no_links.iter().map(|kind| kind.as_str()).collect();
    connection.execute(
        "INSERT INTO destination (account_id, destination_id, directory, created_at,
             device, letter_case, unicode_form, refused, no_links)
         VALUES (:account, :id, :directory, :now, :device, :case, :form, :refused, :no_links)
         ON CONFLICT (account_id) DO UPDATE SET directory = excluded.directory,
             (device, letter_case, unicode_form, refused, no_links) = (excluded.device,
                 excluded.letter_case, excluded.unicode_form, excluded.refused, excluded.no_links)",
        named_params! {
            ":account": account.0, ":id": id, ":directory": directory, ":now": now,
            ":device": file_system.device.map(u64::cast_signed),
            ":case": file_system.letter_case.map(Twins::as_str),
            ":form": file_system.unicode_form.map(Twins::as_str),
            ":refused": is_known.then_some(&file_system.refused),
            ":no_links": is_known.then(|| no_links.join(",")),
        },
    )?;
    Ok(())
}
