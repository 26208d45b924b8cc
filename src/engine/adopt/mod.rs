//! Adopt: a tree that another tool downloaded becomes ours, by content.
//!
//! Every local file whose length is that of a row is read once, and Apple's own signature of its bytes
//! says which row it is. In the destination nothing is moved, renamed or written: the row takes over
//! the path where the file stands. A file from elsewhere is linked or copied into place, if that is
//! asked for.
//!
//! *Publish before verified* holds here too: file and folders are synced, then the row is told. What a
//! kill leaves is a tree as it was and some rows adopted; the next run goes on, and reads no file
//! twice, because the journal keeps the digests.

mod examine;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::{StreamExt as _, stream};

use crate::disk::standing::Bring;
use crate::disk::walk::{self, Sight, Whereabouts};
use crate::disk::{self, Destination};
use crate::engine::error::Error;
use crate::engine::monitor::{Monitor, Phase, Progress};
use crate::engine::run::{now, off_thread};
use crate::engine::stop::Stop;
use crate::journal::{Adoption, Journal, Tally, Verb};
use crate::model::adoption::{self, Candidate, Finding, LocalFile, Outcome};
use crate::model::ids::{AccountId, FileId, RunId};
use examine::{Examined, Examiner, Group};

/// Files read at the same time, at most. A disk that turns is slower with more; for one that does not,
/// hashing is the limit, and four threads outrun most.
const READERS_MAX: usize = 4;
/// Groups whose findings share one operation of the journal.
const BATCH: usize = 64;
/// Lines for a person; the rest stands in the journal.
const LINES_MAX: usize = 10_000;

/// What `adopt` works with. The caller holds the run lock.
pub struct Adopting {
    /// The journal, with the account's libraries listed.
    pub journal: Arc<Journal>,
    /// Where the account's files go.
    pub destination: Destination,
    /// Who watches.
    pub monitor: Arc<dyn Monitor>,
    /// Who may ask to stop.
    pub stop: Stop,
}

/// What a person chose.
#[derive(Clone, Debug, Default)]
pub struct HowToAdopt {
    /// The tree; `None` for the destination itself.
    pub directory: Option<PathBuf>,
    /// How files of a tree outside of the destination come into it.
    pub bring: Option<Bring>,
    /// Adopt nothing, only say what would be.
    pub dry_run: bool,
}

/// What became of a tree.
#[derive(Clone, Debug, Default)]
pub struct Adopted {
    /// Files and bytes by outcome.
    pub outcomes: HashMap<&'static str, Tally>,
    /// What a sync would still fetch; in a dry run, once the tree were adopted.
    pub to_fetch: Tally,
    /// Files that a person may want to look at.
    pub lines: Vec<Adoption>,
    /// Someone asked to stop before it was done.
    pub interrupted: bool,
}

impl Adopted {
    /// Files and bytes of one outcome.
    #[must_use]
    pub fn of(&self, outcome: Outcome) -> Tally {
        self.outcomes.get(outcome.as_str()).copied().unwrap_or_default()
    }
}

/// Looks through a tree, and makes ours what is ours.
///
/// # Errors
/// [`Error::OutsideDestination`] where nobody said how files are to come into the destination; else what
/// ends the run early. What is adopted stays adopted.
pub async fn adopt(
    tools: Adopting,
    account: AccountId,
    username: &str,
    how: HowToAdopt,
) -> Result<Adopted, Error> {
    let Adopting { journal, destination, monitor, stop } = tools;
    let whereabouts = match how.directory.clone() {
        None => Whereabouts::Within(String::new()),
        Some(folder) => {
            let root = destination.directory().to_owned();
            off_thread(move || walk::locate(&root, &folder)).await?
        }
    };
    let bring = match (&whereabouts, how.bring) {
        (Whereabouts::Within(_), _) => None,
        (Whereabouts::Outside(..), Some(bring)) => Some(bring),
        (Whereabouts::Outside(folder, destination), None) => {
            let (folder, destination) = (folder.clone(), destination.clone());
            return Err(Error::OutsideDestination { folder, destination });
        }
    };
    let run = journal.begin_run_for(account, Verb::Adopt, now()).await?;
    let mut stage =
        Stage { journal, account, run, monitor, stop, taken: HashSet::new(), report: Adopted::default() };
    let done = stage.walk_and_examine(destination, &whereabouts, bring, how.dry_run).await;
    stage.finish(done, username).await
}

