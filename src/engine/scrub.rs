//! Scrub: verified files are read back and compared with the digest that the journal holds.
//!
//! The oldest check comes first. What is right gets its time in groups, so a scrub that is stopped or
//! killed goes on where it was, and reads one group twice at most. A file in the place of another may be one
//! of ours that somebody moved there: then that is learned, and nothing is wrong. Else it is damaged: it is kept
//! under another name and its row is *lost*: the next sync fetches it, while Apple has that version. A file
//! that is not there is looked for in the places that such files of ours have left. Else it is named, and the next sync
//! looks for it everywhere: what becomes of files that were moved or deleted here is decided in one place, the
//! sweep. A file that cannot be read is named and left verified: a bad cable is no loss.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};

use crate::disk::{self, Destination, Found, Inspector, Opened};
use crate::engine::error::Error;
use crate::engine::run::{now, off_thread};
use crate::engine::stop::Stop;
use crate::journal::{Damage, DamageKind, DueFile, Expected, FoundElsewhere, Journal, Reading, Turn, Verb};
use crate::model::checksum::{Rehasher, Sha256Digest};
use crate::model::ids::{AccountId, FileId, LibraryId, RunId};
use crate::model::roll::Roll;
use crate::model::time;

/// How long a check is good for, unless all files are asked for: a month.
pub const FRESH_S: i64 = 30 * 86_400;
/// Files read at the same time: one hashes while the other waits for the disk. More only makes a
/// turning disk seek.
const READS_AT_ONCE: usize = 2;
/// Files whose checks are committed together.
const GROUP_FILES: usize = 64;
/// Missing files that are kept back until the end, as they may be met in the places of others: after so many,
/// those are told at once. A destination that is mounted by half misses most of its files.
const MISSING_HELD_MAX: usize = 10_000;
/// Bytes after which a group is committed, however few files it has: what a kill makes us read again.
const GROUP_BYTES: u64 = 256 * 1024 * 1024;

/// What a scrub or an audit works with. The caller holds the run lock of the journal's directory.
pub struct Bench {
    /// The account.
    pub account: AccountId,
    /// Its name, as it signs in.
    pub username: String,
    /// The journal.
    pub journal: Arc<Journal>,
    /// Where the files are, from [`super::open_destination`].
    pub destination: Destination,
    /// Who may ask to stop.
    pub stop: Stop,
}

/// What to read back.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Read no more than this, but one file at least.
    pub bytes_max: Option<u64>,
    /// Begin no file after this time.
    pub time_max: Option<Duration>,
    /// Files whose last check is not old yet, too.
    pub all: bool,
}

/// Something that is wrong with a file.
#[derive(Clone, Debug)]
pub struct Wrong {
    /// The record name of its asset.
    pub asset: String,
    /// Where it stands, or should.
    pub path: String,
    /// What is wrong.
    pub damage: Damage,
}

/// What a scrub did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// What was read.
    pub read: Reading,
    /// Of the findings, files that are wanted again.
    pub lost: u64,
    /// Of the findings, files that are not there: the next sync looks for them.
    pub missing: u64,
    /// Files that stood in the places of others, and are known where they stand now. Nothing is wrong with them.
    pub moved: u64,
    /// Files that are due and were not read: the budget ended, or someone asked to stop.
    pub due_left: u64,
    /// Files in the trash. They are not read: nothing could be fetched in their place.
    pub in_trash: u64,
    /// Someone asked to stop.
    pub interrupted: bool,
}

