//! The sweep: do verified files still stand where they did?
//!
//! Nothing hurries: the journal decides what is fetched, so a file that was moved or deleted here
//! does not come back meanwhile. Each run looks for a moment and goes on where the last
//! one stopped; once a week a run looks to the end. So a small library is looked through by every
//! run, and a large one costs every run the same. Who asks for a look gets one at every file, from the first.
//!
//! A file that is gone is first looked for by its content, wherever it may have been moved, to the place of
//! another file of ours too, if the lengths tell: one of the same length is for a scrub to see. What is
//! not found is released, or wanted again, as the person chose. Where a file of another length stands,
//! ours is looked for too; not found, the row stays: `audit` and `verify` name it, and nobody knows
//! whether it was moved or changed. What lies behind a folder that cannot be entered, such as a link to elsewhere,
//! is not looked at, and that is said. Last the trash is looked through, which a journal that was restored
//! from before may not know. When many are missed at once nothing
//! is done: a destination that is mounted by half must not release a library.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::disk::sweep::Presence;
use crate::disk::undated::{DatedJpeg, Original};
use crate::disk::walk::{Sight, walk};
use crate::engine::Settings;
use crate::engine::error::Error;
use crate::engine::monitor::Notice;
use crate::engine::policy::brake;
use crate::engine::run::{Run, now, off_thread};
use crate::engine::trash;
use crate::journal::{Expected, FoundElsewhere, Missing, Sweep};
use crate::model::adoption::LocalFile;
use crate::model::checksum::Sha256Digest;
use crate::model::ids::FileId;

/// How long a run looks, if no round is due: at some thousand files. A run that has nothing to do is to cost
/// next to nothing, however large the library.
const BUDGET: Duration = Duration::from_millis(20);
/// How long a round may take before a run finishes it, whatever it costs.
const ROUND_S_MAX: i64 = 7 * 24 * 3600;
/// How long it is good enough to know that a round ended. A day: a commit for each run is too much.
const REMEMBERED_S: i64 = 24 * 3600;
/// Files looked at between two looks at the time: two milliseconds, ten on a disk that sleeps.
const BATCH: usize = 500;
/// How JPEGs are called: only such files are looked into for a date of our making.
const JPEG_EXTENSIONS: [&str; 2] = ["jpg", "jpeg"];

/// Looks whether verified files still stand, and does what the person chose with those that do not.
pub(super) async fn sweep(run: &Run, settings: &Settings) -> Result<(), Error> {
    let (reader, account) = (run.journal.reader().clone(), run.account);
    let began = Instant::now();
    let mut state = off_thread(move || reader.sweep(account)).await?;
    let is_young = |at: i64| (0..REMEMBERED_S).contains(&now().saturating_sub(at));
    let fresh = state.after == FileId(0) && state.missing == 0 && state.ended_at.is_some_and(is_young);
    let due = state.ended_at.is_none_or(|at| now().saturating_sub(at) > ROUND_S_MAX || at > now());
    let whole = due || settings.policy.check_files;
    if settings.policy.check_files {
        // All of them, also those that stand before the mark of a round under way.
        (state.after, state.missing) = (FileId(0), 0);
    }
    let mut gone = Vec::new();
    let mut misfits = HashSet::new();
    let mut returned = Vec::new();
    let mut closed: BTreeMap<Arc<str>, u64> = BTreeMap::new();
    let round_ended = loop {
        let (files, presence) = look(run, state.after).await?;
        let Some(last) = files.last() else { break true };
        state.after = last.id;
        let was_last = files.len() < BATCH;
        for (file, presence) in files.into_iter().zip(presence) {
            match presence {
                Presence::Absent if !file.released => gone.push(file),
                Presence::File(size_bytes) if file.released && size_bytes == file.size_bytes => {
                    returned.push(file);
                }
                Presence::File(size_bytes) if !file.released && size_bytes != file.size_bytes => {
                    misfits.insert(file.id);
                    gone.push(file);
                }
                Presence::Closed(why) if !file.released => *closed.entry(why).or_default() += 1,
                _ => {}
            }
        }
        if was_last {
            break true;
        }
        if run.stop.is_requested() || (!whole && began.elapsed() > BUDGET) {
            break false;
        }
    };
    for (why, files) in closed {
        run.board.notice(Notice::Closed { files, why: why.to_string() });
    }
    let dated = dated_since(run, &gone, &misfits).await?;
    gone.retain(|file| !dated.contains(&file.id));
    misfits.retain(|id| !dated.contains(id));
    let gone_none = gone.len() == misfits.len();
    take_back(run, returned).await?;
    if !gone.is_empty() {
        let mut missing = find_elsewhere(run, gone, &mut misfits).await?;
        missing.retain(|id| !misfits.contains(id));
        if run.stop.is_requested() {
            return Ok(());
        }
        state.missing += missing.len() as u64;
        check_brake(run, settings, state.missing, missing.len() as u64).await?;
        act(run, &missing, settings.policy.missing_files).await?;
    }
    // Where every run looks at everything, it need not say so each time.
    if round_ended && fresh && gone_none {
        return Ok(());
    }
    if round_ended {
        state = Sweep { after: FileId(0), missing: 0, ended_at: Some(now()) };
    }
    Ok(run.journal.swept(run.account, state).await?)
}

