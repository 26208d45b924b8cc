//! What enumeration saw becomes rows: one page, one operation, one place in the walk.
//!
//! A page's rows are claimable as soon as it commits. An asset whose change tags are known and
//! whose files are all verified costs one look-up and writes nothing: a second run over an
//! unchanged library leaves the journal as it was.

use std::cell::RefCell;

use flate2::{Compress, Compression, FlushCompress, Status};
use rusqlite::{Connection, named_params};

use crate::journal::Journal;
use crate::journal::asset_change::{self, KnownAsset, Removal};
use crate::journal::choose::{self, Judged};
use crate::journal::error::Error;
use crate::journal::leftover::{self, Leftover};
use crate::journal::moves;
use crate::journal::place::{self, FreePath, Owner};
use crate::journal::row::{self, int};
use crate::model::asset::{Asset, Offer, Page};
use crate::model::choices::Choices;
use crate::model::events::AssetEvent;
use crate::model::ids::{AssetId, FileId, LibraryId, RunId};
use crate::model::reconcile::{self, KnownFile, Step};
use crate::model::state::State;
use std::sync::Arc;

/// What a page brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The rows of the assets on the page. A walk may meet an asset twice.
    pub assets: Vec<AssetId>,
    /// For each of these, whether it was here before with every file that is wanted.
    pub already_here: Vec<bool>,
    /// Assets that were not in the journal.
    pub assets_new: u64,
    /// Assets that left iCloud's library, less those that came back.
    pub assets_gone: i64,
    /// How the number of complete assets changed: those whose every file in scope is verified.
    pub assets_done_change: i64,
    /// File rows inserted, or sent on to a new version.
    pub files_new: u64,
    /// Bytes of those files.
    pub bytes_new: u64,
    /// Records that cannot be used.
    pub oddities: u64,
    /// Part files that nobody waits for any more.
    pub leftovers: Vec<Leftover>,
}

/// Where a page belongs.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The library it lists.
    pub library: LibraryId,
    /// The run that asked.
    pub run: RunId,
    /// When, in Unix seconds.
    pub now: i64,
}

impl Journal {
    /// Makes rows of pages, all in one transaction. They are claimable when this returns.
    ///
    /// # Errors
    /// If the journal cannot be written; then nothing of them is there.
    pub async fn record_pages(
        &self,
        at: Place,
        choices: Arc<Choices>,
        pages: Vec<Page>,
    ) -> Result<Vec<Seen>, Error> {
        let record = move |c: &_| pages.iter().map(|page| record_page(c, at, &choices, page)).collect();
        self.writer.run_alone(record).await
    }
}

/// Brings the rows of a page in line with what the page says.
pub(super) fn record_page(
    connection: &Connection,
    at: Place,
    choices: &Choices,
    page: &Page,
) -> Result<Seen, Error> {
    let mut seen = Seen::default();
    let mut changed = Vec::new();
    let frame = Frame::of(connection, at)?;
    for asset in &page.assets {
        if record_asset(connection, &frame, choices, asset, &mut seen)? {
            changed.extend(seen.assets.last());
        }
    }
    seen.judge(choose::judge(connection, choices, at.now, at.library, &changed)?);
    for oddity in &page.oddities {
        let mut statement = connection.prepare_cached(
            "INSERT INTO record_problem (library_id, record_name, kind, detail, seen_at, run_id)
             VALUES (:library, :record, :kind, :detail, :now, :run)
             ON CONFLICT (library_id, record_name, kind) DO UPDATE
             SET detail = excluded.detail, run_id = excluded.run_id, resolved_at = NULL",
        )?;
        statement.execute(named_params! {
            ":library": at.library.0, ":record": oddity.record_name, ":kind": oddity.kind.as_str(),
            ":detail": oddity.detail, ":now": at.now, ":run": at.run.0,
        })?;
        seen.oddities += 1;
    }
    Ok(seen)
}

/// What is the same for all assets of a page, and is asked for once.
struct Frame {
    at: Place,
    owner: Owner,
    /// An asset that comes up now is news: its library was listed before.
    is_news: bool,
    /// Another library of the account has lost assets, which may have come here.
    may_have_moved: bool,
}