/// One run of `adopt`.
struct Stage {
    journal: Arc<Journal>,
    account: AccountId,
    run: RunId,
    monitor: Arc<dyn Monitor>,
    stop: Stop,
    /// Rows that are adopted, or would be.
    taken: HashSet<FileId>,
    report: Adopted,
}

impl Stage {
    async fn walk_and_examine(
        &mut self,
        destination: Destination,
        whereabouts: &Whereabouts,
        bring: Option<Bring>,
        dry_run: bool,
    ) -> Result<(), Error> {
        self.monitor.phase(Phase::Adopting);
        self.release_dead().await?;
        let (mut locals, mut closed) = self.walk(destination.directory(), whereabouts).await?;
        if bring.is_none() {
            let root = destination.real_directory()?.to_string_lossy().into_owned();
            let (reader, account) = (self.journal.reader().clone(), self.account);
            let own = off_thread(move || reader.own_paths(account, &root)).await?;
            let told_by = destination.file_system();
            let own: HashSet<_> = own.iter().map(|path| told_by.fold(path)).collect();
            locals.retain(|local| !own.contains(&told_by.fold(&local.path)));
            closed.retain(|finding| !own.contains(&told_by.fold(&finding.local.path)));
        }
        let (reader, account) = (self.journal.reader().clone(), self.account);
        let sizes: HashSet<u64> = locals.iter().map(|local| local.size_bytes).collect();
        let (candidates, known) = off_thread(move || {
            Ok::<_, crate::journal::Error>((reader.of_sizes(account, &sizes)?, reader.known_locals(account)?))
        })
        .await?;
        self.record(closed.into_iter().map(|finding| Examined { finding, needless: None }).collect(), None)
            .await?;
        let mut progress =
            Progress { assets_total: locals.len() as u64, enumerated: true, ..Progress::default() };
        let groups = groups(locals, candidates);
        let to_read = |group: &&Group| !group.candidates.is_empty();
        let bytes = |group: &Group| group.locals.iter().map(|local| local.size_bytes).sum::<u64>();
        progress.bytes_total = groups.iter().filter(to_read).map(bytes).sum();
        self.monitor.progress(progress);

        let stop = self.stop.clone();
        let durable = disk::standing::Durable::default();
        let examiner = Arc::new(Examiner { destination, known, durable, stop, bring, dry_run });
        let readers = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, READERS_MAX);
        let mut batches = stream::iter(groups)
            .map(|group| {
                let (examiner, size) = (Arc::clone(&examiner), bytes(&group));
                let (files, size) = (group.locals.len() as u64, if to_read(&&group) { size } else { 0 });
                off_thread(move || examiner.examine(group).map(|examined| (examined, files, size)))
            })
            .buffer_unordered(readers)
            .ready_chunks(BATCH);
        let mut unknown = Vec::new();
        while let Some(batch) = batches.next().await {
            let mut all = Vec::new();
            let mut failed = None;
            for examined in batch {
                match examined {
                    Ok((examined, files, bytes)) => {
                        progress.assets_done += files;
                        progress.bytes_done += bytes;
                        all.extend(examined);
                    }
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            // What is nothing of ours is told last: it may be an altered file of a row that stays open.
            let (rest, ours): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|one| is_unexplained(&one.finding));
            unknown.extend(rest.into_iter().map(|one| one.finding));
            self.record(ours, Some(&examiner)).await?;
            self.monitor.progress(progress);
            if let Some(error) = failed {
                return if self.stop.is_requested() { Ok(()) } else { Err(error.into()) };
            }
            if self.stop.is_requested() {
                return Ok(());
            }
        }
        let unknown = self.see_through_dates(&examiner, unknown).await?;
        self.explain_unknown(unknown).await?;
        let prefix = match whereabouts {
            Whereabouts::Within(below) if below.is_empty() => String::new(),
            Whereabouts::Within(below) => format!("{below}/"),
            Whereabouts::Outside(folder, _) => format!("{}/", folder.display()),
        };
        Ok(self.journal.forget_gone(self.account, self.run, prefix).await?)
    }