/// Files of another length that are ours all the same: they got their date from us, and the journal was
/// put back to a day before. It is told.
async fn dated_since(
    run: &Run,
    gone: &[Expected],
    misfits: &HashSet<FileId>,
) -> Result<HashSet<FileId>, Error> {
    let mut dated = HashSet::new();
    for Expected { id, path, size_bytes, sha256, .. } in gone.iter().filter(|of| misfits.contains(&of.id)) {
        if run.stop.is_requested() {
            break;
        }
        let (path, size_bytes, sha256) = (path.clone(), *size_bytes, *sha256);
        let seen = run.on_disk(move |destination| {
            let jpeg = destination.dated_jpeg(&path)?;
            Ok(jpeg
                .map(|jpeg| jpeg.original(size_bytes, |of| of.digests.sha256 == sha256))
                .transpose()?
                .flatten())
        });
        // What cannot be read is for others to find and say.
        let Ok(Some(original)) = seen.await else { continue };
        know_date(run, *id, &original).await?;
        dated.insert(*id);
    }
    Ok(dated)
}

/// Tells a row that its file got a date.
async fn know_date(run: &Run, file: FileId, original: &Original) -> Result<(), Error> {
    run.journal.intend_date(file, original.dated.sha256, original.dated_bytes).await?;
    Ok(run.journal.date_written(Some(run.id), now(), file).await?)
}

/// The next files, and what stands in their places.
async fn look(run: &Run, after: FileId) -> Result<(Vec<Expected>, Vec<Presence>), Error> {
    let (reader, account) = (run.journal.reader().clone(), run.account);
    let files = off_thread(move || reader.expected(account, after, BATCH)).await?;
    let looked = run.on_disk(move |destination| {
        let presence = destination.presence(files.iter().map(|file| file.path.as_str()));
        Ok((files, presence))
    });
    Ok(looked.await?)
}

/// Files that were deleted here, or are in the trash, and stand in their places again are ours again, if
/// they are what they were.
async fn take_back(run: &Run, returned: Vec<Expected>) -> Result<(), Error> {
    let (from_trash, returned): (Vec<_>, Vec<_>) =
        returned.into_iter().partition(|file| file.trash_path.is_some());
    trash::taken_out(run, &from_trash.iter().map(|file| file.id).collect()).await?;
    let mut same = Vec::new();
    for file in returned {
        let local = LocalFile { path: file.path, size_bytes: file.size_bytes, modified_ns: 0, inode: 0 };
        if digest(run, local).await == Some(file.sha256) {
            same.push(file.id);
        }
    }
    if same.is_empty() { Ok(()) } else { Ok(run.journal.returned(run.id, now(), same).await?) }
}

