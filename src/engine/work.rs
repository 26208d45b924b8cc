//! Work: rows are claimed and brought home, many at once, until none is left.
//!
//! No channel carries work: the feed asks the journal for claims whenever a worker is free, so
//! the order of things, the retry pass and a restart after a crash are all the same query. Files
//! complete in any order.

use std::collections::{HashSet, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::{Stream, StreamExt as _, stream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::disk::tree::Folders;
use crate::engine::check::{Checked, check};
use crate::engine::governor::Governor;
use crate::engine::held::Held;
use crate::engine::library::Library;
use crate::engine::prepare::{Ahead, Prepared, look_ahead, prepare};
use crate::engine::publish::{Published, Publisher};
use crate::engine::renew::renew;
use crate::engine::run::{Run, joined, now, off_thread};
use crate::engine::setback::{Setback, Unfinished};
use crate::engine::transfer::transfer;
use crate::fault;
use crate::journal::Claim;
use crate::model::checksum::Proof;
use crate::model::ids::AssetId;

/// Claims taken at once: a batch costs a tenth of as many single claims, and each is a commit. Not more
/// than a few minutes of work, because a URL ages while it waits.
const CLAIMS: usize = 64;

/// More are asked for when so few are left.
const CLAIMS_LOW: usize = CLAIMS;

/// Claims held back at most: large files that let small ones go first.
const HELD_MAX: usize = 2 * CLAIMS;

/// Brings home every claimable row. Ends when enumeration has ended and nothing is left, or when
/// someone asks to stop.
pub(super) async fn work(
    run: &Arc<Run>,
    libraries: &[Library],
    assets_max: Option<NonZeroUsize>,
    enumerating: watch::Receiver<bool>,
) {
    let (publisher, publishing) = Publisher::start(Arc::clone(run));
    let feed = Feed {
        run: Arc::clone(run),
        libraries: libraries.to_vec(),
        enumerating,
        claims: VecDeque::new(),
        asked: None,
        has_more: false,
        let_large_go: false,
        assets_max,
        assets: HashSet::new(),
    };
    let run = Arc::clone(run);
    // Beside the files, on the threads of the runtime: to wake the one that waits for the command costs more.
    let fed = tokio::spawn(async move {
        feed.into_stream()
            .map(|(ahead, in_flight)| {
                let (run, publisher) = (Arc::clone(&run), publisher.clone());
                let meets_no_disk = ahead.meets_no_disk();
                let home = async move {
                    let _in_flight = in_flight;
                    bring_home(&run, ahead, &publisher).await;
                };
                // A task of its own: a panic costs this file, and all cores share the work. What goes to the disk as it
                // comes has a thread too, which may stall there, and where its bytes stay in one processor's cache.
                if meets_no_disk {
                    tokio::spawn(home)
                } else {
                    let runtime = Handle::current();
                    tokio::task::spawn_blocking(move || runtime.block_on(home))
                }
            })
            .buffer_unordered(run.threads.ceiling())
            .for_each(|ended| {
                if ended.is_err() {
                    tracing::error!("a worker panicked; its file is recovered by the next run");
                }
                std::future::ready(())
            })
            .await;
    });
    joined(fed).await;
    if publishing.await.is_err() {
        tracing::error!("publishing panicked; its files are recovered by the next run");
    }
}

/// The way of one file: prepare, transfer, check, publish.
async fn bring_home(run: &Run, ahead: Ahead, publisher: &Publisher) {
    match fetch(run, ahead).await {
        Ok(Home::Checked(checked)) => publisher.hand_over(run, checked).await,
        Ok(Home::Standing(published)) => published.record(run).await,
        Err(unfinished) => unfinished.settle(run).await,
    }
}

/// Where a file got to.
enum Home {
    Checked(Checked),
    Standing(Published),
}

async fn fetch(run: &Run, ahead: Ahead) -> Result<Home, Unfinished> {
    match prepare(run, ahead).await? {
        Prepared::Ready { claim, sink } => {
            let size_bytes = claim.file().size_bytes;
            let whole = transfer(run, claim, sink).await?;
            fault::point("whole");
            let checked = check(&run.doubts, whole).inspect_err(|_| run.board.discarded(size_bytes))?;
            fault::point("checked");
            Ok(Home::Checked(promise_whole(run, checked).await?))
        }
        Prepared::Standing { claim, digests, proof, is_dated } => {
            run.board.already_home(claim.file().size_bytes);
            let published = Published::found_standing(claim, digests, proof);
            Ok(Home::Standing(if is_dated { published.dated() } else { published }))
        }
    }
}

/// Promises the digest of a whole file that only its length could prove, before it is published.
///
/// Should a crash come between the rename and the commit, this is how recovery knows the file for
/// ours.
async fn promise_whole(run: &Run, checked: Checked) -> Result<Checked, Unfinished> {
    let size_bytes = checked.claim.file().size_bytes;
    if checked.proof != Proof::Length || size_bytes == checked.claim.file().offset_bytes {
        return Ok(checked);
    }
    let Checked { claim, held, digests, proof } = checked;
    let synced = off_thread(move || {
        let part = held.land(&mut Folders::default())?;
        part.file.sync().map(|()| Held::Part(part))
    });
    let held = match synced.await {
        Ok(held) => held,
        Err(error) => return Err(Unfinished::new(claim, Setback::of_disk(error, false))),
    };
    let promised = run.journal.progressed(claim, now(), size_bytes, digests.sha256, None).await;
    let claim = promised.map_err(Unfinished::lost)?;
    fault::point("whole-promised");
    Ok(Checked { claim, held, digests, proof })
}

/// Counts one file under way for as long as it lives, and rings when it ends, by a panic too.
struct InFlight {
    run: Arc<Run>,
    size_bytes: u64,
}

impl InFlight {
    fn new(run: &Arc<Run>, claim: &Claim) -> Self {
        let size_bytes = claim.file().size_bytes;
        run.governor.begun(size_bytes);
        Self { run: Arc::clone(run), size_bytes }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.run.governor.ended(self.size_bytes);
        self.run.bell.notify_one();
    }
}

/// Takes claims, and looks at what they will meet. An error ends the run.
async fn claim(run: &Run) -> Vec<Ahead> {
    match run.journal.claim(run.id, CLAIMS, now()).await {
        Ok(claimed) => {
            fault::point("claimed");
            look_ahead(run, claimed.claims).await
        }
        Err(error) => {
            run.halt(error);
            Vec::new()
        }
    }
}

/// The source of claims.
struct Feed {
    run: Arc<Run>,
    libraries: Vec<Library>,
    enumerating: watch::Receiver<bool>,
    claims: VecDeque<Ahead>,
    /// More of them are asked for, while these are handed out.
    asked: Option<JoinHandle<Vec<Ahead>>>,
    /// The last answer was as long as it may be: more wait.
    has_more: bool,
    /// Large files may take the places of small ones: none of those is known to wait.
    let_large_go: bool,
    /// Most assets of which files are brought home.
    assets_max: Option<NonZeroUsize>,
    /// The assets that were begun, if their number matters.
    assets: HashSet<AssetId>,
}

impl Feed {
    fn into_stream(self) -> impl Stream<Item = (Ahead, InFlight)> {
        stream::unfold(self, |mut feed| async move {
            let ahead = feed.next().await?;
            let in_flight = InFlight::new(&feed.run, &ahead.claim);
            Some(((ahead, in_flight), feed))
        })
    }

    /// The next claim, or `None` when there will be none.
    async fn next(&mut self) -> Option<Ahead> {
        let run = Arc::clone(&self.run);
        let governor = &run.governor;
        loop {
            if self.run.stop.is_requested() {
                self.give_back().await;
                return None;
            }
            if self.run.fullness.is_full() {
                self.give_back().await;
                self.run.underway.send_replace(true);
                return None;
            }
            if let Some(left) = self.run.pause.left() {
                self.run.sleep(left).await;
                continue;
            }
            if governor.is_full() {
                self.wait().await;
                continue;
            }
            if let Some(ahead) = self.take() {
                if self.is_beyond_limit(ahead.claim.file().asset) {
                    self.claims.push_front(ahead);
                    self.give_back().await;
                    self.run.board.limited();
                    return None;
                }
                self.ask_ahead();
                return Some(ahead);
            }
            if let Some(asked) = self.asked.take() {
                let asked = joined(asked).await;
                self.has_more = asked.len() >= CLAIMS;
                self.claims.extend(asked);
                continue;
            }
            // Read before asking: what ends after the question rings the bell.
            let listed = self.run.first_page.load(Ordering::SeqCst);
            let listing = *self.enumerating.borrow();
            let more_to_come = listing || governor.under_way() > 0;
            let held = self.claims.len();
            if held < HELD_MAX {
                self.claims.extend(claim(&run).await);
                self.has_more = self.claims.len() >= held + CLAIMS;
            }
            self.let_large_go = false;
            if self.claims.len() > held || renew(&run, &self.libraries).await {
                continue;
            }
            if held > 0 && (held >= HELD_MAX || !listing) {
                // No small file waits that we know of.
                self.let_large_go = true;
                continue;
            }
            if !more_to_come {
                return None;
            }
            if listed && governor.under_way() == 0 {
                self.run.underway.send_replace(true);
            }
            self.wait().await;
        }
    }

    /// The first claim that may begin now: any, or a small one where large files hold their places.
    fn take(&mut self) -> Option<Ahead> {
        if self.run.governor.has_room_for_large() || std::mem::take(&mut self.let_large_go) {
            return self.claims.pop_front();
        }
        let is_small = |ahead: &Ahead| !Governor::is_large(ahead.claim.file().size_bytes);
        let place = self.claims.iter().position(is_small)?;
        self.claims.remove(place)
    }

    /// Waits for a change: a file ended, rows came, a place was added, or someone asks to stop.
    async fn wait(&self) {
        tokio::select! {
            () = self.run.bell.notified() => {}
            () = self.run.stop.requested() => {}
        }
    }

    /// Whether an asset is one more than this run may begin.
    fn is_beyond_limit(&mut self, asset: AssetId) -> bool {
        let Some(max) = self.assets_max else { return false };
        if self.assets.len() >= max.get() && !self.assets.contains(&asset) {
            return true;
        }
        self.assets.insert(asset);
        false
    }

    /// Asks for more claims before the last ones are handed out: the workers would wait for the answer.
    fn ask_ahead(&mut self) {
        if self.has_more && self.claims.len() < CLAIMS_LOW && self.asked.is_none() {
            let run = Arc::clone(&self.run);
            self.asked = Some(tokio::spawn(async move { claim(&run).await }));
        }
    }

    async fn give_back(&mut self) {
        if let Some(asked) = self.asked.take() {
            self.claims.extend(joined(asked).await);
        }
        // Side by side, so that they share a commit.
        let released = self.claims.drain(..).map(|ahead| self.run.journal.release(ahead.claim));
        if let Err(error) = futures::future::try_join_all(released).await {
            self.run.halt(error);
        }
    }
}