impl Frame {
    fn of(connection: &Connection, at: Place) -> Result<Self, Error> {
        let mut statement = connection.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM tally WHERE standing = 'assets-removed' AND files > 0
                            AND library_id <> :library)",
        )?;
        let may_have_moved = statement.query_row(named_params! { ":library": at.library.0 }, |r| r.get(0))?;
        let is_news = asset_change::is_news(connection, at.library)?;
        Ok(Self { at, owner: Owner::of(connection, at.library)?, is_news, may_have_moved })
    }
}

fn record_asset(
    connection: &Connection,
    frame: &Frame,
    choices: &Choices,
    asset: &Asset,
    seen: &mut Seen,
) -> Result<bool, Error> {
    let at = frame.at;
    let mut is_changed = false;
    let known = match asset_change::known(connection, at.library, asset.name.as_str())? {
        // In Recently Deleted: marked if it is ours, and none of ours if it is not.
        Some(known) if asset.deleted => {
            remove(connection, at, &known, Removal::RecentlyDeleted, seen)?;
            return Ok(false);
        }
        None if asset.deleted => return Ok(false),
        Some(known) => {
            if known.change_tag != asset.change_tag || known.removed_as.is_some() {
                is_changed = true;
                asset_change::tell_differences(connection, at, &known, asset)?;
                update_asset(connection, known.id, asset)?;
                keep_provider_record(connection, known.id, asset)?;
            }
            known
        }
        None => {
            record_new(connection, frame, choices, asset, seen)?;
            return Ok(true);
        }
    };
    seen.assets.push(known.id);
    // Smaller copies are offered, and missed, only where they are asked for.
    let previews = choices.renditions.previews();
    let mut files = known_files(connection, known.id)?;
    files.retain(|file| previews || !file.rendition.is_preview());
    let steps = reconcile::plan(asset, &files);
    let is_back = known.removed_as.is_some();
    if steps.is_empty() && !is_back {
        seen.already_here.push(is_complete(connection, known.id)?);
        return Ok(is_changed);
    }
    seen.already_here.push(false);
    asset_change::tell_versions(connection, at, &known, asset, &files, &steps)?;
    seen.assets_gone -= i64::from(is_back);
    let was_complete = !is_back && is_complete(connection, known.id)?;
    for step in steps {
        carry_out(connection, at, choices, asset, &known, &step, seen)?;
    }
    seen.assets_done_change += i64::from(is_complete(connection, known.id)?) - i64::from(was_complete);
    Ok(true)
}

impl Seen {
    /// Counts what is not wanted out again.
    pub(super) fn judge(&mut self, judged: Judged) {
        self.files_new = self.files_new.saturating_add_signed(-judged.files);
        self.bytes_new = self.bytes_new.saturating_add_signed(-judged.bytes);
        self.assets_done_change += judged.assets_done;
    }
}

/// Makes the rows of an asset that is not in the journal. It has none yet, so nothing is looked up
/// but its names: a first enumeration is mostly this.
fn record_new(
    connection: &Connection,
    frame: &Frame,
    choices: &Choices,
    asset: &Asset,
    seen: &mut Seen,
) -> Result<(), Error> {
    let at = frame.at;
    let (stem, paths) = place::free_stem(connection, &frame.owner, asset, &choices.layout)?;
    let id = insert_asset(connection, at.library, asset, &stem)?;
    keep_provider_record(connection, id, asset)?;
    if frame.may_have_moved {
        asset_change::moved_here(connection, at, asset)?;
    }
    if frame.is_news {
        asset_change::tell(connection, at, id, AssetEvent::Added, None)?;
    }
    seen.assets.push(id);
    seen.already_here.push(false);
    seen.assets_new += 1;
    for (offer, path) in asset.offers.iter().zip(&paths) {
        // The service may name one version twice; the row is there then.
        let twin = |other: &Offer| other.rendition == offer.rendition && other.checksum == offer.checksum;
        if asset.offers.iter().find(|other| twin(other)).is_some_and(|first| std::ptr::eq(first, offer)) {
            insert_file(connection, at.library, id, offer, path)?;
            seen.files_new += 1;
            seen.bytes_new += offer.size_bytes;
        }
    }
    seen.assets_done_change += i64::from(is_complete(connection, id)?);
    Ok(())
}

