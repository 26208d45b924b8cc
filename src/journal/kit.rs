//! What the exit kit is made of: assets with their verified files and kept records, page by page.

use rusqlite::{Connection, named_params};

use crate::journal::Reader;
use crate::journal::album_paths::AlbumPaths;
use crate::journal::error::Error;
use crate::journal::kept_record::Shelf;
use crate::journal::row;
use crate::model::asset::{Captured, Rendition};
use crate::model::facts::{Facts, Picture};
use crate::model::ids::{AccountId, AssetId, AssetName, LibraryId};
use crate::model::kit::KitAsset;

/// One page of assets, and where the next begins.
#[derive(Debug, Default)]
pub struct KitPage {
    /// Assets with at least one file, and their kept records as JSON.
    pub assets: Vec<(KitAsset, Vec<u8>)>,
    /// The last asset looked at; `None` when there are no more.
    pub last: Option<AssetId>,
}

const ASSETS: &str = "
    SELECT a.asset_id, a.library_id, a.record_name, a.filename, a.captured_ms, a.captured_offset_s, a.favorite
    FROM asset a JOIN library l USING (library_id)
    WHERE a.asset_id > :after AND l.account_id = :account AND a.removed_at IS NULL
    ORDER BY a.asset_id LIMIT :limit";

impl Reader {
    /// Up to `limit` assets behind `after`, with their verified files, for the exit kit.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn kit_page(
        &self,
        account: AccountId,
        albums: &AlbumPaths,
        after: AssetId,
        limit: usize,
    ) -> Result<KitPage, Error> {
        page(&*self.pool.get()?, account, albums, after, limit)
    }
}

/// Reads up to `limit` assets behind `after`.
pub(super) fn page(
    connection: &Connection,
    account: AccountId,
    albums: &AlbumPaths,
    after: AssetId,
    limit: usize,
) -> Result<KitPage, Error> {
    let mut page = KitPage::default();
    let mut shelf = Shelf::default();
    let mut statement = connection.prepare_cached(ASSETS)?;
    let values = named_params! { ":after": after.0, ":account": account.0, ":limit": limit as i64 };
    let mut rows = statement.query(values)?;
    while let Some(found) = rows.next()? {
        let id = AssetId(found.get("asset_id")?);
        page.last = Some(id);
        let files = files(connection, id)?;
        if files.is_empty() {
            continue;
        }
        let asset = AssetName(found.get("record_name")?);
        let albums = albums.of(LibraryId(found.get("library_id")?), &asset).to_vec();
        let captured_ms: Option<i64> = found.get("captured_ms")?;
        let offset_seconds: Option<i32> = found.get("captured_offset_s")?;
        let picture = Picture {
            rendition: Rendition::Original,
            asset: asset.0,
            filename: found.get("filename")?,
            captured: captured_ms.map(|at_ms| Captured { at_ms, offset_seconds }),
            favorite: found.get("favorite")?,
            albums,
            facts: Facts::default(),
        };
        page.assets.push((KitAsset { picture, files }, shelf.record(connection, id)?));
    }
    Ok(page)
}

fn files(connection: &Connection, asset: AssetId) -> Result<Vec<(Rendition, String)>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT rendition, path FROM asset_file
         WHERE asset_id = :asset AND state = 'verified' AND superseded_at IS NULL AND released_at IS NULL
           AND rendition IN ('original', 'alternative', 'live-video', 'edited', 'edited-video')
         ORDER BY file_id",
    )?;
    let mut rows = statement.query(named_params! { ":asset": asset.0 })?;
    let mut files = Vec::new();
    while let Some(found) = rows.next()? {
        files.push((row::rendition(found, "rendition")?, found.get("path")?));
    }
    Ok(files)
}
