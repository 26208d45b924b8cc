//! The rows of an asset that comes up for the first time: a first listing is mostly this.
//!
//! Nothing is looked up but its names, because nothing of it is there yet. What is new is counted here and
//! added to the tally once for a page: a trigger for each row would cost more than the row. Values are bound by
//! place here: to look up each name costs a twentieth of the whole.

use rusqlite::{CachedStatement, Connection, named_params, params};

use crate::journal::error::Error;
use crate::journal::moves;
use crate::journal::place::FreePath;
use crate::journal::row::int;
use crate::model::asset::{Asset, Offer};
use crate::model::ids::{AssetId, LibraryId};
use crate::model::signed_url::SignedUrl;

/// Rows that the tally does not know yet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    assets: i64,
    /// Of those, the ones with a file that is waited for.
    open: i64,
    hidden: i64,
    files: i64,
    bytes: i64,
}

impl Counted {
    /// Counts a file, which is pending as every new one.
    pub(super) fn file(&mut self, offer: &Offer) {
        self.files += 1;
        self.bytes += int(offer.size_bytes);
    }

    fn asset(&mut self, asset: &Asset, files: i64) {
        self.assets += 1;
        self.open += i64::from(files > 0);
        self.hidden += i64::from(asset.hidden);
    }

    /// Adds what was counted to the tally. Belongs into the transaction that made the rows.
    pub(super) fn add(self, connection: &Connection, library: LibraryId) -> Result<(), Error> {
        let standings = [
            ("assets", self.assets, 0),
            ("assets-open", self.open, 0),
            ("assets-hidden", self.hidden, 0),
            ("pending", self.files, self.bytes),
        ];
        for (standing, files, bytes) in standings.into_iter().filter(|(_, files, _)| *files > 0) {
            let mut statement = connection.prepare_cached(
                "UPDATE tally SET files = files + :files, bytes = bytes + :bytes
                 WHERE library_id = :library AND standing = :standing",
            )?;
            statement.execute(named_params! {
                ":files": files, ":bytes": bytes, ":library": library.0, ":standing": standing,
            })?;
        }
        Ok(())
    }
}

/// What makes the rows of a page, prepared once for all of them.
pub(super) struct NewRows<'c> {
    connection: &'c Connection,
    library: LibraryId,
    counted: Counted,
    asset: CachedStatement<'c>,
    file: CachedStatement<'c>,
    url: CachedStatement<'c>,
}

impl<'c> NewRows<'c> {
    /// Prepares to make rows of a library.
    pub(super) fn of(connection: &'c Connection, library: LibraryId) -> Result<Self, Error> {
        let asset = connection.prepare_cached(
            "INSERT INTO asset (library_id, record_name, master_name, change_tag, filename, kind,
                 subtype, camera, captured_ms, captured_offset_s, added_ms, favorite, hidden, stem, files_open,
                 provider_page_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        )?;
        let file = connection.prepare_cached(
            "INSERT INTO asset_file (asset_id, library_id, rendition, checksum, size_bytes, uti, path, path_key,
                 url_expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        let url = connection.prepare_cached(moves::KEEP_URL)?;
        Ok(Self { connection, library, counted: Counted::default(), asset, file, url })
    }

    /// Makes the row of an asset that will have so many files, all of them pending. No stem: the path of its original
    /// says it.
    pub(super) fn insert_asset(
        &mut self,
        asset: &Asset,
        stem: Option<&str>,
        files: i64,
        provider_page: i64,
    ) -> Result<AssetId, Error> {
        self.asset.execute(params![
            self.library.0,
            asset.name.as_str(),
            asset.master.as_str(),
            asset.change_tag,
            asset.filename,
            asset.kind.as_str(),
            asset.subtype,
            asset.camera,
            asset.captured.map(|c| c.at_ms),
            asset.captured.and_then(|c| c.offset_seconds),
            asset.added_at_ms,
            asset.favorite,
            asset.hidden,
            stem,
            files,
            provider_page,
        ])?;
        self.counted.asset(asset, files);
        Ok(AssetId(self.connection.last_insert_rowid()))
    }

    /// Makes the row of a file whose asset counts it already, and keeps its address if there is one to keep.
    pub(super) fn insert_file(
        &mut self,
        asset: AssetId,
        offer: &Offer,
        path: &FreePath,
        url: Option<&SignedUrl>,
    ) -> Result<(), Error> {
        self.file.execute(params![
            asset.0,
            self.library.0,
            offer.rendition.as_str(),
            offer.checksum.as_str(),
            int(offer.size_bytes),
            offer.uti,
            path.text,
            path.key,
            url.map(SignedUrl::expires_at),
        ])?;
        self.counted.file(offer);
        if let Some(url) = url {
            self.url.execute(params![self.connection.last_insert_rowid(), url.expose()])?;
        }
        Ok(())
    }

    /// Adds what was made to the tally. Belongs into the transaction that made the rows.
    pub(super) fn count(self) -> Result<(), Error> {
        self.counted.add(self.connection, self.library)
    }
}

/// Counts one more file of an asset that is there.
pub(super) fn one_more_file(connection: &Connection, asset: AssetId) -> Result<(), Error> {
    let mut statement =
        connection.prepare_cached("UPDATE asset SET files_open = files_open + 1 WHERE asset_id = :asset")?;
    statement.execute(named_params! { ":asset": asset.0 })?;
    Ok(())
}