    /// Claims of dead runs are let go, their rows as they are: each is looked at when it is next wanted.
    async fn release_dead(&self) -> Result<(), Error> {
        loop {
            let dead = self.journal.take_over_dead(self.run, BATCH).await?;
            if dead.is_empty() {
                return Ok(());
            }
            for claim in dead {
                self.journal.release(claim).await?;
            }
        }
    }

    /// Lists the tree: plain files, and findings of what cannot be looked into. Paths of files in the
    /// destination are relative to it, others are absolute.
    async fn walk(
        &self,
        root: &Path,
        whereabouts: &Whereabouts,
    ) -> Result<(Vec<LocalFile>, Vec<Finding>), Error> {
        let (start, head, without) = match whereabouts {
            Whereabouts::Within(below) if below.is_empty() => (root.to_owned(), String::new(), Vec::new()),
            Whereabouts::Within(below) => (root.join(below), format!("{below}/"), Vec::new()),
            Whereabouts::Outside(folder, destination) => {
                (folder.clone(), format!("{}/", folder.display()), vec![destination.clone()])
            }
        };
        let stop = self.stop.clone();
        let sights = off_thread(move || walk::walk(&start, &without, || !stop.is_requested())).await;
        let sights = match sights {
            Err(_) if self.stop.is_requested() => return Ok((Vec::new(), Vec::new())),
            sights => sights?,
        };
        let (mut locals, mut closed) = (Vec::new(), Vec::new());
        for sight in sights {
            match sight {
                Sight::File(mut local) => {
                    local.path.insert_str(0, &head);
                    locals.push(local);
                }
                Sight::Closed(mut local, why) => {
                    local.path.insert_str(0, &head);
                    closed.push(Finding::new(local, Outcome::Unreadable).because(why));
                }
            }
        }
        Ok((locals, closed))
    }

    /// Tells the journal, and counts what really became of each file.
    async fn record(
        &mut self,
        examined: Vec<Examined>,
        examiner: Option<&Arc<Examiner>>,
    ) -> Result<(), Error> {
        let (mut findings, mut needless) = (Vec::new(), HashMap::new());
        for one in examined {
            if let (Some(file), Some(place)) = (one.finding.file, one.needless) {
                needless.insert(file, place);
            }
            findings.push(one.finding);
        }
        if findings.is_empty() {
            return Ok(());
        }
        let recorded = self.journal.record_findings(self.account, self.run, now(), findings).await?;
        let mut parts = Vec::new();
        for finding in &recorded {
            let tally = self.report.outcomes.entry(finding.outcome.as_str()).or_default();
            tally.files += 1;
            tally.bytes += finding.local.size_bytes;
            if let (Outcome::Adopted | Outcome::Adoptable, Some(file)) = (finding.outcome, finding.file) {
                self.taken.insert(file);
                parts.extend(needless.remove(&file));
            }
        }
        if let Some(examiner) = examiner.filter(|_| !parts.is_empty()) {
            let examiner = Arc::clone(examiner);
            // A part file that stays is an untidiness, and no more.
            off_thread(move || {
                for place in parts {
                    let _ = examiner.destination.folder(&place).and_then(|folder| folder.remove_part());
                }
            })
            .await;
        }
        Ok(())
    }

    /// Takes out of `unknown`, and adopts, the JPEGs that got their date from us before the journal was lost.
    async fn see_through_dates(
        &mut self,
        examiner: &Arc<Examiner>,
        unknown: Vec<Finding>,
    ) -> Result<Vec<Finding>, Error> {
        let by = Arc::clone(examiner);
        let (dated, mut rest) = off_thread(move || by.dated(unknown)).await;
        if dated.is_empty() {
            return Ok(rest);
        }
        let (reader, account) = (self.journal.reader().clone(), self.account);
        let sizes = dated.iter().flat_map(|(_, lengths)| lengths.iter().copied()).collect();
        let found = off_thread(move || reader.of_sizes(account, &sizes)).await?;
        let mut candidates: HashMap<u64, Vec<Candidate>> = HashMap::new();
        for candidate in found.into_iter().filter(|of| !self.taken.contains(&of.file)) {
            candidates.entry(candidate.size_bytes).or_default().push(candidate);
        }
        let dated: Vec<Finding> = dated.into_iter().map(|(finding, _)| finding).collect();
        for batch in dated.chunks(BATCH).map(<[Finding]>::to_vec) {
            if self.stop.is_requested() {
                break;
            }
            let by = Arc::clone(examiner);
            let (seen, left) = off_thread(move || {
                let seen = batch.into_iter().map(|finding| by.see_through(finding, &mut candidates));
                (seen.collect::<Result<Vec<Examined>, _>>(), candidates)
            })
            .await;
            candidates = left;
            let (unknown, ours): (Vec<_>, Vec<_>) =
                seen?.into_iter().partition(|one| is_unexplained(&one.finding));
            rest.extend(unknown.into_iter().map(|one| one.finding));
            self.record(ours, Some(examiner)).await?;
        }
        Ok(rest)
    }

