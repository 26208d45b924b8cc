//! Publish: proved files get their final names, many at a time, and then their rows are told.
//!
//! Publish before verified: the file is synced, renamed, its folder synced, and only then does the
//! row say `verified`. A worker does not wait for that: it hands its file over and takes the next.
//!
//! Small files, whose bytes are still in memory, are written to their part files at the head of it. The three
//! steps of a group, writing, naming and telling, go on at the same time for three groups: one waits for the
//! processor, one for the disk, and one for the journal.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::disk::tree::Folders;
use crate::disk::{Folder, PartFile, Together, publish as disk_publish};
use crate::engine::check::Checked;
use crate::engine::held::Part;
use crate::engine::monitor::Notice;
use crate::engine::run::{Run, joined, now, off_thread};
use crate::engine::setback::{Setback, Unfinished};
use crate::fault;
use crate::journal::Claim;
use crate::model::checksum::{Digests, Proof};
use crate::model::failure::FailureKind;

/// Most files made durable together. A larger group gains little and holds its rows longer. As many more may
/// wait. The files of two groups are open at the same time, and macOS lets a process open 256.
const GROUP_MAX: usize = if cfg!(target_os = "macos") { 32 } else { 128 };
/// How long a group waits for more files, from its first one on. A disk that is faster than the network would make
/// groups of a few files each, and every group has its syncs and its commit.
const GROUP_WAIT: Duration = Duration::from_millis(50);
/// Memory of files that wait to be written, in KiB: 128 of the largest that are held there.
const WAITING_KIB_MAX: usize = 32 * 1024;
/// Names tried on disk for one file, as in preparing.
const NAMES_MAX: usize = 8;

/// A part file whose bytes are proved.
struct Landed {
    claim: Claim,
    part: Part,
    digests: Digests,
    proof: Proof,
}

/// A file under its final name, durable. Only this can become verified.
pub(super) struct Published {
    claim: Claim,
    digests: Digests,
    proof: Proof,
    /// What stands there is more than what was proved: see [`Self::dated`].
    is_dated: bool,
}

impl Published {
    /// A final file that a crash left without its row: recovery read and proved it.
    pub(super) fn found_standing(claim: Claim, digests: Digests, proof: Proof) -> Self {
        Self { claim, digests, proof, is_dated: false }
    }

    /// The same, where the digests are those of the bytes before they got a date. The journal has been told of
    /// the date, as an intent.
    pub(super) fn dated(self) -> Self {
        Self { is_dated: true, ..self }
    }

    /// Tells the row. The last step of every file.
    pub(super) async fn record(self, run: &Run) {
        record(run, vec![self]).await;
    }
}

/// Where workers hand over their files.
#[derive(Clone)]
pub(super) struct Publisher {
    queue: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
}

/// A proved file, and the room that it takes while it waits.
struct Waiting {
    checked: Checked,
    _room: OwnedSemaphorePermit,
}

impl Publisher {
    /// Starts the stage. It ends, and the handle with it, when every clone of the sender is gone.
    pub(super) fn start(run: Arc<Run>) -> (Self, JoinHandle<()>) {
        let (queue, mut receiver) = mpsc::channel(GROUP_MAX);
        let stage = tokio::spawn(async move {
            let (group_max, mut group) = (fault::group(GROUP_MAX), Vec::with_capacity(GROUP_MAX));
            let mut naming = None;
            while gather(&mut receiver, &mut group, group_max).await {
                let landed = land(&run, std::mem::take(&mut group)).await;
                let (together, telling) = named(naming.take()).await;
                naming = Some(tokio::spawn(name_and_tell(Arc::clone(&run), together, landed, telling)));
            }
            let (_, telling) = named(naming).await;
            told(telling).await;
        });
        (Self { queue, room: Arc::new(Semaphore::new(WAITING_KIB_MAX)) }, stage)
    }

