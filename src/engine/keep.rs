//! Keeping the journal: snapshots of it, and what takes its place when it is damaged.
//!
//! A snapshot is a convenience: photos and proofs are on the disk, and Apple lists the rest, so a
//! journal can always be made anew. What only a snapshot brings back is history, and reasons.

use std::path::PathBuf;

use crate::disk::{Snapshot, Snapshots};
use crate::engine::error::Error;
use crate::engine::run::now;
use crate::journal::{self, Contents, Salvaged};

/// Snapshots that are kept. One may be as damaged as the journal that it was made of, in a way that
/// no check sees; three in a row take a while.
const SNAPSHOTS_KEPT: usize = 3;

/// A journal of some eight thousand files. One that is no larger is copied in a moment, after every run in
/// which something happened.
const SMALL_BYTES: u64 = 8 * 1024 * 1024;
/// One line of news for so many files makes a larger journal worth a copy at once: the copy takes no
/// longer than what it keeps took to come.
const FILES_A_LINE: u64 = 100;
/// Where less happened, the copy of a larger journal may be this old: a day of a run by the hour costs one copy
/// and not twenty-four.
const AGE_S_MAX: i64 = 24 * 3600;

/// Keeps a snapshot of the journal, if it is time: what happened since the last one is worth the copy.
///
/// Blocks for some six seconds for a million files (1 GB: 2.4 s to copy, 4.2 s to check, measured), and
/// holds up no writer. Anything that copies less would copy pages as they are: signed addresses and all.
///
/// # Errors
/// If it cannot be made. Of damage in the journal it is the first to hear.
pub fn keep_snapshot(snapshots: &Snapshots) -> Result<Option<PathBuf>, Error> {
    let contents = Contents::of(snapshots.journal())?;
    if let Some(last) = snapshots.list()?.first()
        && let Ok(last_contents) = Contents::of(&last.path)
        && !is_due(&last_contents, &contents, last.size_bytes, now())
    {
        return Ok(None);
    }
    let new = snapshots.begin()?;
    if let Err(error) = journal::copy_out(snapshots.journal(), &new) {
        snapshots.abandon();
        return Err(error.into());
    }
    let kept = snapshots.keep(contents.run, now(), SNAPSHOTS_KEPT);
    if kept.is_err() {
        snapshots.abandon();
    }
    Ok(Some(kept?))
}

/// Whether what happened since the last snapshot, of so many bytes, is worth another.
fn is_due(last: &Contents, contents: &Contents, size_bytes: u64, now: i64) -> bool {
    let lines = contents.lines_since(last);
    // A time ahead of now comes from a clock that was wrong.
    let is_young = |at: i64| (0..AGE_S_MAX).contains(&now.saturating_sub(at));
    lines > 0
        && (size_bytes <= SMALL_BYTES
            || lines.saturating_mul(FILES_A_LINE) >= contents.files
            || !last.run_started_at.is_some_and(is_young))
}

/// A snapshot that was looked into.
#[derive(Clone, Debug)]
pub struct Looked {
    /// The file.
    pub snapshot: Snapshot,
    /// What it holds, or what is wrong with it.
    pub contents: Result<Contents, String>,
}

/// Looks into every snapshot, newest first.
///
/// # Errors
/// If they cannot be listed.
pub fn snapshots(snapshots: &Snapshots) -> Result<Vec<Looked>, Error> {
    let look = |snapshot: Snapshot| Looked {
        contents: Contents::of(&snapshot.path).map_err(|error| error.to_string()),
        snapshot,
    };
    Ok(snapshots.list()?.into_iter().map(look).collect())
}

/// What came of a restore.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The snapshot that is the journal now; `None` if none was sound, and nothing was changed.
    pub from: Option<Snapshot>,
    /// Where the journal that stood there is now, with its log.
    pub aside: Vec<PathBuf>,
    /// Snapshots that were passed over, and why.
    pub passed_over: Vec<(String, String)>,
}

/// Puts the newest sound snapshot of those that `wanted` admits in the place of the journal, which is
/// put aside.
///
/// # Errors
/// If it cannot be done. The journal stands where it stood, or is put aside.
pub fn restore(snapshots: &Snapshots, wanted: impl Fn(&Snapshot) -> bool) -> Result<Restored, Error> {
    let mut passed_over = Vec::new();
    for snapshot in snapshots.list()?.into_iter().filter(wanted) {
        match journal::examine(&snapshot.path) {
            Ok(examined) if examined.flaws.is_empty() => {
                let new = snapshots.copy(&snapshot)?;
                let aside = snapshots.replace_journal(&new, now())?;
                return Ok(Restored { from: Some(snapshot), aside, passed_over });
            }
            Ok(examined) => passed_over.push((snapshot.name, examined.flaws[0].detail.clone())),
            Err(error) => passed_over.push((snapshot.name, error.to_string())),
        }
    }
    Ok(Restored { from: None, aside: Vec::new(), passed_over })
}

/// What came of a rebuild.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    /// What the new journal took over.
    pub salvaged: Salvaged,
    /// The snapshot that it is from, where the journal itself told nothing.
    pub from: Option<Snapshot>,
    /// Where the journal that stood there is now, with its log.
    pub aside: Vec<PathBuf>,
}

/// Begins a new journal, which knows whose it is and where the photos go, and nothing else: the next
/// sync makes the rest from the files and from Apple. The old one is put aside.
///
/// # Errors
/// If it cannot be done. The journal stands where it stood, or is put aside.
pub fn rebuild(snapshots: &Snapshots) -> Result<Rebuilt, Error> {
    let mut salvaged = journal::salvage(snapshots.journal());
    let mut from = None;
    for snapshot in snapshots.list()? {
        if salvaged.accounts().1 > 0 {
            break;
        }
        salvaged = journal::salvage(&snapshot.path);
        from = Some(snapshot);
    }
    let new = snapshots.begin_journal()?;
    journal::start_anew(&new, &salvaged)?;
    let aside = snapshots.replace_journal(&new, now())?;
    Ok(Rebuilt { salvaged, from, aside })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_costs_no_more_than_what_it_keeps() {
        let mut last = Contents::default().with_lines(0);
        last.run_started_at = Some(1_000_000);
        let due = |lines, size_bytes, age_s| {
            let mut contents = last.with_lines(lines);
            contents.files = 1_000_000;
            is_due(&last, &contents, size_bytes, 1_000_000 + age_s)
        };
        let large = SMALL_BYTES + 1;
        assert!(due(1, SMALL_BYTES, 60), "a small one at once");
        assert!(!due(9_999, large, 60) && due(10_000, large, 60), "a large one when much happened");
        assert!(!due(1, large, AGE_S_MAX - 1) && due(1, large, AGE_S_MAX), "or once a day");
        assert!(due(1, large, -60), "a clock that was wrong delays none");
        assert!(!due(0, SMALL_BYTES, AGE_S_MAX), "and never for nothing");
    }
}
