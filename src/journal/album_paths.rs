//! Albums as people see them: by their folders and names, with what lies in each.

use std::collections::HashMap;

use rusqlite::{Connection, named_params};

use crate::journal::Reader;
use crate::journal::error::Error;
use crate::model::ids::{AccountId, AssetName, LibraryId};

/// The albums that each asset lies in: the names of their folders, and then their own.
#[derive(Clone, Debug, Default)]
pub struct AlbumPaths(HashMap<(LibraryId, AssetName), Vec<Vec<String>>>);

impl AlbumPaths {
    /// The albums of one asset, sorted.
    #[must_use]
    pub fn of(&self, library: LibraryId, asset: &AssetName) -> &[Vec<String>] {
        self.0.get(&(library, asset.clone())).map(Vec::as_slice).unwrap_or_default()
    }
}

/// An album of a library, with the way to it.
pub(super) struct AlbumPlace {
    pub(super) album_id: i64,
    pub(super) library: LibraryId,
    pub(super) names: Vec<String>,
}

impl Reader {
    /// The albums of an account: folders and name, joined by `/`.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn album_names(&self, account: AccountId) -> Result<Vec<String>, Error> {
        let places = places(&*self.pool.get()?, account)?;
        Ok(places.into_iter().map(|place| place.names.join("/")).collect())
    }

    /// Which albums each asset of an account lies in.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn album_paths(&self, account: AccountId) -> Result<AlbumPaths, Error> {
        paths(&*self.pool.get()?, account)
    }
}

/// Reads the albums of an account, folders left out.
pub(super) fn places(connection: &Connection, account: AccountId) -> Result<Vec<AlbumPlace>, Error> {
    let mut statement = connection.prepare(
        "SELECT album_id, library_id, a.record_name, name, parent_name, is_folder
         FROM album a JOIN library USING (library_id)
         WHERE account_id = :account AND removed_at IS NULL ORDER BY album_id",
    )?;
    type Row = (i64, i64, String, String, Option<String>, bool);
    let rows = statement
        .query_map(named_params! { ":account": account.0 }, |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?))
        })?
        .collect::<Result<Vec<Row>, _>>()?;
    let by_record: HashMap<(i64, &str), &Row> =
        rows.iter().map(|row| ((row.1, row.2.as_str()), row)).collect();
    let mut places = Vec::new();
    for row in rows.iter().filter(|row| !row.5) {
        let mut names = vec![row.3.clone()];
        let mut parent = row.4.as_deref();
        // Folders that contain each other would never end; no chain is longer than the list.
        while let Some(above) = parent.and_then(|name| by_record.get(&(row.1, name)))
            && names.len() <= rows.len()
        {
            names.insert(0, above.3.clone());
            parent = above.4.as_deref();
        }
        places.push(AlbumPlace { album_id: row.0, library: LibraryId(row.1), names });
    }
    Ok(places)
}

/// Reads which albums each asset of an account lies in.
pub(super) fn paths(connection: &Connection, account: AccountId) -> Result<AlbumPaths, Error> {
    let mut statement = connection
        .prepare("SELECT asset_name FROM album_asset WHERE album_id = :album AND removed_at IS NULL")?;
    let mut paths = AlbumPaths::default();
    for place in places(connection, account)? {
        let names =
            statement.query_map(named_params! { ":album": place.album_id }, |r| r.get::<_, String>(0))?;
        for name in names {
            let key = (place.library, AssetName(name?));
            paths.0.entry(key).or_default().push(place.names.clone());
        }
    }
    paths.0.values_mut().for_each(|albums| albums.sort());
    Ok(paths)
}
