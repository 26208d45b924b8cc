//! Scrub: verified files are read back and compared with the digest that the journal holds.
//!
//! The oldest check comes first. What is right gets its time in groups, so a scrub that is stopped or
//! killed goes on where it was, and reads one group twice at most. A damaged file is kept under
//! another name and its row is *lost*: the next sync fetches it, while Apple has that version. A file
//! that is not there is named, and the next sync looks for it everywhere: what becomes of files that
//! were moved or deleted here is decided in one place, the sweep. A file that cannot be read is named
//! and left verified: a bad cable is no loss.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};

use crate::disk::{self, Destination, Found, Inspector};
use crate::engine::error::Error;
use crate::engine::run::{now, off_thread};
use crate::engine::stop::Stop;
use crate::journal::{Damage, DamageKind, DueFile, Journal, Reading, Turn, Verb};
use crate::model::checksum::Rehasher;
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
        journal,
        run,
        stop,
        told,
    };
    let ended = scrub.go().await;
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
    /// Read to its end, and its bytes are others.
    Differs(Damage),
    /// Not read: the time is up, or someone asked to stop.
    Skipped,
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
        let (destination, date) = (Arc::clone(&self.destination), self.date.clone());
        let mut reads = stream::iter(group)
            .map(|file| {
                let (destination, date, stop) = (Arc::clone(&destination), date.clone(), stop.clone());
                off_thread(move || {
                    let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
                    let read = if late || stop.is_requested() {
                        Ok(Verdict::Skipped)
                    } else {
                        read_back(&destination, &file, &stop, &date)
                    };
                    (file, read)
                })
            })
            .buffer_unordered(READS_AT_ONCE);
        let mut right = Vec::new();
        let mut wrong = Vec::new();
        let mut halted = None;
        while let Some((file, read)) = reads.next().await {
            match read.or_else(unreadable) {
                Ok(Verdict::Right) => {
                    self.count(&file);
                    right.push((file.id, file.sha256));
                }
                Ok(Verdict::Differs(damage)) => {
                    self.count(&file);
                    wrong.push((file, damage));
                }
                Ok(Verdict::Wrong(damage)) => wrong.push((file, damage)),
                Ok(Verdict::Skipped) => {}
                Err(error) => halted = Some(error),
            }
        }
        drop(reads);
        self.journal.checked(right, now()).await?;
        for (file, damage) in wrong {
            self.record(file.id, &damage).await?;
            (self.told)(Wrong { asset: file.asset, path: file.path, damage });
        }
        halted.map_or(Ok(()), |error| Err(error.into()))
    }

    fn count(&mut self, file: &DueFile) {
        self.done.read.files += 1;
        self.done.read.bytes += file.size_bytes;
    }

    async fn record(&mut self, file: FileId, damage: &Damage) -> Result<(), Error> {
        self.done.read.findings += 1;
        match damage.kind {
            DamageKind::Missing => {
                self.done.missing += 1;
                return Ok(());
            }
            DamageKind::Unreadable => {}
            DamageKind::Damaged | DamageKind::Replaced => self.done.lost += 1,
        }
        Ok(self.journal.damaged(self.run, file, now(), damage.clone()).await?)
    }
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

/// Reads one file back, and sets it aside if it is damaged.
fn read_back(
    destination: &Arc<Destination>,
    file: &DueFile,
    stop: &Stop,
    date: &str,
) -> Result<Verdict, disk::Error> {
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
    let is_read = size_bytes == file.size_bytes;
    let mut seen = if is_read {
        let mut hasher = Rehasher::default();
        opened.read(|| !stop.is_requested(), |piece| hasher.update(piece))?;
        if hasher.finish() == file.sha256 {
            return Ok(Verdict::Right);
        }
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
    let (kind, detail, kept_as) = match inspector.set_aside(&file.path, &opened, date) {
        Ok(Some(kept_as)) => (DamageKind::Damaged, seen, Some(kept_as)),
        Ok(None) => (DamageKind::Unreadable, "it changed while it was read".to_owned(), None),
        // It stays where it is, then, and ours takes another name.
        Err(error) => (DamageKind::Damaged, format!("{seen}; {error}"), None),
    };
    let damage = Damage { kind, detail, kept_as };
    Ok(if is_read { Verdict::Differs(damage) } else { Verdict::Wrong(damage) })
}