/// Marks an asset as gone, and no longer counts it.
pub(super) fn remove(
    connection: &Connection,
    at: Place,
    known: &KnownAsset,
    removal: Removal,
    seen: &mut Seen,
) -> Result<(), Error> {
    if known.removed_as.is_none() {
        seen.assets_gone += 1;
        seen.assets_done_change -= i64::from(is_complete(connection, known.id)?);
    }
    seen.leftovers.extend(leftover::of_asset(connection, known.id)?);
    asset_change::remove(connection, at, known, removal)
}

fn carry_out(
    connection: &Connection,
    at: Place,
    choices: &Choices,
    asset: &Asset,
    known: &KnownAsset,
    step: &Step,
    seen: &mut Seen,
) -> Result<(), Error> {
    match *step {
        Step::Insert { offer } => {
            let offer = &asset.offers[offer];
            let path = place::free_path(connection, at.library, asset, &choices.layout, &known.stem, offer)?;
            insert_file(connection, at.library, known.id, offer, &path)?;
            seen.files_new += 1;
            seen.bytes_new += offer.size_bytes;
        }
        Step::Change { file, offer } => {
            let offer = &asset.offers[offer];
            seen.leftovers.extend(leftover::of_file(connection, file)?);
            moves::changed(connection, at.run, file, at.now, offer)?;
            seen.files_new += 1;
            seen.bytes_new += offer.size_bytes;
        }
        Step::Renew { file, offer } => {
            if let Some(url) = &asset.offers[offer].url {
                renew(connection, at, file, url)?;
            }
        }
        Step::Supersede { file } => {
            seen.leftovers.extend(leftover::of_file(connection, file)?);
            set_superseded(connection, file, Some(at.now))?;
        }
        Step::Reinstate { file } => set_superseded(connection, file, None)?,
    }
    Ok(())
}

/// Whether every file of an asset that is in scope is verified.
pub(super) fn is_complete(connection: &Connection, asset: AssetId) -> Result<bool, Error> {
    let mut statement =
        connection.prepare_cached("SELECT files_open = 0 FROM asset WHERE asset_id = :asset")?;
    Ok(statement.query_row(named_params! { ":asset": asset.0 }, |row| row.get(0))?)
}

fn insert_asset(
    connection: &Connection,
    library: LibraryId,
    asset: &Asset,
    stem: &str,
) -> Result<AssetId, Error> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO asset (library_id, record_name, master_name, change_tag, filename, kind,
             subtype, captured_ms, captured_offset_s, added_ms, favorite, hidden, stem)
         VALUES (:library, :record, :master, :tag, :filename, :kind,
             :subtype, :captured_ms, :captured_offset_s, :added_ms, :favorite, :hidden, :stem)",
    )?;
    statement.execute(named_params! {
        ":library": library.0, ":record": asset.name.as_str(), ":master": asset.master.as_str(),
        ":tag": asset.change_tag, ":filename": asset.filename, ":kind": asset.kind.as_str(), ":subtype": asset.subtype,
        ":captured_ms": asset.captured.map(|c| c.at_ms),
        ":captured_offset_s": asset.captured.and_then(|c| c.offset_seconds),
        ":added_ms": asset.added_at_ms, ":favorite": asset.favorite, ":hidden": asset.hidden,
        ":stem": stem,
    })?;
    Ok(AssetId(connection.last_insert_rowid()))
}

fn update_asset(connection: &Connection, id: AssetId, asset: &Asset) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "UPDATE asset SET master_name = :master, change_tag = :tag, filename = :filename,
             kind = :kind, subtype = :subtype, captured_ms = :captured_ms, captured_offset_s = :captured_offset_s,
             added_ms = :added_ms, favorite = :favorite, hidden = :hidden, removed_at = NULL, removed_as = NULL
         WHERE asset_id = :asset",
    )?;
    statement.execute(named_params! {
        ":asset": id.0, ":master": asset.master.as_str(), ":tag": asset.change_tag,
        ":filename": asset.filename, ":kind": asset.kind.as_str(), ":subtype": asset.subtype,
        ":captured_ms": asset.captured.map(|c| c.at_ms),
        ":captured_offset_s": asset.captured.and_then(|c| c.offset_seconds),
        ":added_ms": asset.added_at_ms, ":favorite": asset.favorite, ":hidden": asset.hidden,
    })?;
    Ok(())
}

