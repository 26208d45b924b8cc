//! Albums become rows: what they are called, where they lie, and what lies in them.
//!
//! Two ways lead here. A full listing says all there is, so what it does not name is gone; a page
//! of changes says what is otherwise. Rows are never deleted, only marked.

use rusqlite::{Connection, OptionalExtension as _, named_params};

use crate::journal::Journal;
use crate::journal::asset_change;
use crate::journal::error::Error;
use crate::journal::seen::Place;
use crate::model::asset::Album;
use crate::model::change::Member;
use crate::model::events::AssetEvent;

impl Journal {
    /// Makes rows of all albums of a library and of what lies in them; others are gone.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn record_albums(&self, at: Place, albums: Vec<(Album, Vec<Member>)>) -> Result<(), Error> {
        self.writer.run(move |c| record_all(c, at, &albums)).await
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
    let Some((id, _)) = find(connection, at, record)? else { return Ok(false) };
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
    let (id, name) = match find(connection, at, &member.album)? {
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
    if let Some(known) = asset_change::known(connection, at.library, &member.asset)?
        && asset_change::is_news(connection, at.library)?
    {
        let event = if member.present { AssetEvent::AlbumJoined } else { AssetEvent::AlbumLeft };
        asset_change::tell(connection, at, known.id, event, Some(&name))?;
    }
    Ok(())
}

/// Records a full listing: these albums, and in each of them these assets, in this order.
pub(super) fn record_all(
    connection: &Connection,
    at: Place,
    albums: &[(Album, Vec<Member>)],
) -> Result<(), Error> {
    for (album, members) in albums {
        let id = record(connection, at, album)?;
        for member in members {
            set_member(connection, at, member)?;
        }
        let listed: std::collections::HashSet<&str> = members.iter().map(|m| m.asset.as_str()).collect();
        for asset in present(connection, id)?.into_iter().filter(|asset| !listed.contains(asset.as_str())) {
            let album = album.record_name.clone();
            set_member(connection, at, &Member { album, asset, position: None, present: false })?;
        }
    }
    let mut statement = connection
        .prepare_cached("SELECT record_name FROM album WHERE library_id = :library AND removed_at IS NULL")?;
    let known = statement.query_map(named_params! { ":library": at.library.0 }, |row| row.get(0))?;
    for record in known.collect::<Result<Vec<String>, _>>()? {
        if !albums.iter().any(|(album, _)| album.record_name == record) {
            remove(connection, at, &record)?;
        }
    }
    Ok(())
}

fn present(connection: &Connection, album: i64) -> Result<Vec<String>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT asset_name FROM album_asset WHERE album_id = :album AND removed_at IS NULL",
    )?;
    let names = statement.query_map(named_params! { ":album": album }, |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

fn find(connection: &Connection, at: Place, record: &str) -> Result<Option<(i64, String)>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT album_id, name FROM album WHERE library_id = :library AND record_name = :record",
    )?;
    let values = named_params! { ":library": at.library.0, ":record": record };
    Ok(statement.query_row(values, |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}
