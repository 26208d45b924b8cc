//! Sidecars in the journal: which are due, and what was written.
//!
//! A sidecar is due when what it is made from differs from what it was made from: the record's change
//! tag, the albums, the path. Both are one number, so a run over a million files compares numbers.

use rusqlite::{Connection, OptionalExtension as _, named_params};
use sha2::{Digest as _, Sha256};

use crate::journal::Journal;
use crate::journal::Reader;
use crate::journal::absence::FoundElsewhere;
use crate::journal::album_paths::AlbumPaths;
use crate::journal::error::Error;
use crate::journal::kept_record::Shelf;
use crate::journal::row;
use crate::model::asset::{Captured, Rendition};
use crate::model::checksum::Sha256Digest;
use crate::model::facts::{Facts, Picture};
use crate::model::ids::{AccountId, AssetId, AssetName, FileId, LibraryId};
use crate::model::xmp;

/// Changes when a sidecar says more than before, so that all are written anew.
const FORM: &str = "1";

/// A file whose sidecar is to be written.
#[derive(Clone, Debug)]
pub struct DueSidecar {
    /// The media file's row.
    pub file: FileId,
    /// The media file's path.
    pub path: String,
    /// What the sidecar is about; its facts are still to be read from `record`.
    pub picture: Picture,
    /// The kept record, as JSON.
    pub record: Vec<u8>,
    /// What it is made from.
    pub made_from: i64,
    /// The sidecar that we wrote before: its path, and its digest unless somebody else changed it.
    pub former: Option<(String, Option<Sha256Digest>)>,
}

/// One page of files: those that are due, and where the next page begins.
#[derive(Clone, Debug, Default)]
pub struct SidecarPage {
    /// Files whose sidecar is due.
    pub due: Vec<DueSidecar>,
    /// The last file looked at; `None` when there are no more.
    pub last: Option<FileId>,
}

/// What became of a sidecar.
#[derive(Clone, Debug)]
pub struct WrittenSidecar {
    /// The media file's row.
    pub file: FileId,
    /// Where the sidecar stands.
    pub path: String,
    /// The digest of what we wrote; `None` where somebody else's stands and stays.
    pub sha256: Option<Sha256Digest>,
    /// What it was made from.
    pub made_from: i64,
}

const PAGE: &str = "
    SELECT f.file_id, f.path, f.rendition, f.library_id, a.asset_id, a.record_name, a.filename, a.kind,
           a.captured_ms, a.captured_offset_s, a.favorite, a.change_tag,
           s.path AS former_path, s.sha256 AS former_sha256, s.made_from
    FROM asset_file f JOIN asset a USING (asset_id) JOIN library l ON l.library_id = f.library_id
    LEFT JOIN sidecar s USING (file_id)
    WHERE f.file_id > :after AND l.account_id = :account AND f.state = 'verified'
      AND f.released_at IS NULL AND a.removed_at IS NULL
    ORDER BY f.file_id LIMIT :limit";

impl Reader {
    /// Looks through up to `limit` verified files behind `after` for sidecars that are due.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn sidecars_due(
        &self,
        account: AccountId,
        albums: &AlbumPaths,
        after: FileId,
        limit: usize,
    ) -> Result<SidecarPage, Error> {
        page(&*self.pool.get()?, account, albums, after, limit)
    }
}

impl Journal {
    /// Remembers sidecars that stand. Call after they are durable.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn sidecars_written(&self, now: i64, sidecars: Vec<WrittenSidecar>) -> Result<(), Error> {
        self.writer.run(move |c| written(c, now, &sidecars)).await
    }
}

/// Looks through up to `limit` verified files behind `after`.
pub(super) fn page(
    connection: &Connection,
    account: AccountId,
    albums: &AlbumPaths,
    after: FileId,
    limit: usize,
) -> Result<SidecarPage, Error> {
    let mut page = SidecarPage::default();
    let mut shelf = Shelf::default();
    let mut statement = connection.prepare_cached(PAGE)?;
    let mut rows = statement.query(named_params! {
        ":after": after.0, ":account": account.0, ":limit": limit as i64,
    })?;
    while let Some(found) = rows.next()? {
        let file = FileId(found.get("file_id")?);
        page.last = Some(file);
        let rendition = row::rendition(found, "rendition")?;
        if !has_sidecar(rendition, &found.get::<_, String>("kind")?) {
            continue;
        }
        let asset = AssetName(found.get("record_name")?);
        let albums = albums.of(LibraryId(found.get("library_id")?), &asset);
        let (path, tag): (String, String) = (found.get("path")?, found.get("change_tag")?);
        let made_from = made_from(&path, &tag, albums);
        if found.get::<_, Option<i64>>("made_from")? == Some(made_from) {
            continue;
        }
        let former_path: Option<String> = found.get("former_path")?;
        let former_sha256 = row::digest(found, "former_sha256")?;
        let captured_ms: Option<i64> = found.get("captured_ms")?;
        let offset_seconds: Option<i32> = found.get("captured_offset_s")?;
        page.due.push(DueSidecar {
            file,
            path,
            picture: Picture {
                rendition,
                asset: asset.0,
                filename: found.get("filename")?,
                captured: captured_ms.map(|at_ms| Captured { at_ms, offset_seconds }),
                favorite: found.get("favorite")?,
                albums: albums.to_vec(),
                facts: Facts::default(),
            },
            record: shelf.record(connection, AssetId(found.get("asset_id")?))?,
            made_from,
            former: former_path.map(|path| (path, former_sha256)),
        });
    }
    Ok(page)
}