fn keep_provider_record(connection: &Connection, id: AssetId, asset: &Asset) -> Result<(), Error> {
    let json_z = compressed(&asset.provider_record);
    let mut statement = connection.prepare_cached(
        "INSERT INTO provider_record (asset_id, json_z) VALUES (:asset, :json)
         ON CONFLICT (asset_id) DO UPDATE SET json_z = excluded.json_z",
    )?;
    statement.execute(named_params! { ":asset": id.0, ":json": json_z })?;
    Ok(())
}

/// Compresses with zlib, with a compressor that is kept: making one costs as much as a record.
fn compressed(bytes: &[u8]) -> Vec<u8> {
    thread_local! {
        static COMPRESSOR: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), true));
    }
    COMPRESSOR.with_borrow_mut(|compressor| {
        compressor.reset();
        // Room for what cannot be compressed: five bytes a block, and the frame.
        let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 1000 + 64);
        match compressor.compress_vec(bytes, &mut out, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => out,
            // Compressing in memory cannot fail; were it to, the record is a convenience and the
            // asset is not.
            _ => Vec::new(),
        }
    })
}

fn known_files(connection: &Connection, asset: AssetId) -> Result<Vec<KnownFile>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT file_id, rendition, checksum, state, claim_run_id IS NOT NULL AS claimed,
                superseded_at IS NOT NULL AS superseded
         FROM asset_file WHERE asset_id = :asset",
    )?;
    let mut found = statement.query(named_params! { ":asset": asset.0 })?;
    let mut files = Vec::new();
    while let Some(row) = found.next()? {
        files.push(KnownFile {
            id: FileId(row.get("file_id")?),
            rendition: row::rendition(row, "rendition")?,
            checksum: row.get("checksum")?,
            state: row::state(row, "state")?,
            claimed: row.get("claimed")?,
            superseded: row.get("superseded")?,
        });
    }
    Ok(files)
}

fn insert_file(
    connection: &Connection,
    library: LibraryId,
    asset: AssetId,
    offer: &Offer,
    path: &FreePath,
) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO asset_file (asset_id, library_id, rendition, checksum, size_bytes, uti, path, path_key,
             url_expires_at)
         VALUES (:asset, :library, :rendition, :checksum, :size, :uti, :path, :key, :expires_at)",
    )?;
    statement.execute(named_params! {
        ":asset": asset.0, ":library": library.0, ":rendition": offer.rendition.as_str(),
        ":checksum": offer.checksum.as_str(), ":size": int(offer.size_bytes), ":uti": offer.uti,
        ":path": path.text, ":key": path.key,
        ":expires_at": offer.url.as_ref().map(crate::model::signed_url::SignedUrl::expires_at),
    })?;
    if let Some(url) = &offer.url {
        moves::keep_url(connection, FileId(connection.last_insert_rowid()), url)?;
    }
    Ok(())
}

/// A fresh URL for a row that still wants its bytes. An expired row is back in line.
fn renew(
    connection: &Connection,
    at: Place,
    file: FileId,
    url: &crate::model::signed_url::SignedUrl,
) -> Result<(), Error> {
    let mut statement = connection
        .prepare_cached("SELECT state, excluded_by IS NOT NULL FROM asset_file WHERE file_id = :file")?;
    let mut rows = statement.query(named_params! { ":file": file.0 })?;
    let Some(found) = rows.next()? else { return Err(Error::LostClaim(file)) };
    // What is not wanted needs no address.
    if found.get(1)? {
        return Ok(());
    }
    match row::state(found, "state")? {
        State::ExpiredUrl => moves::url_renewed(connection, at.run, file, at.now, url).map(|_| ()),
        State::Pending | State::Partial => {
            let mut statement = connection
                .prepare_cached("UPDATE asset_file SET url_expires_at = :expires_at WHERE file_id = :file")?;
            statement.execute(named_params! { ":file": file.0, ":expires_at": url.expires_at() })?;
            moves::keep_url(connection, file, url)
        }
        // A failed row gets its fresh URL from renewal, once it is requeued.
        State::Failed | State::Verified => Ok(()),
    }
}

fn set_superseded(connection: &Connection, file: FileId, at: Option<i64>) -> Result<(), Error> {
    let mut statement =
        connection.prepare_cached("UPDATE asset_file SET superseded_at = :at WHERE file_id = :file")?;
    statement.execute(named_params! { ":file": file.0, ":at": at })?;
    Ok(())
}
