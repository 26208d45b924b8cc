//! Albums become rows: what they are called, where they lie, and what lies in them.
//!
//! Two ways lead here. A full listing comes page by page, since one album may hold a whole library; at its end
//! it says all there is, so what it did not name is gone. A page of changes says what is otherwise. Rows are
//! never deleted, only marked.

use std::collections::{HashSet, VecDeque};

use rusqlite::{Connection, OptionalExtension as _, named_params};

use crate::journal::asset_change;
use crate::journal::error::Error;
use crate::journal::seen::Place;
use crate::journal::writer::{Begun, Chain, PAGES_MAX};
use crate::journal::{Journal, Reader};
use crate::model::asset::Album;
use crate::model::change::Member;
use crate::model::events::AssetEvent;
use crate::model::ids::LibraryId;

impl Reader {
    /// Whether a library is known to have an album or a folder that is not among `names`.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn has_other_albums(&self, library: LibraryId, names: &HashSet<String>) -> Result<bool, Error> {
        let connection = self.pool.get()?;
        Ok(album_names(&connection, library)?.iter().any(|name| !names.contains(name)))
    }

    /// Whether an album is known to hold an asset that is not among `names`.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn holds_others(
        &self,
        library: LibraryId,
        album: &str,
        names: &HashSet<Box<str>>,
    ) -> Result<bool, Error> {
        let connection = self.pool.get()?;
        let Some((id, _)) = find(&connection, library, album)? else { return Ok(false) };
        Ok(!others_in(&connection, id, names)?.is_empty())
    }
}

/// Steps of a listing that may wait to be durable. They hold some kilobytes each.
const UNDER_WAY_MAX: usize = PAGES_MAX;

/// A listing of albums on its way into the journal. Its steps are taken in their order, and many of them share a
/// transaction: what lies in albums is spread all over the file, and would be written page by page of it otherwise. Each
/// rests on those before it: once one is refused, none behind it is taken, and the next call says why.
#[derive(Debug)]
pub struct AlbumListing<'j> {
    journal: &'j Journal,
    chain: Chain,
    under_way: VecDeque<Begun<()>>,
}

impl Journal {
    /// Begins a listing of albums.
    #[must_use]
    pub fn album_listing(&self) -> AlbumListing<'_> {
        AlbumListing { journal: self, chain: Chain::default(), under_way: VecDeque::new() }
    }
}

impl AlbumListing<'_> {
    /// Makes a row of an album or a folder.
    ///
    /// # Errors
    /// If the journal cannot be written: this step, or one before it.
    pub async fn album(&mut self, at: Place, album: Album) -> Result<(), Error> {
        self.step(move |c| record(c, at, &album).map(drop)).await
    }

    /// Makes rows of what lies in an album.
    ///
    /// # Errors
    /// If the journal cannot be written: this step, or one before it.
    pub async fn members(&mut self, at: Place, members: Vec<Member>) -> Result<(), Error> {
        self.step(move |c| members.iter().try_for_each(|member| set_member(c, at, member))).await
    }

    /// Says which assets lie in an album: others have left it.
    ///
    /// # Errors
    /// If the journal cannot be written: this step, or one before it.
    pub async fn members_are(
        &mut self,
        at: Place,
        album: String,
        names: HashSet<Box<str>>,
    ) -> Result<(), Error> {
        self.step(move |c| members_are(c, at, &album, &names)).await
    }

    /// Says which albums and folders a library has, by record name: others are gone.
    ///
    /// # Errors
    /// If the journal cannot be written: this step, or one before it.
    pub async fn albums_are(&mut self, at: Place, names: HashSet<String>) -> Result<(), Error> {
        self.step(move |c| albums_are(c, at, &names)).await
    }

    /// Waits until all of it is durable.
    ///
    /// # Errors
    /// If the journal cannot be written; then the last steps of it are not there.
    pub async fn end(self) -> Result<(), Error> {
        self.journal.no_more_pages().await?;
        for step in self.under_way {
            step.durable().await?;
        }
        Ok(())
    }

    async fn step<F>(&mut self, operation: F) -> Result<(), Error>
    where
        F: FnOnce(&Connection) -> Result<(), Error> + Send + 'static,
    {
        while (self.chain.is_broken() || self.under_way.len() == UNDER_WAY_MAX)
            && let Some(first) = self.under_way.pop_front()
        {
            first.durable().await?;
        }
        self.under_way.push_back(self.journal.writer.begin_page(&self.chain, operation).await?);
        Ok(())
    }
}

/// Brings an album's row in line. Gives its id.
pub(super) fn record(connection: &Connection, at: Place, album: &Album) -> Result<i64, Error> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO album (library_id, record_name, name, parent_name, is_folder, position)
         VALUES (:library, :record, :name, :parent, :folder, :position)
         ON CONFLICT (library_id, record_name) DO UPDATE
         SET name = excluded.name, parent_name = excluded.parent_name, is_folder = excluded.is_folder,
             position = excluded.position, removed_at = NULL
         RETURNING album_id",
    )?;
    let values = named_params! {
        ":library": at.library.0, ":record": album.record_name, ":name": album.name,
        ":parent": album.parent, ":folder": album.folder, ":position": album.position,
    };
    Ok(statement.query_row(values, |row| row.get(0))?)
}

