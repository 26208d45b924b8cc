//! Sidecars: at the end of a run, every verified file whose facts changed gets a new one beside it.
//!
//! They are made from the journal alone, so nothing is asked of Apple, and media files are never
//! opened. Durable before the journal knows of them, as everything here.

use futures::future;

use crate::disk::Place;
use crate::disk::sidecar::{self, Outcome, Sidecar};
use crate::engine::error::Error;
use crate::engine::monitor::Notice;
use crate::engine::run::{Run, now, off_thread};
use crate::icloud;
use crate::journal::{DueSidecar, WrittenSidecar};
use crate::model::checksum::{AppleChecksum, Sha256Digest};
use crate::model::ids::{AssetName, FileId};
use crate::model::{layout, xmp};

/// Files looked at for one page.
const PAGE: usize = 512;
/// Sidecars written side by side: most of the time of each is the wait for the disk.
const WRITERS: usize = 4;

/// Writes the sidecars that are due. Says how many.
pub(super) async fn write(run: &Run) -> Result<u64, Error> {
    let (reader, account) = (run.journal.reader().clone(), run.account);
    let albums = off_thread(move || reader.album_paths(account)).await?;
    let mut written = 0;
    let mut after = FileId(0);
    while !run.stop.is_requested() {
        let (reader, of) = (run.journal.reader().clone(), albums.clone());
        let page = off_thread(move || reader.sidecars_due(account, &of, after, PAGE)).await?;
        let Some(last) = page.last else { break };
        after = last;
        let share = page.due.len().div_ceil(WRITERS).max(1);
        let shares = page.due.chunks(share).map(|due| write_share(run, due.to_vec()));
        let mut stand = Vec::new();
        for share in future::join_all(shares).await {
            stand.extend(share?);
        }
        written += stand.iter().filter(|one| one.sha256.is_some()).count() as u64;
        run.journal.sidecars_written(now(), stand).await?;
    }
    Ok(written)
}

async fn write_share(run: &Run, due: Vec<DueSidecar>) -> Result<Vec<WrittenSidecar>, Error> {
    let (due, outcomes) = run
        .on_disk(move |destination| {
            let sidecars: Vec<Sidecar> = due.iter().map(make).collect();
            let outcomes = sidecar::write(destination, &sidecars);
            for (one, outcome) in due.iter().zip(&outcomes) {
                if let (Outcome::Stands(_), Some((place, former))) = (outcome, elsewhere(one)) {
                    // One that stays is an untidiness, and no more.
                    let _ = sidecar::remove(destination, &place, former);
                }
            }
            Ok((due, outcomes))
        })
        .await?;
    let mut stand = Vec::new();
    for (one, outcome) in due.into_iter().zip(outcomes) {
        let path = path(&one);
        let sha256 = match outcome {
            Outcome::Stands(sha256) => Some(sha256),
            Outcome::Foreign => {
                // Said once: the journal remembers that it is somebody else's.
                if !matches!(&one.former, Some((former, None)) if *former == path) {
                    let text = format!("{path} was written or changed by somebody else; it stays as it is");
                    run.board.notice(Notice::Note(text));
                }
                None
            }
            Outcome::Refused(error) if error.ends_the_run() => return Err(error.into()),
            Outcome::Refused(error) => {
                run.board.notice(Notice::Note(error.to_string()));
                continue;
            }
        };
        stand.push(WrittenSidecar { file: one.file, path, sha256, made_from: one.made_from });
    }
    Ok(stand)
}

fn make(due: &DueSidecar) -> Sidecar {
    let mut picture = due.picture.clone();
    picture.facts = icloud::facts(&due.record);
    let path = path(due);
    let former = due.former.as_ref().filter(|(former, _)| *former == path).and_then(|(_, sha256)| *sha256);
    Sidecar { place: place(due, path), bytes: xmp::sidecar(&picture), former }
}

/// The sidecar that we left where the photo stood before.
fn elsewhere(due: &DueSidecar) -> Option<(Place, Sha256Digest)> {
    let (former, sha256) = due.former.as_ref()?;
    (*former != path(due)).then_some((place(due, former.clone()), (*sha256)?))
}

fn path(due: &DueSidecar) -> String {
    format!("{}{}", due.path, xmp::SUFFIX)
}

fn place(due: &DueSidecar, path: String) -> Place {
    let tag = layout::part_tag(&AssetName(due.picture.asset.clone()), &AppleChecksum::parse(&due.path));
    Place { path, tag }
}