/// Reads back what is due, and calls `told` for everything that is wrong.
///
/// # Errors
/// What ends the scrub early. What was checked until then is recorded.
pub async fn scrub(bench: Bench, wanted: &Wanted, told: impl FnMut(Wrong)) -> Result<Scrubbed, Error> {
    let Bench { account, username, journal, destination, stop } = bench;
    let began = now();
    let run = journal.begin_run_for(account, Verb::Verify, began).await?;
    let libraries = journal.reader().libraries()?.into_iter();
    let libraries: Vec<LibraryId> = libraries.filter(|of| of.username == username).map(|of| of.id).collect();
    for library in &libraries {
        journal.forget_checks_to_come(*library, began).await?;
    }
    let mut scrub = Scrub {
        before: if wanted.all { i64::MAX } else { now() - FRESH_S },
        deadline: wanted.time_max.map(|length| Instant::now() + length),
        bytes_max: wanted.bytes_max,
        lines: libraries.iter().map(|library| Line::new(*library)).collect(),
        done: Scrubbed::default(),
        seen: Roll::default(),
        date: time::date(now()),
        destination: Arc::new(destination),
        account,
        missing: BTreeMap::new(),
        left: Vec::new(),
        journal,
        run,
        stop,
        told,
    };
    let ended = match scrub.go().await {
        Ok(()) => scrub.look_where_others_were().await,
        halted => halted,
    };
    scrub.tell_missing();
    let interrupted = scrub.stop.is_requested();
    let Scrub { journal, before, done, .. } = scrub;
    let mut done = Scrubbed { interrupted, ..done };
    for library in libraries {
        // With all of them wanted, a file that was checked in this run is not due again.
        let before = if wanted.all { began } else { before };
        done.due_left += journal.reader().line(library, before)?.due;
    }
    done.in_trash = journal.reader().trash(account)?.len() as u64;
    // They stay at the head of the line until a sync has looked for them.
    done.due_left = done.due_left.saturating_sub(done.missing);
    if done.missing > 0 {
        journal.look_again(account).await?;
    }
    let outcome = match (&ended, interrupted, done.read.findings, done.due_left) {
        (Err(_), ..) => "halted",
        (_, true, ..) => "interrupted",
        (_, _, 1.., _) => "damage found",
        (.., 0) => "complete",
        _ => "incomplete",
    };
    journal.end_reading(run, now(), outcome, done.read).await?;
    ended.map(|()| done)
}

/// A scrub at work.
struct Scrub<F> {
    account: AccountId,
    journal: Arc<Journal>,
    destination: Arc<Destination>,
    stop: Stop,
    run: RunId,
    told: F,
    lines: Vec<Line>,
    before: i64,
    deadline: Option<Instant>,
    bytes_max: Option<u64>,
    /// Files of this scrub: one that is right moves to the end of the line, and is met there again.
    seen: Roll,
    /// Files that are not in their places, and were not met elsewhere yet.
    missing: BTreeMap<FileId, (DueFile, Damage)>,
    /// Places that files which were met elsewhere have left, and in which none of ours was met yet.
    left: Vec<String>,
    done: Scrubbed,
    date: String,
}

/// What is due in one library.
struct Line {
    library: LibraryId,
    ahead: VecDeque<DueFile>,
    after: Option<Turn>,
    ended: bool,
}

impl Line {
    fn new(library: LibraryId) -> Self {
        Self { library, ahead: VecDeque::new(), after: None, ended: false }
    }
}

/// How reading one file back ended.
enum Verdict {
    Right,
    Wrong(Damage),
    /// Another file stands there.
    Other(Other),
    /// Not read: the time is up, or someone asked to stop.
    Skipped,
}

/// A file that stands in the place of another.
struct Other {
    opened: Opened,
    size_bytes: u64,
    /// `None`: another length says enough, as long as no file of ours has that.
    sha256: Option<Sha256Digest>,
    /// What was seen, in words.
    seen: String,
}

