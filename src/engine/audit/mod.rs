//! Audit: the balance sheet. Apple's count, the journal and the disk are set against each other, and
//! every difference is named with its reason. There is no tolerance.
//!
//! It changes nothing but the row of its own run. Rows are streamed and the tree is walked folder by
//! folder, so memory is flat at any size; differences are handed on as they are met.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::disk::{self, Destination, Entry, Found, Inspector};
use crate::engine::error::Error;
use crate::engine::run::{now, off_thread};
use crate::engine::scrub::Bench;
use crate::engine::stop::Stop;
use crate::icloud::{self, Client, Delta};
use crate::journal::{AssetCount, KnownPath, Library, Reader, Reading, RollRow, Tally, UnusableRecord, Verb};
use crate::model::asset::Zone;
use crate::model::checksum::{AppleChecksum, Hasher};
use crate::model::ids::{AccountId, LibraryId};
use crate::model::{layout, time};

/// What to audit.
#[derive(Clone, Debug, Default)]
pub struct Inquiry {
    /// Read the bytes of every file, too.
    pub deep: bool,
    /// What Apple counts; `None` to take what the last run was told.
    pub asked: Option<Asked>,
}

/// What Apple says now of its libraries.
#[derive(Clone, Debug, Default)]
pub struct Asked(Vec<AskedLibrary>);

/// What Apple says of one library.
#[derive(Clone, Debug)]
struct AskedLibrary {
    zone: Zone,
    /// How many assets it holds, visible and hidden; `None` if it does not count.
    count: Option<u64>,
    /// What changed in it since the journal last followed it; `None` if Apple cannot say.
    changed: Option<Changed>,
}

/// How many assets of a library changed.
#[derive(Clone, Copy, Debug)]
struct Changed {
    assets: u64,
    /// Whether there may be more.
    more: bool,
}

/// What a difference is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Apple counts more or fewer assets than the journal holds, or changed some that it did not see.
    Count,
    /// A library that was never listed to its end.
    NotListed,
    /// A record of Apple's that cannot be used, so that a file may be hidden behind it.
    Record,
    /// A file in scope that is not here yet.
    NotHere,
    /// A verified file that is not there.
    Missing,
    /// A verified file of another length.
    Size,
    /// Something that is no file stands under the name of a verified one.
    Replaced,
    /// A verified file whose bytes are others now.
    Damaged,
    /// A verified file that the system cannot read.
    Unreadable,
    /// The journal contradicts itself: somebody changed it past its triggers.
    Journal,
    /// A note: a file that Apple stopped offering before it was here.
    Gone,
    /// A note: a master record that no asset points to.
    Orphan,
    /// A note: Apple's remembered count is older than what the journal knows.
    CountOld,
    /// A note: a library that the account no longer has.
    Left,
    /// A note: a file that is not ours.
    Stranger,
    /// A note: a file under the name of one that is still to come.
    Unverified,
    /// A note: a part file that no row waits for.
    LeftOverPart,
    /// A note: a damaged file that was set aside.
    SetAside,
}

impl Kind {
    /// The word for a program.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::NotListed => "not-listed",
            Self::Record => "record",
            Self::NotHere => "not-here",
            Self::Missing => "missing",
            Self::Size => "size",
            Self::Replaced => "replaced",
            Self::Damaged => "damaged",
            Self::Unreadable => "unreadable",
            Self::Journal => "journal",
            Self::Gone => "gone",
            Self::Orphan => "orphan",
            Self::CountOld => "count-old",
            Self::Left => "left",
            Self::Stranger => "stranger",
            Self::Unverified => "unverified",
            Self::LeftOverPart => "left-over-part",
            Self::SetAside => "set-aside",
        }
    }

    /// Whether it unbalances the sheet, or is only worth knowing.
    #[must_use]
    pub fn unbalances(self) -> bool {
        self < Self::Gone
    }
}

/// One difference, or one note.
#[derive(Clone, Debug)]
pub struct Difference {
    /// What it is about.
    pub kind: Kind,
    /// The zone of the library, where it is about one.
    pub library: Option<String>,
    /// The record name of the asset, where it is about one.
    pub asset: Option<String>,
    /// A path, or the name of a record or library. A stranger's text.
    pub name: String,
    /// The reason, in a sentence.
    pub reason: String,
}