/// Marks an album as deleted, and with it what lay in it. `false`: there is none of that name.
pub(super) fn remove(connection: &Connection, at: Place, record: &str) -> Result<bool, Error> {
    let Some((id, _)) = find(connection, at.library, record)? else { return Ok(false) };
    let mut statement = connection
        .prepare_cached("UPDATE album SET removed_at = coalesce(removed_at, :now) WHERE album_id = :album")?;
    statement.execute(named_params! { ":now": at.now, ":album": id })?;
    let mut statement = connection.prepare_cached(
        "SELECT asset_name FROM album_asset WHERE album_id = :album AND removed_at IS NULL",
    )?;
    let names = statement.query_map(named_params! { ":album": id }, |row| row.get::<_, String>(0))?;
    for asset in names.collect::<Result<Vec<_>, _>>()? {
        set_member(
            connection,
            at,
            &Member { album: record.to_owned(), asset, position: None, present: false },
        )?;
    }
    Ok(true)
}

/// Brings one membership in line, and tells the asset's history if it is news.
///
/// The album may not be a row yet: then it becomes one without a name, until its own record comes.
pub(super) fn set_member(connection: &Connection, at: Place, member: &Member) -> Result<(), Error> {
    let (id, name) = match find(connection, at.library, &member.album)? {
        Some(found) => found,
        None if !member.present => return Ok(()),
        None => {
            let unnamed = Album {
                record_name: member.album.clone(),
                name: member.album.clone(),
                parent: None,
                folder: false,
                position: None,
            };
            (record(connection, at, &unnamed)?, member.album.clone())
        }
    };
    let mut statement = connection.prepare_cached(
        "SELECT removed_at IS NULL FROM album_asset WHERE album_id = :album AND asset_name = :asset",
    )?;
    let was: Option<bool> = statement
        .query_row(named_params! { ":album": id, ":asset": member.asset }, |row| row.get(0))
        .optional()?;
    if !member.present && was.is_none() {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(
        "INSERT INTO album_asset (album_id, asset_name, position) VALUES (:album, :asset, :position)
         ON CONFLICT (album_id, asset_name) DO UPDATE
         SET position = coalesce(excluded.position, position),
             removed_at = iif(:present, NULL, coalesce(removed_at, :now))",
    )?;
    statement.execute(named_params! {
        ":album": id, ":asset": member.asset, ":position": member.position,
        ":present": member.present, ":now": at.now,
    })?;
    if was.unwrap_or(false) == member.present {
        return Ok(());
    }
    // The first listing of all is no news.
    if asset_change::is_news(connection, at.library)?
        && let Some(known) = asset_change::known(connection, at.library, &member.asset)?
    {
        let event = if member.present { AssetEvent::AlbumJoined } else { AssetEvent::AlbumLeft };
        asset_change::tell(connection, at, known.id, event, Some(&name))?;
    }
    Ok(())
}

fn members_are(
    connection: &Connection,
    at: Place,
    album: &str,
    names: &HashSet<Box<str>>,
) -> Result<(), Error> {
    let Some((id, _)) = find(connection, at.library, album)? else { return Ok(()) };
    for asset in others_in(connection, id, names)? {
        set_member(
            connection,
            at,
            &Member { album: album.to_owned(), asset, position: None, present: false },
        )?;
    }
    Ok(())
}

/// What lies in an album and is not among `names`.
fn others_in(
    connection: &Connection,
    album: i64,
    names: &HashSet<Box<str>>,
) -> Result<Vec<String>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT asset_name FROM album_asset WHERE album_id = :album AND removed_at IS NULL",
    )?;
    let mut rows = statement.query(named_params! { ":album": album })?;
    let mut others = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        if !names.contains(name.as_str()) {
            others.push(name);
        }
    }
    Ok(others)
}

fn albums_are(connection: &Connection, at: Place, names: &HashSet<String>) -> Result<(), Error> {
    for record in album_names(connection, at.library)? {
        if !names.contains(&record) {
            remove(connection, at, &record)?;
        }
    }
    Ok(())
}

/// The albums and folders that a library has, by record name.
fn album_names(connection: &Connection, library: LibraryId) -> Result<Vec<String>, rusqlite::Error> {
    let mut statement = connection
        .prepare_cached("SELECT record_name FROM album WHERE library_id = :library AND removed_at IS NULL")?;
    let names = statement.query_map(named_params! { ":library": library.0 }, |row| row.get(0))?;
    names.collect()
}

fn find(connection: &Connection, library: LibraryId, record: &str) -> Result<Option<(i64, String)>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT album_id, name FROM album WHERE library_id = :library AND record_name = :record",
    )?;
    let values = named_params! { ":library": library.0, ":record": record };
    Ok(statement.query_row(values, |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}