impl<F: FnMut(Wrong)> Scrub<F> {
    async fn go(&mut self) -> Result<(), Error> {
        while !self.is_over() {
            let group = self.next_group()?;
            if group.is_empty() {
                return Ok(());
            }
            self.read_group(group).await?;
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.stop.is_requested() || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The files that wait longest, within the budget.
    fn next_group(&mut self) -> Result<Vec<DueFile>, Error> {
        let mut group = Vec::new();
        let mut bytes = 0;
        while group.len() < GROUP_FILES && (bytes < GROUP_BYTES || group.len() < READS_AT_ONCE) {
            let Some(line) = self.longest_waiting()? else { break };
            let Some(next) = self.lines[line].ahead.front() else { break };
            let first = self.done.read.files == 0 && group.is_empty();
            let in_all = self.done.read.bytes + bytes + next.size_bytes;
            if !first && self.bytes_max.is_some_and(|max| in_all > max) {
                break;
            }
            bytes += next.size_bytes;
            group.extend(self.lines[line].ahead.pop_front());
        }
        Ok(group)
    }

    /// The library whose next file waits longest.
    fn longest_waiting(&mut self) -> Result<Option<usize>, Error> {
        for line in &mut self.lines {
            while line.ahead.is_empty() && !line.ended {
                let due = self.journal.reader().due(line.library, self.before, line.after, GROUP_FILES)?;
                line.ended = due.is_empty();
                line.after = due.last().map(DueFile::turn).or(line.after);
                line.ahead.extend(due.into_iter().filter(|file| self.seen.call(file.id.0)));
            }
        }
        let waiting = self.lines.iter().enumerate();
        let waiting = waiting.filter_map(|(place, line)| Some((line.ahead.front()?.turn(), place)));
        Ok(waiting.min().map(|(_, place)| place))
    }

    async fn read_group(&mut self, group: Vec<DueFile>) -> Result<(), Error> {
        let (stop, deadline) = (self.stop.clone(), self.deadline);
        let destination = Arc::clone(&self.destination);
        let mut reads = stream::iter(group)
            .map(|file| {
                let (destination, stop) = (Arc::clone(&destination), stop.clone());
                off_thread(move || {
                    let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
                    let read = if late || stop.is_requested() {
                        Ok(Verdict::Skipped)
                    } else {
                        read_back(&destination, &file, &stop)
                    };
                    (file, read)
                })
            })
            .buffer_unordered(READS_AT_ONCE);
        let mut right = Vec::new();
        let (mut wrong, mut others) = (Vec::new(), Vec::new());
        let mut halted = None;
        while let Some((file, read)) = reads.next().await {
            match read.or_else(unreadable) {
                Ok(Verdict::Right) => {
                    self.count(file.size_bytes);
                    right.push((file.id, file.sha256));
                }
                Ok(Verdict::Wrong(damage)) => wrong.push((file, damage)),
                Ok(Verdict::Other(other)) => others.push((file, other)),
                Ok(Verdict::Skipped) => {}
                Err(error) => halted = Some(error),
            }
        }
        drop(reads);
        self.journal.checked(right, now()).await?;
        let (others, date) = (self.learn(others).await?, self.date.clone());
        for (_, other) in others.iter().filter(|(_, other)| other.sha256.is_some()) {
            self.count(other.size_bytes);
        }
        let set_aside = off_thread(move || {
            let damaged = others.into_iter().map(|(file, other)| {
                let damage = set_aside(&destination, &file.path, other, &date);
                (file, damage)
            });
            damaged.collect::<Vec<_>>()
        });
        wrong.extend(set_aside.await);
        for (file, damage) in wrong {
            if damage.kind == DamageKind::Missing {
                self.miss(file, damage);
                continue;
            }
            self.record(file.id, &damage).await?;
            (self.told)(Wrong { asset: file.asset, path: file.path, damage });
        }
        halted.map_or(Ok(()), |error| Err(error.into()))
    }

    fn count(&mut self, size_bytes: u64) {
        self.done.read.files += 1;
        self.done.read.bytes += size_bytes;
    }

    /// Learns which of these are files of ours that somebody moved to the places of others. Gives the rest.
    async fn learn(&mut self, others: Vec<(DueFile, Other)>) -> Result<Vec<(DueFile, Other)>, Error> {
        if others.is_empty() {
            return Ok(others);
        }
        let (reader, account) = (self.journal.reader().clone(), self.account);
        let (destination, stop) = (Arc::clone(&self.destination), self.stop.clone());
        let Recognised { moves, rest } = off_thread(move || {
            let lengths = others.iter().map(|(_, other)| other.size_bytes).collect();
            let known = reader.of_lengths(account, &lengths)?;
            Ok::<_, Error>(recognise(&destination, others, &known, &stop))
        })
        .await?;
        if moves.is_empty() {
            return Ok(rest);
        }
        let (mut places, mut found, mut checked) = (Vec::new(), Vec::new(), Vec::new());
        for (place, owner) in moves {
            self.count(owner.size_bytes);
            found.push(FoundElsewhere { id: owner.id, from: owner.path, to: place.path.clone() });
            checked.push((owner.id, owner.sha256));
            places.push(place);
        }
        let displaced = self.note_moved(found, checked).await?;
        for place in places.into_iter().filter(|place| displaced.contains(&place.id)) {
            let detail = "another file of yours was moved there".to_owned();
            self.miss(place, Damage { kind: DamageKind::Missing, detail, kept_as: None });
        }
        Ok(rest)
    }

    /// Learns where files of ours stand whose bytes were read there. Gives those in whose places they stand.
    async fn note_moved(
        &mut self,
        found: Vec<FoundElsewhere>,
        mut checked: Vec<(FileId, Sha256Digest)>,
    ) -> Result<Vec<FileId>, Error> {
        let told_by = self.destination.file_system().clone();
        let learned = self.journal.relocated(self.account, self.run, now(), found.clone(), told_by).await?;
        checked.retain(|(id, _)| learned.moved.contains(id));
        self.journal.checked(checked, now()).await?;
        self.done.moved += learned.moved.len() as u64;
        for id in &learned.moved {
            self.missing.remove(id);
        }
        let (from, to): (Vec<_>, HashSet<_>) =
            found.into_iter().filter(|of| learned.moved.contains(&of.id)).map(|of| (of.from, of.to)).unzip();
        self.left.extend(from);
        self.left.retain(|path| !to.contains(path));
        Ok(learned.displaced)
    }

    /// Keeps a missing file in mind: it may be met in the place of another.
    fn miss(&mut self, file: DueFile, damage: Damage) {
        if self.missing.len() == MISSING_HELD_MAX {
            self.tell_missing();
        }
        self.missing.insert(file.id, (file, damage));
    }

    /// Looks for missing files in the places that others have left. Who has changed places with one that was
    /// read much earlier stands there, and is met nowhere else: that one is due where it stands now.
    async fn look_where_others_were(&mut self) -> Result<(), Error> {
        if self.missing.is_empty() || self.left.is_empty() {
            return Ok(());
        }
        let (destination, stop) = (Arc::clone(&self.destination), self.stop.clone());
        let left = std::mem::take(&mut self.left);
        let lengths: HashSet<u64> = self.missing.values().map(|(file, _)| file.size_bytes).collect();
        let there = off_thread(move || {
            let mut inspector = Inspector::new(destination);
            let mut bytes = |path: &str| match inspector.look(path) {
                Ok(Found::File { size_bytes, .. }) if lengths.contains(&size_bytes) => {
                    inspector.open(path).and_then(|mut opened| digest(&mut opened, &stop)).ok()
                }
                // What cannot be read is for the next sync to find and say.
                _ => None,
            };
            left.into_iter().filter_map(|path| bytes(&path).map(|found| (path, found))).collect::<Vec<_>>()
        })
        .await;
        let (mut found, mut checked) = (Vec::new(), Vec::new());
        let mut missing: Vec<&DueFile> = self.missing.values().map(|(file, _)| file).collect();
        for (to, sha256) in there {
            let Some(at) = missing.iter().position(|file| file.sha256 == sha256) else { continue };
            let file = missing.swap_remove(at);
            found.push(FoundElsewhere { id: file.id, from: file.path.clone(), to });
            checked.push((file.id, sha256));
        }
        if found.is_empty() {
            return Ok(());
        }
        let bytes: u64 = found.iter().map(|of| self.missing[&of.id].0.size_bytes).sum();
        self.done.read.files += found.len() as u64;
        self.done.read.bytes += bytes;
        // None of ours was met in these places, so nobody is displaced.
        self.note_moved(found, checked).await?;
        Ok(())
    }

    fn tell_missing(&mut self) {
        for (DueFile { asset, path, .. }, damage) in std::mem::take(&mut self.missing).into_values() {
            self.done.read.findings += 1;
            self.done.missing += 1;
            (self.told)(Wrong { asset, path, damage });
        }
    }

    async fn record(&mut self, file: FileId, damage: &Damage) -> Result<(), Error> {
        self.done.read.findings += 1;
        if damage.kind != DamageKind::Unreadable {
            self.done.lost += 1;
        }
        Ok(self.journal.damaged(self.run, file, now(), damage.clone()).await?)
    }
}

/// What files in the places of others are.
#[derive(Default)]
struct Recognised {
    /// In whose place, and which file of ours it is.
    moves: Vec<(DueFile, Expected)>,
    /// Those that are none.
    rest: Vec<(DueFile, Other)>,
}

/// Tells files of ours from others by their bytes: one that does not stand in its own place was moved. A
/// second copy of one that does is no file of ours.
fn recognise(
    destination: &Arc<Destination>,
    others: Vec<(DueFile, Other)>,
    known: &[Expected],
    stop: &Stop,
) -> Recognised {
    let displaced: HashSet<FileId> = others.iter().map(|(file, _)| file.id).collect();
    let (mut recognised, mut met) = (Recognised::default(), HashSet::new());
    for (file, mut other) in others {
        let mut candidates =
            known.iter().filter(|of| of.size_bytes == other.size_bytes && of.id != file.id).peekable();
        if other.sha256.is_none() && candidates.peek().is_some() {
            // What cannot be read is no file of ours: its length says that already.
            other.sha256 = digest(&mut other.opened, stop).ok();
        }
        let owner = candidates.find(|of| {
            Some(of.sha256) == other.sha256
                && !met.contains(&of.id)
                && (displaced.contains(&of.id) || !stands(destination, of, stop))
        });
        match owner {
            Some(owner) => {
                met.insert(owner.id);
                recognised.moves.push((file, owner.clone()));
            }
            // Not looked at to the end: it is due again.
            None if stop.is_requested() => {}
            None => recognised.rest.push((file, other)),
        }
    }
    recognised
}

/// Whether a file stands in its own place. What cannot be read may.
fn stands(destination: &Arc<Destination>, file: &Expected, stop: &Stop) -> bool {
    let mut inspector = Inspector::new(Arc::clone(destination));
    match inspector.look(&file.path) {
        Ok(Found::File { size_bytes, .. }) if size_bytes == file.size_bytes => {
            let opened = inspector.open(&file.path);
            opened.and_then(|mut opened| digest(&mut opened, stop)).map_or(true, |found| found == file.sha256)
        }
        Ok(_) => false,
        Err(_) => true,
    }
}

fn digest(opened: &mut Opened, stop: &Stop) -> Result<Sha256Digest, disk::Error> {
    let mut hasher = Rehasher::default();
    opened.read(|| !stop.is_requested(), |piece| hasher.update(piece))?;
    Ok(hasher.finish())
}

/// Gives a damaged file another name.
fn set_aside(destination: &Arc<Destination>, path: &str, other: Other, date: &str) -> Damage {
    let mut inspector = Inspector::new(Arc::clone(destination));
    let (kind, detail, kept_as) = match inspector.set_aside(path, &other.opened, date) {
        Ok(Some(kept_as)) => (DamageKind::Damaged, other.seen, Some(kept_as)),
        Ok(None) => (DamageKind::Unreadable, "it changed while it was read".to_owned(), None),
        // It stays where it is, then, and ours takes another name.
        Err(error) => (DamageKind::Damaged, format!("{}; {error}", other.seen), None),
    };
    Damage { kind, detail, kept_as }
}

/// Trouble with one file is a damage; trouble with the disk ends the scrub.
fn unreadable(error: disk::Error) -> Result<Verdict, disk::Error> {
    match &error {
        error if error.is_interrupted() => Ok(Verdict::Skipped),
        error if error.ends_the_run() => Err(error.again()),
        error => Ok(Verdict::Wrong(Damage {
            kind: DamageKind::Unreadable,
            detail: error.to_string(),
            kept_as: None,
        })),
    }
}

/// Reads one file back.
fn read_back(destination: &Arc<Destination>, file: &DueFile, stop: &Stop) -> Result<Verdict, disk::Error> {
    let wrong = |kind, detail: String| Ok(Verdict::Wrong(Damage { kind, detail, kept_as: None }));
    let mut inspector = Inspector::new(Arc::clone(destination));
    let (size_bytes, modified_at) = match inspector.look(&file.path)? {
        Found::File { size_bytes, modified_at } => (size_bytes, modified_at),
        Found::NoFile(what) => {
            return wrong(DamageKind::Replaced, format!("{what} stands there, and stays"));
        }
        Found::Missing => {
            // An unmounted disk has no files either, and nothing of it is lost.
            destination.check_present()?;
            return wrong(DamageKind::Missing, "nothing stands there any more".to_owned());
        }
    };
    let mut opened = inspector.open(&file.path)?;
    let has_length = size_bytes == file.size_bytes;
    let sha256 = has_length.then(|| digest(&mut opened, stop)).transpose()?;
    if sha256 == Some(file.sha256) {
        return Ok(Verdict::Right);
    }
    let mut seen = if has_length {
        "its bytes are not those that were verified".to_owned()
    } else {
        format!("it has {size_bytes} bytes, not {}", file.size_bytes)
    };
    // Bytes cannot tell an edit from rot; the date may.
    seen.push_str(&match modified_at.cmp(&file.verified_at) {
        Ordering::Greater => {
            format!(", and it was written to on {}: edited, or damaged", time::date(modified_at))
        }
        // A date has whole seconds here, and in that one it came.
        Ordering::Equal => {
            ", and its date is the second in which it was verified: that does not say whether anybody wrote to it"
                .to_owned()
        }
        Ordering::Less => ", and its date does not say that anybody wrote to it".to_owned(),
    });
    Ok(Verdict::Other(Other { opened, size_bytes, sha256, seen }))
}
