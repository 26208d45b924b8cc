//! What enumeration saw becomes rows: one page, one operation, one place in the walk.
//!
//! A page's rows are claimable as soon as it commits. An asset whose change tags are known and
//! whose files are all verified costs one look-up and writes nothing: a second run over an
//! unchanged library leaves the journal as it was.

use std::borrow::Borrow;

use rusqlite::{Connection, named_params};

use crate::journal::Journal;
use crate::journal::asset_change::{self, KnownAsset, Removal};
use crate::journal::choose::{self, Judged};
use crate::journal::error::Error;
use crate::journal::kept_record::{self, Keeping};
use crate::journal::leftover::{self, Leftover};
use crate::journal::moves;
use crate::journal::new_asset::{self, NewRows};
use crate::journal::place::{self, Owner};
use crate::journal::row;
use crate::model::asset::{Asset, Page, Rendition};
use crate::model::choices::Choices;
use crate::model::events::AssetEvent;
use crate::model::ids::{AssetId, FileId, LibraryId, RunId};
use crate::model::reconcile::{self, KnownFile, Step};
use crate::model::state::State;
use std::sync::Arc;

/// Files that wait with a signed address each. An address lives for an hour, so those of files that wait behind
/// so many would be dead before their turn, unless thirty files came home every second; they would only make the journal of a
/// large library three times as large. Such files get a fresh address when it is their turn.
const ADDRESSED_MAX: i64 = 100_000;

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
    /// Makes rows of one page. They are claimable when this returns.
    ///
    /// # Errors
    /// If the journal cannot be written; then nothing of it is there.
    pub async fn record_page(
        &self,
        at: Place,
        choices: Arc<Choices>,
        page: impl Borrow<Page> + Send + 'static,
    ) -> Result<Seen, Error> {
        self.writer.run(move |c| record_page(c, at, &choices, page.borrow())).await
    }

    /// Makes rows of one of many pages, in one transaction with those that come within a moment. What else goes
    /// with the page is held until it is rows, which is sooner than that they are claimable.
    ///
    /// # Errors
    /// If the journal cannot be written; then nothing of it is there.
    pub async fn record_next_page(
        &self,
        at: Place,
        choices: Arc<Choices>,
        page: impl Borrow<Page> + Send + 'static,
    ) -> Result<Seen, Error> {
        self.writer.run_page(move |c| record_page(c, at, &choices, page.borrow())).await
    }

    /// Says that no page comes for now, so that the last ones, handed over before, wait for none.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn no_more_pages(&self) -> Result<(), Error> {
        self.writer.no_more_pages().await
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
    let mut frame = Frame::of(connection, at)?;
    for asset in &page.assets {
        if record_asset(connection, &mut frame, choices, asset, &mut seen)? {
            changed.extend(seen.assets.last());
        }
    }
    frame.rows.count()?;
    frame.keeping.end(connection)?;
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

/// What is the same for all assets of a page and is asked for once, and what is written once for all.
struct Frame<'c> {
    at: Place,
    owner: Owner,
    rows: NewRows<'c>,
    keeping: Keeping,
    /// New files keep their signed addresses: not too many wait already.
    keeps_urls: bool,
    /// An asset that comes up now is news: its library was listed before.
    is_news: bool,
    /// Another library of the account has lost assets, which may have come here.
    may_have_moved: bool,
}

impl<'c> Frame<'c> {
    fn of(connection: &'c Connection, at: Place) -> Result<Self, Error> {
        let mut statement = connection.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM tally WHERE standing = 'assets-removed' AND files > 0
                            AND library_id <> :library)",
        )?;
        let may_have_moved = statement.query_row(named_params! { ":library": at.library.0 }, |r| r.get(0))?;
        let is_news = asset_change::is_news(connection, at.library)?;
        Ok(Self {
            at,
            owner: Owner::of(connection, at.library)?,
            rows: NewRows::of(connection, at.library)?,
            keeping: Keeping::begin(connection)?,
            keeps_urls: waiting(connection)? < ADDRESSED_MAX,
            is_news,
            may_have_moved,
        })
    }
}

/// Files that wait for a worker, of all libraries.
fn waiting(connection: &Connection) -> Result<i64, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT coalesce(sum(files), 0) FROM tally WHERE standing IN ('pending', 'partial')",
    )?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

fn record_asset(
    connection: &Connection,
    frame: &mut Frame<'_>,
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
                kept_record::let_go(connection, known.id)?;
                update_asset(connection, known.id, asset, frame.keeping.page())?;
                frame.keeping.add(known.id, &asset.provider_record);
            }
            known
        }
        None => {
            record_new(connection, frame, choices, asset, seen)?;
            return Ok(true);
        }
    };
    if known.lacks_camera && asset.camera.is_some() && !is_changed {
        set_camera(connection, known.id, asset)?;
    }
    seen.assets.push(known.id);
    // Smaller copies are missed only where they are asked for. Where they come unasked, they have their rows already.
    let previews = choices.renditions.previews();
    let is_offered = |file: &KnownFile| asset.offers.iter().any(|offer| offer.rendition == file.rendition);
    let mut files = known_files(connection, known.id)?;
    files.retain(|file| previews || !file.rendition.is_preview() || is_offered(file));
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
        carry_out(connection, frame, choices, asset, &known, &step, seen)?;
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