    /// Tells apart what a tool altered from what nobody knows.
    async fn explain_unknown(&mut self, mut unknown: Vec<Finding>) -> Result<(), Error> {
        let names =
            unknown.iter().flat_map(|finding| adoption::original_names(&finding.local.path)).collect();
        let (reader, account) = (self.journal.reader().clone(), self.account);
        let open: Vec<Candidate> = off_thread(move || reader.open_of_names(account, &names)).await?;
        let mut by_name: HashMap<String, Vec<&Candidate>> = HashMap::new();
        for candidate in open.iter().filter(|candidate| !self.taken.contains(&candidate.file)) {
            by_name.entry(candidate.filename.to_lowercase()).or_default().push(candidate);
        }
        for finding in &mut unknown {
            let names = adoption::original_names(&finding.local.path);
            let mut like = names.iter().flat_map(|name| by_name.get(name).into_iter().flatten());
            if let Some(like) = like.find(|candidate| is_altered(&finding.local, candidate)) {
                (finding.outcome, finding.file) = (Outcome::Altered, Some(like.file));
            }
        }
        for batch in unknown.chunks(1024) {
            let batch = batch.iter().cloned().map(|finding| Examined { finding, needless: None }).collect();
            self.record(batch, None).await?;
        }
        Ok(())
    }

    /// Closes the run's row, whatever came of it.
    async fn finish(self, done: Result<(), Error>, username: &str) -> Result<Adopted, Error> {
        let Self { journal, run, stop, taken, mut report, .. } = self;
        report.interrupted = stop.is_requested();
        let adopted = report.of(Outcome::Adopted);
        let outcome = match (&done, report.interrupted) {
            (Err(_), _) => "halted",
            (Ok(()), true) => "interrupted",
            (Ok(()), false) => "complete",
        };
        let tally = Tally { files: adopted.files, bytes: 0 };
        journal.end_run(run, now(), outcome, tally).await?;
        done?;
        let (reader, username) = (journal.reader().clone(), username.to_owned());
        let (summary, lines) = off_thread(move || {
            Ok::<_, crate::journal::Error>((
                reader.summary(Some(&username))?,
                reader.adoptions(run, LINES_MAX)?,
            ))
        })
        .await?;
        report.lines = lines;
        report.to_fetch = summary.open();
        // In a dry run the rows are open still.
        let adoptable = report.of(Outcome::Adoptable);
        if adoptable.files > 0 {
            report.to_fetch.files = report.to_fetch.files.saturating_sub(taken.len() as u64);
            report.to_fetch.bytes = report.to_fetch.bytes.saturating_sub(adoptable.bytes);
        }
        Ok(report)
    }
}

fn is_unexplained(finding: &Finding) -> bool {
    finding.outcome == Outcome::Unknown && finding.detail.is_none()
}

/// Whether a local file has the name, kind and date of a file that is to come. Its bytes are others.
fn is_altered(local: &LocalFile, candidate: &Candidate) -> bool {
    let extension = |path: &str| path.rsplit_once('.').map(|(_, e)| e.to_lowercase());
    extension(&local.path) == extension(&candidate.path)
        && candidate.captured.is_some_and(|captured| adoption::same_date(local, captured))
}

/// Puts together what has the same length.
fn groups(locals: Vec<LocalFile>, candidates: Vec<Candidate>) -> Vec<Group> {
    let mut groups: BTreeMap<u64, Group> = BTreeMap::new();
    for local in locals {
        let group = || Group { locals: Vec::new(), candidates: Vec::new() };
        groups.entry(local.size_bytes).or_insert_with(group).locals.push(local);
    }
    for candidate in candidates {
        if let Some(group) = groups.get_mut(&candidate.size_bytes) {
            group.candidates.push(candidate);
        }
    }
    groups.into_values().collect()
}