/// Looks for moved files by length first and then by digest, and learns where they are. Returns
/// those that are nowhere. In whose place another was found is no misfit: its file is gone.
async fn find_elsewhere(
    run: &Run,
    gone: Vec<Expected>,
    misfits: &mut HashSet<FileId>,
) -> Result<Vec<FileId>, Error> {
    let mut by_size: HashMap<u64, Vec<Expected>> = HashMap::new();
    for file in gone {
        by_size.entry(file.size_bytes).or_default().push(file);
    }
    let locals = strangers(run, &by_size).await?;
    let mut relocated = recognised(run, &mut by_size, locals).await;
    let dated = recognised_undated(run, &mut by_size).await?;
    relocated.extend(dated.iter().map(|(found, _)| found.clone()));
    let locals = forgotten_in_trash(run, &by_size).await?;
    let trashed = recognised(run, &mut by_size, locals).await;
    if run.stop.is_requested() {
        return Ok(Vec::new());
    }
    if !relocated.is_empty() {
        let told_by = run.destination.file_system().clone();
        let learned = run.journal.relocated(run.account, run.id, now(), relocated, told_by).await?;
        misfits.retain(|id| !learned.displaced.contains(id));
        // A kill between leaves a file of another length in its place, which `dated_since` sees through.
        for (found, original) in dated.into_iter().filter(|(found, _)| learned.moved.contains(&found.id)) {
            know_date(run, found.id, &original).await?;
        }
        run.board.notice(Notice::Relocated { files: learned.moved.len() as u64 });
    }
    trash::recognise(run, trashed.into_iter().map(|file| (file.id, file.to)).collect()).await?;
    Ok(by_size.into_values().flatten().map(|file| file.id).collect())
}

/// Takes those out of `by_size` whose bytes one of `locals` has.
async fn recognised(
    run: &Run,
    by_size: &mut HashMap<u64, Vec<Expected>>,
    locals: Vec<LocalFile>,
) -> Vec<FoundElsewhere> {
    let mut recognised = Vec::new();
    for local in locals {
        let Some(wanted) = by_size.get_mut(&local.size_bytes).filter(|wanted| !wanted.is_empty()) else {
            continue;
        };
        if run.stop.is_requested() {
            break;
        }
        let to = local.path.clone();
        let Some(found) = digest(run, local).await else { continue };
        if let Some(at) = wanted.iter().position(|file| file.sha256 == found) {
            let Expected { id, path, .. } = wanted.swap_remove(at);
            recognised.push(FoundElsewhere { id, from: path, to });
        }
    }
    recognised
}

/// Takes those out of `by_size` that a JPEG was before it got its date from us: the journal was put back to a
/// day before, and the file was moved.
async fn recognised_undated(
    run: &Run,
    by_size: &mut HashMap<u64, Vec<Expected>>,
) -> Result<Vec<(FoundElsewhere, Original)>, Error> {
    let is_jpeg = |path: &str| {
        path.rsplit_once('.')
            .is_some_and(|(_, of)| JPEG_EXTENSIONS.iter().any(|e| of.eq_ignore_ascii_case(e)))
    };
    let mut recognised = Vec::new();
    if !by_size.values().flatten().any(|file| is_jpeg(&file.path)) {
        return Ok(recognised);
    }
    for local in unknown(run, |file| is_jpeg(&file.path)).await? {
        if run.stop.is_requested() {
            break;
        }
        let sizes: HashSet<u64> =
            by_size.iter().filter(|(_, wanted)| !wanted.is_empty()).map(|(size, _)| *size).collect();
        let at = local.path.clone();
        let read = run.on_disk(move |destination| {
            let jpeg = destination.dated_jpeg(&at)?;
            let jpeg = jpeg.filter(|jpeg| jpeg.lengths().iter().any(|length| sizes.contains(length)));
            jpeg.map_or_else(|| Ok(Vec::new()), DatedJpeg::originals)
        });
        // What cannot be read is for others to find and say.
        for original in read.await.unwrap_or_default() {
            let Some(wanted) = by_size.get_mut(&original.size_bytes) else { continue };
            if let Some(at) = wanted.iter().position(|file| file.sha256 == original.digests.sha256) {
                let Expected { id, path, .. } = wanted.swap_remove(at);
                recognised.push((FoundElsewhere { id, from: path, to: local.path }, original));
                break;
            }
        }
    }
    Ok(recognised)
}