/// Makes the rows of an asset that is not in the journal.
fn record_new(
    connection: &Connection,
    frame: &mut Frame<'_>,
    choices: &Choices,
    asset: &Asset,
    seen: &mut Seen,
) -> Result<(), Error> {
    let at = frame.at;
    let (stem, paths) = place::free_stem(connection, &frame.owner, asset, &choices.layout)?;
    let (count, page) = (asset.versions().count() as i64, frame.keeping.page());
    let original = asset.versions().find(|(_, offer)| offer.rendition == Rendition::Original);
    let stem =
        Some(stem.as_str()).filter(|s| !original.is_some_and(|(n, _)| place::says_stem(s, &paths[n].text)));
    let id = frame.rows.insert_asset(asset, stem, count, page)?;
    frame.keeping.add(id, &asset.provider_record);
    if frame.may_have_moved {
        asset_change::moved_here(connection, at, asset)?;
    }
    if frame.is_news {
        asset_change::tell(connection, at, id, AssetEvent::Added, None)?;
    }
    seen.assets.push(id);
    seen.already_here.push(false);
    seen.assets_new += 1;
    seen.assets_done_change += i64::from(count == 0);
    for (n, offer) in asset.versions() {
        let path = &paths[n];
        let url = offer.url.as_ref().filter(|_| frame.keeps_urls);
        frame.rows.insert_file(id, offer, path, url)?;
        seen.files_new += 1;
        seen.bytes_new += offer.size_bytes;
    }
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
    frame: &mut Frame<'_>,
    choices: &Choices,
    asset: &Asset,
    known: &KnownAsset,
    step: &Step,
    seen: &mut Seen,
) -> Result<(), Error> {
    let at = frame.at;
    match *step {
        Step::Insert { offer } => {
            let offer = &asset.offers[offer];
            let stem = place::stem(connection, known.id)?;
            let path = place::free_path(connection, at.library, asset, &choices.layout, &stem, offer)?;
            frame.rows.insert_file(known.id, offer, &path, offer.url.as_ref())?;
            new_asset::one_more_file(connection, known.id)?;
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
            if let Some(url) = asset.offers[offer].url.as_ref().filter(|_| frame.keeps_urls) {
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

fn update_asset(
    connection: &Connection,
    id: AssetId,
    asset: &Asset,
    provider_page: i64,
) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "UPDATE asset SET master_name = :master, change_tag = :tag, filename = :filename,
             kind = :kind, subtype = :subtype,
             -- The same original was taken by the same camera, asked for now or not.
             camera = iif(:camera IS NULL AND master_name = :master, camera, :camera),
             captured_ms = :captured_ms, captured_offset_s = :captured_offset_s,
             added_ms = :added_ms, favorite = :favorite, hidden = :hidden, removed_at = NULL, removed_as = NULL,
             provider_page_id = :page
         WHERE asset_id = :asset",
    )?;
    statement.execute(named_params! {
        ":asset": id.0, ":master": asset.master.as_str(), ":tag": asset.change_tag,
        ":filename": asset.filename, ":kind": asset.kind.as_str(), ":subtype": asset.subtype,
        ":camera": asset.camera,
        ":captured_ms": asset.captured.map(|c| c.at_ms),
        ":captured_offset_s": asset.captured.and_then(|c| c.offset_seconds),
        ":added_ms": asset.added_at_ms, ":favorite": asset.favorite, ":hidden": asset.hidden,
        ":page": provider_page,
    })?;
    Ok(())
}

/// Keeps the camera of an asset that is otherwise as it was.
fn set_camera(connection: &Connection, id: AssetId, asset: &Asset) -> Result<(), Error> {
    let mut statement =
        connection.prepare_cached("UPDATE asset SET camera = :camera WHERE asset_id = :asset")?;
    statement.execute(named_params! { ":camera": asset.camera, ":asset": id.0 })?;
    Ok(())
}

pub(super) const KNOWN_FILES: &str = "
    SELECT file_id, rendition, checksum, state, claim_run_id IS NOT NULL AS claimed,
           superseded_at IS NOT NULL AS superseded
    FROM asset_file WHERE asset_id = :asset";

fn known_files(connection: &Connection, asset: AssetId) -> Result<Vec<KnownFile>, Error> {
    let mut statement = connection.prepare_cached(KNOWN_FILES)?;
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
