//! Audit: the balance sheet. Apple's count, the journal and the disk are set against each other, and
//! every difference is named with its reason. There is no tolerance.
//!
//! It changes nothing but the row of its own run. Rows are streamed and the tree is walked folder by
//! folder, so memory is flat at any size; differences are handed on as they are met.

mod apple;
mod report;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::disk::{self, Destination, Found, Inspector};
use crate::engine::error::Error;
use crate::engine::run::{now, off_thread};
use crate::engine::scrub::Bench;
use crate::engine::stop::Stop;
use crate::journal::{Library, Reader, Reading, RollRow, Tally, UnusableRecord, Verb};
use crate::model::checksum::{AppleChecksum, Hasher};
use crate::model::ids::{AccountId, LibraryId};
use crate::model::selection::Selection;
use crate::model::time;

pub use apple::{Asked, ask};
pub use report::{Audited, Difference, Kind, Sheet};

/// What to audit.
#[derive(Clone, Debug, Default)]
pub struct Inquiry {
    /// Read the bytes of every file, too.
    pub deep: bool,
    /// What Apple counts; `None` to take what the last run was told.
    pub asked: Option<Asked>,
    /// Which libraries are in scope, beside what the last sync left out.
    pub selection: Selection,
}

/// Balances the books of an account, and calls `told` for every difference and note.
///
/// # Errors
/// What ends the audit early.
pub async fn audit(
    bench: Bench,
    inquiry: Inquiry,
    told: Box<dyn FnMut(Difference) + Send>,
) -> Result<Audited, Error> {
    let Bench { account, username, journal, destination, stop } = bench;
    let reader = journal.reader().clone();
    let run = journal.begin_run_for(account, Verb::Audit, now()).await?;
    let Inquiry { deep, asked, selection } = inquiry;
    let audited = off_thread(move || {
        let destination = Arc::new(destination);
        let inspector = Inspector::new(Arc::clone(&destination));
        let done = Audited::default();
        let audit = Audit { reader, account, destination, inspector, stop, deep, selection, told, done };
        audit.go(&username, asked)
    })
    .await;
    let (outcome, read) = match &audited {
        Err(_) => ("halted", Reading::default()),
        Ok(done) if done.interrupted => ("interrupted", done.read),
        Ok(done) if done.differences > 0 => ("unbalanced", done.read),
        Ok(done) => ("balanced", done.read),
    };
    journal.end_reading(run, now(), outcome, read).await?;
    audited
}

/// An audit at work.
struct Audit {
    reader: Reader,
    account: AccountId,
    destination: Arc<Destination>,
    inspector: Inspector,
    stop: Stop,
    deep: bool,
    selection: Selection,
    told: Box<dyn FnMut(Difference) + Send>,
    done: Audited,
}

impl Audit {
    fn go(mut self, username: &str, asked: Option<Asked>) -> Result<Audited, Error> {
        let libraries: Vec<Library> =
            self.reader.libraries()?.into_iter().filter(|of| of.username == username).collect();
        let mut sheets: BTreeMap<LibraryId, Sheet> =
            libraries.iter().map(|of| (of.id, self.sheet(of))).collect();
        for (library, count) in self.reader.assets_counted(self.account)? {
            sheets.entry(library).or_default().assets = count;
        }
        self.roll_call(&mut sheets)?;
        let hiding = self.records(&mut sheets)?;
        self.journal_itself(&mut sheets)?;
        self.counts(&libraries, &mut sheets, &hiding, asked)?;
        if !self.stop.is_requested() {
            self.tree()?;
        }
        self.done.interrupted = self.stop.is_requested();
        self.done.read.findings = self.done.differences;
        self.done.sheets = sheets.into_values().collect();
        Ok(self.done)
    }

    fn sheet(&self, library: &Library) -> Sheet {
        Sheet {
            library: library.zone.name.clone(),
            database: library.zone.database.as_str(),
            left_out: !self.selection.has_library(&library.zone.name),
            apple_count: library.apple_count,
            enumerated: library.enumerated_count.zip(library.enumerated_at),
            ..Sheet::default()
        }
    }

    fn tell(
        &mut self,
        sheet: Option<&mut Sheet>,
        mut kind: Kind,
        asset: Option<String>,
        name: String,
        mut reason: String,
    ) {
        let library = sheet.as_ref().map(|sheet| sheet.library.clone());
        // A library that was never listed has no sheet.
        let left_out = sheet.as_ref().map_or_else(|| !self.selection.has_library(&name), |of| of.left_out);
        if left_out && kind.is_of_listing() {
            kind = Kind::LeftOut;
            reason = format!("left out by --library; {reason}");
        }
        if kind.unbalances() {
            self.done.differences += 1;
            if let Some(sheet) = sheet {
                sheet.differences += 1;
            }
        } else {
            self.done.notes += 1;
        }
        (self.told)(Difference { kind, library, asset, name, reason });
    }