/// The balance of one library.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    /// Its zone.
    pub library: String,
    /// `private` or `shared`.
    pub database: &'static str,
    /// What Apple counts; `None` if it did not say.
    pub apple_count: Option<u64>,
    /// Whether that was asked now, or is what the last run was told.
    pub asked_now: bool,
    /// What the last complete enumeration found, and when.
    pub enumerated: Option<(u64, i64)>,
    /// Assets in the journal.
    pub assets: AssetCount,
    /// Records that cannot be used, or not wholly.
    pub unusable: u64,
    /// Files by standing, counted anew.
    pub standings: BTreeMap<String, Tally>,
    /// Files that are verified and not let go, in scope or not: they must be on the disk.
    pub kept: Tally,
    /// Of those, the ones that are there and right.
    pub on_disk: Tally,
    /// Differences that unbalance it.
    pub differences: u64,
}

/// The whole audit of one account.
#[derive(Clone, Debug, Default)]
pub struct Audited {
    /// Every library.
    pub sheets: Vec<Sheet>,
    /// Differences that unbalance, of all libraries and of none.
    pub differences: u64,
    /// Notes.
    pub notes: u64,
    /// Files looked at, bytes read back.
    pub read: Reading,
    /// Someone asked to stop: the sheet is not whole.
    pub interrupted: bool,
}

/// Asks Apple for the libraries, their counts, and what changed in them since the last sync: two
/// requests for each. An equal count proves little: one asset may have come for another, or be edited.
///
/// # Errors
/// If Apple cannot be asked. A library that does not count is an answer, not an error.
pub async fn ask(client: &Client, reader: &Reader, account: AccountId) -> Result<Asked, Error> {
    let followed = reader.followed(account)?;
    let mut asked = Vec::new();
    for zone in client.libraries().await?.zones {
        let count = match client.counts(&zone).await {
            Ok(counts) => Some(counts.total()),
            Err(
                icloud::Error::Server { .. } | icloud::Error::Malformed { .. } | icloud::Error::Denied(_),
            ) => None,
            Err(error) => return Err(error.into()),
        };
        let known = followed.iter().find(|of| same(&of.zone, &zone));
        let changed = match known.and_then(|of| Some((of.id, of.sync_token.clone()?))) {
            Some((id, token)) => changed_since(client, reader, &zone, id, token).await?,
            None => None,
        };
        asked.push(AskedLibrary { zone, count, changed });
    }
    Ok(Asked(asked))
}