/// Files of the trash that have one of these lengths and that no row names.
async fn forgotten_in_trash(run: &Run, sizes: &HashMap<u64, Vec<Expected>>) -> Result<Vec<LocalFile>, Error> {
    if sizes.values().all(Vec::is_empty) {
        return Ok(Vec::new());
    }
    let stop = run.stop.clone();
    let walked = run.on_disk(move |of| of.in_trash(|| !stop.is_requested())).await;
    let mut files = match walked {
        Err(_) if run.stop.is_requested() => return Ok(Vec::new()),
        walked => walked?,
    };
    let (reader, account) = (run.journal.reader().clone(), run.account);
    let told_by = run.destination.file_system();
    let known: HashSet<String> = off_thread(move || reader.trash(account))
        .await?
        .into_iter()
        .filter_map(|file| Some(told_by.fold(&file.trash_path?).into_owned()))
        .collect();
    files.retain(|file| sizes.contains_key(&file.size_bytes) && !known.contains(&*told_by.fold(&file.path)));
    Ok(files)
}

/// Files of the destination that have one of these lengths where the journal knows of none that has it.
async fn strangers(run: &Run, sizes: &HashMap<u64, Vec<Expected>>) -> Result<Vec<LocalFile>, Error> {
    unknown(run, |file| sizes.contains_key(&file.size_bytes)).await
}

/// Files of the destination that are wanted, where the journal knows of none that has their length.
async fn unknown(run: &Run, is_wanted: impl Fn(&LocalFile) -> bool) -> Result<Vec<LocalFile>, Error> {
    let stop = run.stop.clone();
    let walked = run
        .on_disk(move |of| Ok((of.real_directory()?, walk(of.directory(), &[], || !stop.is_requested())?)));
    let (root, sights) = match walked.await {
        Err(_) if run.stop.is_requested() => return Ok(Vec::new()),
        walked => walked?,
    };
    let mut files: HashMap<String, LocalFile> = HashMap::new();
    for sight in sights {
        if let Sight::File(file) = sight
            && is_wanted(&file)
        {
            files.insert(file.path.clone(), file);
        }
    }
    let (reader, account) = (run.journal.reader().clone(), run.account);
    // A link of an album is the photo and not its new place: it goes when the album does.
    let of = reader.clone();
    let own = off_thread(move || of.own_paths(account, &root.to_string_lossy())).await?;
    let told_by = run.destination.file_system().clone();
    let own: HashSet<_> = own.iter().map(|path| told_by.fold(path)).collect();
    let theirs = files.values().filter(|file| !own.contains(&told_by.fold(&file.path)));
    let mut paths: Vec<(String, u64)> = theirs.map(|file| (file.path.clone(), file.size_bytes)).collect();
    // The same finding whatever order the walk had.
    paths.sort();
    let unknown = off_thread(move || reader.unknown_paths(account, paths, &told_by)).await?;
    Ok(unknown.into_iter().filter_map(|path| files.remove(&path)).collect())
}

/// The digest of a file in the destination; `None` if it cannot be read.
async fn digest(run: &Run, local: LocalFile) -> Option<Sha256Digest> {
    let stop = run.stop.clone();
    let read =
        run.on_disk(move |destination| destination.standing(&local.path)?.sha256(|| !stop.is_requested()));
    read.await.ok()
}

/// Stops where more files are missed than a person deletes in a week without a word.
async fn check_brake(run: &Run, settings: &Settings, missed: u64, now_missing: u64) -> Result<(), Error> {
    if now_missing == 0 {
        return Ok(());
    }
    let (reader, username) = (run.journal.reader().clone(), settings.username.clone());
    let verified = off_thread(move || reader.summary(Some(&username))).await?.verified.files;
    let most = brake(settings.policy.allow_missing, verified);
    if missed > most {
        return Err(Error::ManyMissing { files: missed, of: verified, most });
    }
    Ok(())
}

async fn act(run: &Run, missing: &[FileId], policy: Missing) -> Result<(), Error> {
    if missing.is_empty() {
        return Ok(());
    }
    run.journal.missing(run.id, now(), missing.to_vec(), policy).await?;
    let files = missing.len() as u64;
    run.board.missing(files, Notice::Missing { files, refetched: policy == Missing::Refetched });
    Ok(())
}