    /// Records that cannot be used. Gives how many assets of each library they may hide.
    fn records(
        &mut self,
        sheets: &mut BTreeMap<LibraryId, Sheet>,
    ) -> Result<BTreeMap<LibraryId, u64>, Error> {
        let mut hiding = BTreeMap::new();
        let mut records = Vec::new();
        // Collected: there are as many as Apple has broken records, and telling borrows all of us.
        self.reader.unusable_records(self.account, |record| records.push(record))?;
        for UnusableRecord { library, record, kind, detail } in records {
            let Some(sheet) = sheets.get_mut(&library) else { continue };
            sheet.unusable += 1;
            let is_orphan = kind == "orphan-master";
            let hides_asset = !is_orphan && kind != "unusable-file";
            *hiding.entry(library).or_default() += u64::from(hides_asset);
            let of = if is_orphan { Kind::Orphan } else { Kind::Record };
            self.tell(Some(sheet), of, None, record, format!("{kind}: {detail}"));
        }
        Ok(hiding)
    }

    /// Every row is called, and every verified file looked at.
    fn roll_call(&mut self, sheets: &mut BTreeMap<LibraryId, Sheet>) -> Result<(), Error> {
        let (reader, account, stop) = (self.reader.clone(), self.account, self.stop.clone());
        let mut failed = None;
        reader.roll_call(account, |row| {
            let sheet = sheets.entry(row.library).or_default();
            if let Err(error) = self.call(sheet, row) {
                failed = Some(error);
            }
            failed.is_none() && !stop.is_requested()
        })?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    fn call(&mut self, sheet: &mut Sheet, row: RollRow) -> Result<(), disk::Error> {
        add(sheet.standings.entry(row.standing.clone()).or_default(), row.size_bytes);
        sheet.left_out |= row.is_left_out;
        if row.asset.is_none() {
            let reason = "its asset is missing from the journal: somebody changed the journal".to_owned();
            self.tell(Some(sheet), Kind::Journal, None, row.path.clone(), reason);
        }
        if row.last_told != row.state {
            let reason = format!(
                "the row says {}, and its history ends with {}: somebody changed the journal",
                row.state, row.last_told
            );
            self.tell(Some(sheet), Kind::Journal, row.asset.clone(), row.path.clone(), reason);
        }
        if let Some(path) = &row.trash_path {
            let path = path.clone();
            return self.look_into_trash(sheet, RollRow { path, ..row });
        }
        if row.is_released {
            return Ok(());
        }
        if row.state == "verified" {
            return self.look_at(sheet, row);
        }
        let gone = row.standing == "superseded" && row.error.as_ref().is_some_and(|e| e.starts_with("gone"));
        if gone {
            let reason = "Apple stopped offering it before it was here".to_owned();
            self.tell(Some(sheet), Kind::Gone, row.asset, row.path, reason);
        } else if row.standing == row.state {
            let reason = not_here(&row);
            self.tell(Some(sheet), Kind::NotHere, row.asset, row.path, reason);
        }
        Ok(())
    }

    fn look_at(&mut self, sheet: &mut Sheet, row: RollRow) -> Result<(), disk::Error> {
        add(&mut sheet.kept, row.size_bytes);
        match self.found_wrong(&row)? {
            Some((kind, reason)) => self.tell(Some(sheet), kind, row.asset, row.path, reason),
            None if self.stop.is_requested() => {}
            None => add(&mut sheet.on_disk, row.size_bytes),
        }
        Ok(())
    }

    /// A file in the trash may be the last copy there is. One that is not there was taken out or emptied by
    /// hand: that unbalances nothing.
    fn look_into_trash(&mut self, sheet: &mut Sheet, row: RollRow) -> Result<(), disk::Error> {
        match self.found_wrong(&row)? {
            Some((Kind::Missing, _)) => {
                let reason = "it is not in the trash under its name: \"rollbook undelete\" knows it if it is back in \
                              its place, or there under another name";
                self.tell(Some(sheet), Kind::Trash, row.asset, row.path, reason.to_owned());
            }
            Some((kind, reason)) => self.tell(Some(sheet), kind, row.asset, row.path, reason),
            None => {}
        }
        Ok(())
    }

    /// What is wrong with a file, if it could be looked at.
    fn found_wrong(&mut self, row: &RollRow) -> Result<Option<(Kind, String)>, disk::Error> {
        match self.compare(row) {
            Ok(None) => {
                self.done.read.files += 1;
                Ok(None)
            }
            Ok(wrong) => Ok(wrong),
            Err(error) if error.is_interrupted() => Ok(None),
            Err(error) if error.ends_the_run() => Err(error),
            Err(error) => Ok(Some((Kind::Unreadable, error.to_string()))),
        }
    }

    /// Compares a verified row with what stands under its name.
    fn compare(&mut self, row: &RollRow) -> Result<Option<(Kind, String)>, disk::Error> {
        let size_bytes = match self.inspector.look(&row.path)? {
            Found::File { size_bytes, .. } => size_bytes,
            Found::NoFile(what) => return Ok(Some((Kind::Replaced, format!("{what} stands there")))),
            Found::Missing => {
                self.destination.check_present()?;
                return Ok(Some((Kind::Missing, "it is verified, and nothing stands there".to_owned())));
            }
        };
        let expected_bytes = row.dated_bytes.unwrap_or(row.size_bytes);
        if size_bytes != expected_bytes {
            let reason = format!("it has {size_bytes} bytes, not {expected_bytes}");
            return Ok(Some((Kind::Size, reason)));
        }
        if !self.deep {
            return Ok(None);
        }
        let mut hasher = Hasher::default();
        let stop = &self.stop;
        let mut opened = self.inspector.open(&row.path)?;
        self.done.read.bytes += opened.read(|| !stop.is_requested(), |piece| hasher.update(piece))?;
        let digests = hasher.finish();
        if row.sha256.as_deref() != Some(&digests.sha256.0[..]) {
            return Ok(Some((Kind::Damaged, "its bytes are not those that were verified".to_owned())));
        }
        // By length only: Apple's checksum of it proves nothing. Nor where the date was added since.
        let by_checksum = row.verified_by.as_deref() != Some("length") && row.dated_bytes.is_none();
        if by_checksum && AppleChecksum::parse(&row.checksum).prove(&digests).is_none() {
            return Ok(Some((Kind::Damaged, "its bytes do not match Apple's own checksum".to_owned())));
        }
        Ok(None)
    }

    /// What the journal says of itself: tallies, and assets without a file.
    fn journal_itself(&mut self, sheets: &mut BTreeMap<LibraryId, Sheet>) -> Result<(), Error> {
        if self.stop.is_requested() {
            return Ok(());
        }
        let mut bare = Vec::new();
        self.reader.assets_without_files(self.account, |of, asset, name| bare.push((of, asset, name)))?;
        for (library, asset, name) in bare {
            let reason = "it has no file row: somebody changed the journal".to_owned();
            self.tell(sheets.get_mut(&library), Kind::Journal, Some(asset), name, reason);
        }
        for (library, sheet) in sheets {
            let mut counted = sheet.standings.clone();
            let assets = sheet.assets.present + sheet.assets.removed;
            counted.insert("assets".to_owned(), Tally { files: assets, bytes: 0 });
            let kept = self.reader.tally(*library)?;
            let words: BTreeSet<&String> = counted.keys().chain(kept.keys()).collect();
            for word in words.into_iter().filter(|word| *word == "assets" || !word.starts_with("assets")) {
                let (rows, told) = (counted.get(word).copied(), kept.get(word).copied());
                let (rows, told) = (rows.unwrap_or_default(), told.unwrap_or_default());
                if rows != told {
                    let reason = format!(
                        "its tally counts {} {word} ({} bytes), its rows are {} ({} bytes): somebody changed the \
                         journal",
                        told.files, told.bytes, rows.files, rows.bytes
                    );
                    let name = sheet.library.clone();
                    self.tell(Some(&mut *sheet), Kind::Journal, None, name, reason);
                }
            }
        }
        Ok(())
    }
}

fn add(tally: &mut Tally, size_bytes: u64) {
    tally.files += 1;
    tally.bytes += size_bytes;
}

/// Why a file in scope is not here, and what happens next.
fn not_here(row: &RollRow) -> String {
    match (row.state.as_str(), &row.error, row.retry_at) {
        ("failed", Some(error), Some(at)) => {
            format!("failed: {error}; tried again after {}", time::moment(at))
        }
        ("failed", Some(error), None) => {
            format!("failed: {error}; given up until \"rollbook sync --retry-failed\"")
        }
        ("partial", ..) => "begun, and not here yet: run \"rollbook sync\"".to_owned(),
        _ => "not here yet: run \"rollbook sync\"".to_owned(),
    }
}