/// What changed in a library since a token, to the first page with an asset on it; `None` if Apple
/// does not know the token any more. Albums, and what the journal never held, are no assets of ours.
async fn changed_since(
    client: &Client,
    reader: &Reader,
    zone: &Zone,
    library: LibraryId,
    token: String,
) -> Result<Option<Changed>, Error> {
    let mut walk = client.zone_changes(zone, token);
    loop {
        match walk.next().await {
            Ok(Delta::Page(page)) => {
                let assets = page.assets() as u64 + reader.present_among(library, page.purged())?;
                if assets > 0 || !page.more {
                    return Ok(Some(Changed { assets, more: page.more }));
                }
            }
            Ok(Delta::TokenVoid(_))
            | Err(
                icloud::Error::Server { .. } | icloud::Error::Malformed { .. } | icloud::Error::Denied(_),
            ) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
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
    let Inquiry { deep, asked } = inquiry;
    let audited = off_thread(move || {
        let destination = Arc::new(destination);
        let inspector = Inspector::new(Arc::clone(&destination));
        let audit =
            Audit { reader, account, destination, inspector, stop, deep, told, done: Audited::default() };
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
    told: Box<dyn FnMut(Difference) + Send>,
    done: Audited,
}

impl Audit {
    fn go(mut self, username: &str, asked: Option<Asked>) -> Result<Audited, Error> {
        let libraries: Vec<Library> =
            self.reader.libraries()?.into_iter().filter(|of| of.username == username).collect();
        let mut sheets: BTreeMap<LibraryId, Sheet> = libraries.iter().map(|of| (of.id, sheet(of))).collect();
        for (library, count) in self.reader.assets_counted(self.account)? {
            sheets.entry(library).or_default().assets = count;
        }
        let hiding = self.records(&mut sheets)?;
        self.roll_call(&mut sheets)?;
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

    fn tell(
        &mut self,
        sheet: Option<&mut Sheet>,
        kind: Kind,
        asset: Option<String>,
        name: String,
        reason: String,
    ) {
        let library = sheet.as_ref().map(|sheet| sheet.library.clone());
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
        let (kind, reason) = match self.compare(&row) {
            Ok(None) => {
                self.done.read.files += 1;
                add(&mut sheet.on_disk, row.size_bytes);
                return Ok(());
            }
            Ok(Some(wrong)) => wrong,
            Err(error) if error.is_interrupted() => return Ok(()),
            Err(error) if error.ends_the_run() => return Err(error),
            Err(error) => (Kind::Unreadable, error.to_string()),
        };
        self.tell(Some(sheet), kind, row.asset, row.path, reason);
        Ok(())
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
        if size_bytes != row.size_bytes {
            let reason = format!("it has {size_bytes} bytes, not {}", row.size_bytes);
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
        // By length only: Apple's checksum of it proves nothing.
        let by_checksum = row.verified_by.as_deref() != Some("length");
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
                        "its triggers counted {} {word} ({} bytes), its rows are {} ({} bytes): somebody changed the \
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

    /// Apple's count against the journal's.
    fn counts(
        &mut self,
        libraries: &[Library],
        sheets: &mut BTreeMap<LibraryId, Sheet>,
        hiding: &BTreeMap<LibraryId, u64>,
        asked: Option<Asked>,
    ) -> Result<(), Error> {
        let since = self.reader.last_listing(self.account)?;
        let since = since.map_or_else(|| "the last run".to_owned(), |run| format!("run {run}"));
        let online = asked.is_some();
        let mut asked = asked.unwrap_or_default().0;
        let followed = self.reader.followed(self.account)?;
        for library in libraries {
            let Some(sheet) = sheets.get_mut(&library.id) else { continue };
            let name = sheet.library.clone();
            if sheet.enumerated.is_none() {
                let reason = "it was not listed to its end yet: run \"rollbook sync\"".to_owned();
                self.tell(Some(&mut *sheet), Kind::NotListed, None, name.clone(), reason);
            }
            let mut changed = None;
            if online {
                let place = asked.iter().position(|of| same(&of.zone, &library.zone));
                let Some(place) = place else {
                    let reason = "the account no longer has this library; what is here stays".to_owned();
                    self.tell(Some(&mut *sheet), Kind::Left, None, name, reason);
                    continue;
                };
                let of = asked.swap_remove(place);
                (sheet.apple_count, sheet.asked_now, changed) = (of.count, true, of.changed);
            }
            let hiding = hiding.get(&library.id).copied().unwrap_or_default();
            let Some(reason) = count_reason(sheet, changed, hiding, &since) else { continue };
            let recounted_at = followed.iter().find(|of| of.id == library.id).and_then(|of| of.recounted_at);
            if let Some(at) = recounted_at.filter(|_| !online)
                && self.reader.changed_since(library.id, at)?
            {
                let reason = format!(
                    "Apple's count is of {}, and the library changed since: audit without --offline asks anew",
                    time::moment(at)
                );
                self.tell(Some(sheet), Kind::CountOld, None, name, reason);
            } else {
                self.tell(Some(sheet), Kind::Count, None, name, reason);
            }
        }
        for AskedLibrary { zone, count, .. } in asked {
            let count = count.map_or_else(|| "an unknown number of".to_owned(), |count| count.to_string());
            let reason = format!("{count} assets in a library that was never listed: run \"rollbook sync\"");
            self.tell(None, Kind::NotListed, None, zone.name, reason);
        }
        Ok(())
    }

    /// What stands below the destination and is no verified file of ours.
    fn tree(&mut self) -> Result<(), Error> {
        let (destination, reader) = (Arc::clone(&self.destination), self.reader.clone());
        let (account, stop) = (self.account, self.stop.clone());
        let albums = reader.album_folders(account)?;
        let mut failed = None;
        let mut notes = Vec::new();
        let tell = |audit: &mut Self, note: (Kind, String, String)| {
            audit.tell(None, note.0, None, note.1, note.2);
        };
        let walked = disk::census(
            &destination,
            |entry| {
                let full = destination.directory().join(&entry.path);
                let linked = albums
                    .iter()
                    .find_map(|folder| Some((folder, full.strip_prefix(folder).ok()?.to_str()?)));
                let is_link =
                    linked.map_or(Ok(false), |(folder, path)| reader.is_album_link(account, folder, path));
                let noted = match is_link {
                    Ok(true) => Ok(None),
                    Ok(false) => note(&reader, account, entry),
                    Err(error) => Err(error.into()),
                };
                match noted {
                    Ok(Some(note)) => tell(self, note),
                    Ok(None) => {}
                    Err(error) => failed = Some(error),
                }
                failed.is_none() && !stop.is_requested()
            },
            |error| notes.push(error.to_string()),
        );
        for refused in notes {
            self.tell(None, Kind::Unreadable, None, "a folder".to_owned(), refused);
        }
        walked?;
        failed.map_or(Ok(()), Err)
    }
}

/// What is to be said about something in the tree: nothing of a file that belongs there.
fn note(reader: &Reader, account: AccountId, entry: Entry) -> Result<Option<(Kind, String, String)>, Error> {
    let known = |path: &str| reader.known_path(account, path);
    let say = |kind, reason: &str| Ok(Some((kind, entry.path.clone(), reason.to_owned())));
    if entry.is_text && entry.is_file {
        match known(&entry.path)? {
            Some(KnownPath::Verified | KnownPath::OutOfScope | KnownPath::Sidecar) => return Ok(None),
            Some(KnownPath::Open) => {
                return say(
                    Kind::Unverified,
                    "a file is still to come under this name; the next sync looks at it",
                );
            }
            None => {}
        }
        if let Some(whole) = layout::part_of(&entry.path) {
            return match known(whole)? {
                Some(KnownPath::Open) => Ok(None),
                _ => say(Kind::LeftOverPart, "a part file that no row waits for"),
            };
        }
        if entry.path.contains(".damaged-") {
            return say(Kind::SetAside, "a damaged file that was set aside");
        }
    } else if known(&entry.path)? == Some(KnownPath::Verified) {
        // Named already, as what stands in place of a file.
        return Ok(None);
    }
    say(Kind::Stranger, "not a file of this journal")
}

fn sheet(library: &Library) -> Sheet {
    Sheet {
        library: library.zone.name.clone(),
        database: library.zone.database.as_str(),
        apple_count: library.apple_count,
        enumerated: library.enumerated_count.zip(library.enumerated_at),
        ..Sheet::default()
    }
}

fn same(one: &Zone, other: &Zone) -> bool {
    (one.database, &one.name, &one.owner) == (other.database, &other.name, &other.owner)
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

/// Why Apple's count is not the journal's, or what an equal one hides; `None` if nothing is to be said.
/// `changed`: what did so in the library since the journal followed it, if Apple told.
fn count_reason(sheet: &Sheet, changed: Option<Changed>, hiding: u64, since: &str) -> Option<String> {
    let held = sheet.assets.present;
    let Some(apple) = sheet.apple_count else {
        return Some("Apple did not say how many assets it holds; ask again later".to_owned());
    };
    // Records that cannot be used are counted by Apple, and named one by one.
    if (held..=held + hiding).contains(&apple) {
        let Changed { assets, more } = changed.filter(|changed| changed.assets > 0)?;
        let at_least = if more { "at least " } else { "" };
        let changes = if assets == 1 { "change" } else { "changes" };
        return Some(format!(
            "{at_least}{assets} {changes} in iCloud since {since}, not seen yet: run \"rollbook sync\""
        ));
    }
    let (number, more) = if apple > held { (apple - held, true) } else { (held - apple, false) };
    let why = match (changed.map(|changed| changed.assets > 0), more) {
        (Some(true), true) => format!("{number} newer in iCloud since {since}"),
        (Some(true), false) => format!("{number} fewer in iCloud since {since}"),
        (Some(false), true) => {
            format!("{number} missing from the journal, and nothing changed since {since}")
        }
        (Some(false), false) => {
            format!("{number} that Apple does not count, and nothing changed since {since}")
        }
        (None, true) => format!("{number} missing from the journal"),
        (None, false) => format!("{number} that Apple does not count"),
    };
    Some(format!("Apple counts {apple}, the journal holds {held}: {why}: run \"rollbook sync\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_balances_exactly_or_is_a_reason() {
        let sheet = |apple, held| Sheet {
            apple_count: apple,
            asked_now: true,
            assets: AssetCount { present: held, ..AssetCount::default() },
            ..Sheet::default()
        };
        let reason = |apple, held, changed: Option<u64>, hiding| {
            let changed = changed.map(|assets| Changed { assets, more: assets > 100 });
            count_reason(&sheet(apple, held), changed, hiding, "run 12")
        };
        assert_eq!(reason(Some(60), 60, None, 0), None);
        assert_eq!(reason(Some(60), 60, Some(0), 0), None);
        assert_eq!(reason(Some(62), 60, None, 2), None);
        for (reason, says) in [
            (reason(Some(63), 60, Some(3), 0), "3 newer in iCloud since run 12"),
            (reason(Some(58), 60, Some(2), 0), "2 fewer in iCloud since run 12"),
            (reason(Some(60), 59, Some(0), 0), "1 missing from the journal, and nothing changed"),
            (reason(Some(60), 61, Some(0), 9), "1 that Apple does not count"),
            (reason(Some(63), 60, None, 2), "3 missing from the journal"),
            (reason(Some(60), 60, Some(2), 0), "2 changes in iCloud since run 12, not seen yet"),
            (reason(Some(61), 60, Some(200), 1), "at least 200 changes in iCloud since run 12"),
            (reason(None, 60, None, 0), "did not say"),
        ] {
            assert!(reason.as_ref().is_some_and(|reason| reason.contains(says)), "{says}: {reason:?}");
        }
    }
}