/// Whether a file has a sidecar of its own. The movie half of a Live Photo belongs to its still, and the
/// smaller copies that the service made to what they are copies of.
fn has_sidecar(rendition: Rendition, kind: &str) -> bool {
    match rendition {
        Rendition::Original | Rendition::Alternative | Rendition::Edited => true,
        Rendition::EditedVideo => kind == "video",
        _ => false,
    }
}

fn made_from(path: &str, change_tag: &str, albums: &[Vec<String>]) -> i64 {
    let mut hasher = Sha256::new();
    let mut word = |text: &str| {
        hasher.update(text);
        hasher.update([0]);
    };
    [FORM, path, change_tag].into_iter().for_each(&mut word);
    for names in albums {
        names.iter().for_each(|name| word(name));
        word("");
    }
    i64::from_le_bytes(*hasher.finalize().first_chunk().expect("a SHA-256 digest has 32 bytes"))
}

/// Remembers sidecars that stand.
pub(super) fn written(connection: &Connection, now: i64, sidecars: &[WrittenSidecar]) -> Result<(), Error> {
    for sidecar in sidecars {
        let mut statement = connection.prepare_cached(
            "INSERT INTO sidecar (file_id, path, sha256, made_from, written_at)
             VALUES (:file, :path, :sha256, :made_from, :now)
             ON CONFLICT (file_id) DO UPDATE SET path = excluded.path, sha256 = excluded.sha256,
                 made_from = excluded.made_from, written_at = excluded.written_at",
        )?;
        statement.execute(named_params! {
            ":file": sidecar.file.0, ":path": sidecar.path, ":sha256": sidecar.sha256.map(|s| s.0),
            ":made_from": sidecar.made_from, ":now": now,
        })?;
    }
    Ok(())
}

/// Files were moved to places of others: what we wrote beside those stays there, and is that of the file which
/// stands there now, to be written anew. What is left over goes to whose place was taken.
pub(super) fn hand_over(
    connection: &Connection,
    moves: &[&FoundElsewhere],
    displaced: &[FileId],
) -> Result<(), Error> {
    let mut read = connection
        .prepare_cached("SELECT path, sha256, made_from, written_at FROM sidecar WHERE file_id = :file")?;
    type Record = (FileId, String, Option<Vec<u8>>, i64, i64);
    let mut records: Vec<Record> = Vec::new();
    let files: Vec<FileId> = moves.iter().map(|of| of.id).chain(displaced.iter().copied()).collect();
    for file in &files {
        let record = read.query_row(named_params! { ":file": file.0 }, |r| {
            Ok((*file, r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?))
        });
        records.extend(record.optional()?);
    }
    for FoundElsewhere { id, to, .. } in moves.iter().copied() {
        let beside = format!("{to}{}", xmp::SUFFIX);
        let Some(at) = records.iter().position(|(_, path, ..)| *path == beside) else { continue };
        let holder = records[at].0;
        if let Some(own) = records.iter().position(|(file, ..)| file == id) {
            records[own].0 = holder;
        }
        records[at].0 = *id;
    }
    let mut forget = connection.prepare_cached("DELETE FROM sidecar WHERE file_id = :file")?;
    for file in &files {
        forget.execute(named_params! { ":file": file.0 })?;
    }
    let mut remember = connection.prepare_cached(
        "INSERT INTO sidecar (file_id, path, sha256, made_from, written_at)
         VALUES (:file, :path, :sha256, :made_from, :written_at)",
    )?;
    for (file, path, sha256, made_from, written_at) in records {
        remember.execute(named_params! {
            // Another number than before: what it was made from does not name the photo.
            ":file": file.0, ":path": path, ":sha256": sha256, ":made_from": !made_from, ":written_at": written_at,
        })?;
    }
    Ok(())
}