    /// Hands over a proved file. Waits while the stage is full: the disk is behind the network.
    pub(super) async fn hand_over(&self, run: &Run, checked: Checked) {
        let kib = u32::try_from(checked.held.memory_bytes().div_ceil(1024)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(kib).await.expect("the room is never closed");
        if self.queue.send(Waiting { checked, _room: room }).await.is_err() {
            // The stage ended by a panic. Going on would fetch files only to drop them; the claim
            // is dead with this run, and the next one recovers it.
            tracing::error!("the publishing stage has ended");
            run.stop.request();
        }
    }
}

/// Gathers a group of at most so many. `false`: no more will come.
async fn gather<T>(queue: &mut mpsc::Receiver<T>, group: &mut Vec<T>, max: usize) -> bool {
    if queue.recv_many(group, max).await == 0 {
        return false;
    }
    let latest = Instant::now() + GROUP_WAIT;
    while group.len() < max
        && let Ok(1..) = timeout_at(latest, queue.recv_many(group, max - group.len())).await
    {}
    true
}

/// What goes on behind a group that has its names: what is known of the disk, and the telling of its rows.
type Named = (Together, Option<JoinHandle<()>>);

/// Gives a group its names, and begins to tell its rows once those of the group before are told.
async fn name_and_tell(
    run: Arc<Run>,
    mut together: Together,
    group: Vec<Landed>,
    telling: Option<JoinHandle<()>>,
) -> Named {
    let published = publish(&run, &mut together, group).await;
    told(telling).await;
    (together, Some(tokio::spawn(async move { record(&run, published).await })))
}

/// Waits until the last group has its names.
async fn named(naming: Option<JoinHandle<Named>>) -> Named {
    match naming {
        Some(naming) => joined(naming).await,
        None => Named::default(),
    }
}

/// Waits until the rows of the last group are told.
async fn told(telling: Option<JoinHandle<()>>) {
    if let Some(telling) = telling {
        joined(telling).await;
    }
}

/// Tells the rows of a group: one operation of the journal for all of them.
async fn record(run: &Run, group: Vec<Published>) {
    if group.is_empty() {
        return;
    }
    for published in group.iter().filter(|published| published.proof != Proof::Length) {
        if let Err(error) = run.doubts.matched(&run.journal, run.id, published.claim.file().rendition).await {
            run.halt(error);
        }
    }
    let dated: Vec<_> = group.iter().filter(|of| of.is_dated).map(|of| of.claim.file().id).collect();
    let rows =
        group.into_iter().map(|Published { claim, digests, proof, .. }| (claim, digests.sha256, proof));
    match run.journal.verified_all(rows.collect(), now()).await {
        Ok(complete) => {
            fault::point("verified");
            for asset_complete in complete {
                run.pause.file_through();
                run.board.verified(asset_complete);
            }
        }
        Err(error) => return run.halt(error),
    }
    for file in dated {
        if let Err(error) = run.journal.date_written(Some(run.id), now(), file).await {
            run.halt(error);
        }
    }
}

/// Writes to the disk what of a group is not there yet.
async fn land(run: &Run, group: Vec<Waiting>) -> Vec<Landed> {
    let (landed, refused) = off_thread(move || {
        let (mut landed, mut refused) = (Vec::with_capacity(group.len()), Vec::new());
        let mut folders = Folders::default();
        for Waiting { checked: Checked { claim, held, digests, proof }, .. } in group {
            match held.land(&mut folders) {
                Ok(part) => landed.push(Landed { claim, part, digests, proof }),
                Err(error) => refused.push((claim, error)),
            }
        }
        (landed, refused)
    })
    .await;
    for (claim, error) in refused {
        run.board.discarded(claim.file().size_bytes);
        refuse(run, claim, error, false).await;
    }
    landed
}

/// Publishes a group, and what must take another name again, until nothing is left.
async fn publish(run: &Run, together: &mut Together, group: Vec<Landed>) -> Vec<Published> {
    let mut group: Vec<(Landed, Vec<String>)> = group.into_iter().map(|c| (c, Vec::new())).collect();
    let mut done = Vec::with_capacity(group.len());
    while !group.is_empty() {
        let mut speed = std::mem::take(together);
        let (published, outcomes, untimed, speed) = off_thread(move || {
            let mut untimed = None;
            let parts: Vec<(&PartFile, &Folder)> = group
                .iter()
                .map(|(Landed { claim, part, .. }, _)| {
                    if let Some(captured) = claim.file().captured {
                        untimed = part.file.set_modified(captured.at_ms).err().or(untimed.take());
                    }
                    (&part.file, &part.folder)
                })
                .collect();
            let outcomes = disk_publish::publish_together(&mut speed, &parts);
            (group, outcomes, untimed, speed)
        })
        .await;
        *together = speed;
        if let Some(error) = untimed.filter(|_| !run.untimed.swap(true, Ordering::Relaxed)) {
            run.board.notice(Notice::Untimed { why: error.to_string() });
        }
        let mut taken = Vec::new();
        for ((landed, refused), outcome) in published.into_iter().zip(outcomes) {
            match outcome {
                disk_publish::Published::Done => {
                    let Landed { claim, digests, proof, .. } = landed;
                    done.push(Published::found_standing(claim, digests, proof));
                }
                disk_publish::Published::NameTaken => taken.push((landed, refused)),
                disk_publish::Published::Refused(error) => refuse(run, landed.claim, error, true).await,
                // After a failed sync nothing of the part is to be trusted.
                disk_publish::Published::NotDurable(error) => {
                    refuse(run, landed.claim, error, false).await;
                }
            }
        }
        group = Vec::new();
        for (landed, refused) in taken {
            group.extend(take_another_name(run, landed, refused).await);
        }
    }
    done
}

async fn refuse(run: &Run, claim: Claim, error: crate::disk::Error, keep_part: bool) {
    Unfinished::new(claim, Setback::of_disk(error, keep_part)).settle(run).await;
}

/// A stranger's file came to the name while ours was fetched: it stays, ours takes another.
async fn take_another_name(
    run: &Run,
    landed: Landed,
    mut refused: Vec<String>,
) -> Option<(Landed, Vec<String>)> {
    let Landed { claim, mut part, digests, proof } = landed;
    let taken = claim.file().path.clone();
    refused.push(taken.clone());
    if refused.len() >= NAMES_MAX {
        let detail = format!("{NAMES_MAX} names are taken by other files, the last: {taken}");
        Unfinished::new(claim, Setback::failed(FailureKind::Disk, detail)).settle(run).await;
        return None;
    }
    let claim = match run.journal.rename(claim, refused.clone()).await {
        Ok(claim) => claim,
        Err(error) => {
            run.halt(error);
            return None;
        }
    };
    let path = claim.file().path.clone();
    fault::point("path-changed");
    run.board.notice(Notice::NameTaken { taken, instead: path.clone() });
    let (part, moved) = off_thread(move || {
        // A part under the old name would stay there for ever: a second try, or none is left.
        let moved = part.folder.move_part(&path).inspect_err(|_| drop(part.folder.gather_part()));
        (part, moved)
    })
    .await;
    match moved {
        Ok(()) => {
            fault::point("part-moved");
            Some((Landed { claim, part, digests, proof }, refused))
        }
        Err(error) => {
            refuse(run, claim, error, true).await;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_group_takes_in_what_comes_within_a_moment_and_waits_for_nothing_else() {
        let (sender, mut queue) = mpsc::channel(8);
        let mut groups = Vec::new();
        let mut next = async |queue: &mut mpsc::Receiver<u8>| {
            let mut group = Vec::new();
            let more = gather(queue, &mut group, 3).await;
            groups.push(group);
            more
        };
        sender.send(1).await.unwrap();
        let later = async {
            tokio::task::yield_now().await;
            for file in 2..=5 {
                sender.send(file).await.unwrap();
            }
        };
        assert_eq!(futures::join!(next(&mut queue), later), (true, ()));
        assert!(next(&mut queue).await, "two of three, and nobody comes");
        sender.send(6).await.unwrap();
        drop(sender);
        assert!(next(&mut queue).await, "the last one");
        assert!(!next(&mut queue).await);
        assert_eq!(groups, [vec![1, 2, 3], vec![4, 5], vec![6], vec![]]);
    }
}
