//! Kept records: what Apple says of each asset, whole but for its URLs, so that a later feature needs no new
//! enumeration.
//!
//! The records that came together are kept together, zlib-compressed: they are so alike that this takes a
//! quarter of the room and half of the time of one at a time, and in the journal of a large library they
//! outweigh everything else. A line for each asset: its `asset_id`, a tab, and both its records as JSON. The
//! asset's row says on which page its latest are; a page that no asset is on any more goes.

use std::cell::Cell;
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use rusqlite::{Connection, OptionalExtension as _, named_params};

use crate::journal::error::Error;
use crate::model::ids::AssetId;

/// Longest page that is read: a hundred times the usual.
const PAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;

thread_local! {
    /// What compressed the last page: it is large, and serves the next one.
    static ENCODER: Cell<Option<ZlibEncoder<Vec<u8>>>> = const { Cell::new(None) };
}

/// A page that is being written.
pub(super) struct Keeping {
    page: i64,
    assets: i64,
    records: ZlibEncoder<Vec<u8>>,
}

impl Keeping {
    /// Begins a page. It has a number at once, for the rows of its assets.
    pub(super) fn begin(connection: &Connection) -> Result<Self, Error> {
        let mut statement =
            connection.prepare_cached("SELECT coalesce(max(page_id), 0) + 1 FROM provider_page")?;
        let page = statement.query_row([], |row| row.get(0))?;
        let records = ENCODER.take().unwrap_or_else(|| ZlibEncoder::new(Vec::new(), Compression::fast()));
        Ok(Self { page, assets: 0, records })
    }

    /// Its number.
    pub(super) fn page(&self) -> i64 {
        self.page
    }

    /// Adds the records of an asset whose row names this page.
    pub(super) fn add(&mut self, asset: AssetId, json: &[u8]) {
        self.assets += 1;
        self.write(format!("{asset}\t").as_bytes());
        // In JSON a line break is never part of a value; the service's own has none.
        if json.contains(&b'\n') {
            let line: Vec<u8> = json.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }).collect();
            self.write(&line);
        } else {
            self.write(json);
        }
        self.write(b"\n");
    }

    fn write(&mut self, bytes: &[u8]) {
        self.records.write_all(bytes).expect("memory takes what is written to it");
    }

    /// Writes the page, if there is anything on it.
    pub(super) fn end(mut self, connection: &Connection) -> Result<(), Error> {
        let records = self.records.reset(Vec::new()).expect("memory takes what is written to it");
        ENCODER.set(Some(self.records));
        if self.assets == 0 {
            return Ok(());
        }
        let mut statement = connection.prepare_cached(
            "INSERT INTO provider_page (page_id, assets, records_z) VALUES (:page, :assets, :records)",
        )?;
        statement
            .execute(named_params! { ":page": self.page, ":assets": self.assets, ":records": records })?;
        Ok(())
    }
}

/// Takes an asset off the page that its row names.
pub(super) fn let_go(connection: &Connection, asset: AssetId) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "UPDATE provider_page SET assets = assets - 1
         WHERE page_id = (SELECT provider_page_id FROM asset WHERE asset_id = :asset)
         RETURNING iif(assets > 0, NULL, page_id)",
    )?;
    let emptied: Option<Option<i64>> =
        statement.query_row(named_params! { ":asset": asset.0 }, |row| row.get(0)).optional()?;
    if let Some(page) = emptied.flatten() {
        connection
            .prepare_cached("DELETE FROM provider_page WHERE page_id = :page")?
            .execute(named_params! { ":page": page })?;
    }
    Ok(())
}

/// A reader of kept records, which holds the last page: assets that came together are asked for together.
#[derive(Default)]
pub(super) struct Shelf {
    page: Option<i64>,
    lines: Vec<u8>,
}

impl Shelf {
    /// The records of an asset as JSON; empty if there are none that can be unpacked.
    pub(super) fn record(&mut self, connection: &Connection, asset: AssetId) -> Result<Vec<u8>, Error> {
        let mut statement =
            connection.prepare_cached("SELECT provider_page_id FROM asset WHERE asset_id = :asset")?;
        let page: Option<i64> =
            statement.query_row(named_params! { ":asset": asset.0 }, |row| row.get(0)).optional()?.flatten();
        if self.page != page {
            self.lines = page.map_or_else(|| Ok(Vec::new()), |page| unpacked(connection, page))?;
            self.page = page;
        }
        let head = format!("{asset}\t");
        let line = self.lines.split(|byte| *byte == b'\n').find(|line| line.starts_with(head.as_bytes()));
        Ok(line.map_or_else(Vec::new, |line| line[head.len()..].to_vec()))
    }
}

fn unpacked(connection: &Connection, page: i64) -> Result<Vec<u8>, Error> {
    let mut statement =
        connection.prepare_cached("SELECT records_z FROM provider_page WHERE page_id = :page")?;
    let packed: Option<Vec<u8>> =
        statement.query_row(named_params! { ":page": page }, |row| row.get(0)).optional()?;
    let mut lines = Vec::new();
    let unpacked =
        ZlibDecoder::new(&packed.unwrap_or_default()[..]).take(PAGE_BYTES_MAX).read_to_end(&mut lines);
    Ok(if unpacked.is_ok() { lines } else { Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::schema;

    /// An asset whose row names `page`.
    fn row(connection: &Connection, id: i64, page: i64) {
        let sql =
            "INSERT INTO asset (asset_id, library_id, record_name, master_name, change_tag, filename, kind,
                       favorite, hidden, stem, provider_page_id)
                   VALUES (?1, 1, 'A' || ?1, 'M', '', '', 'photo', 0, 0, '', ?2)";
        let again = "UPDATE asset SET provider_page_id = ?2 WHERE asset_id = ?1";
        if connection.execute(again, [id, page]).unwrap() == 0 {
            connection.execute(sql, [id, page]).unwrap();
        }
    }

    #[test]
    fn each_asset_finds_its_latest_record_and_an_empty_page_goes() {
        let connection = schema::blank(1).unwrap();
        let frame = "INSERT INTO account VALUES (1, 'u', NULL, NULL, 0, NULL, NULL, NULL);
                     INSERT INTO library (library_id, account_id, database, zone_name, zone_owner, zone_type)
                     VALUES (1, 1, 'private', '', '', '')";
        connection.execute_batch(frame).unwrap();
        let keep = |records: &[(i64, &str)]| {
            let mut page = Keeping::begin(&connection).unwrap();
            for (asset, json) in records {
                let_go(&connection, AssetId(*asset)).unwrap();
                row(&connection, *asset, page.page());
                page.add(AssetId(*asset), json.as_bytes());
            }
            page.end(&connection).unwrap();
        };
        let says = |asset| {
            let found = Shelf::default().record(&connection, AssetId(asset)).unwrap();
            String::from_utf8(found).unwrap()
        };
        let pages = || -> i64 {
            connection.query_row("SELECT count(*) FROM provider_page", [], |row| row.get(0)).unwrap()
        };
        keep(&[(1, "{\n\"a\":1}"), (12, "{}")]);
        keep(&[]);
        assert_eq!((says(1), says(12), says(2), pages()), ("{ \"a\":1}".into(), "{}".into(), "".into(), 1));
        keep(&[(1, "new")]);
        assert_eq!((says(1), says(12), pages()), ("new".into(), "{}".into(), 2));
        keep(&[(12, "newer")]);
        assert_eq!((says(1), says(12), pages()), ("new".into(), "newer".into(), 2));
    }
}
